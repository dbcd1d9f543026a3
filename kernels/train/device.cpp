#include "train/device.h"

#include <thread>

#include "common/error.h"
#include "cpu/cpu_backend.h"

namespace lmx {

std::unique_ptr<Backend> open_device(const std::string& name, const Precision& precision, int threads) {
  if (name != "cpu") throw NoDevice("no device " + name + ": this build runs on \"cpu\" only");
  if (precision.act == DType::bf16) {
    throw InvalidArgument(
        "expected precision fp32 or fp64 on device cpu, got bf16 (it can be planned, not run)");
  }
  if (threads == 0) threads = static_cast<int>(std::thread::hardware_concurrency());
  return make_cpu_backend(precision.act, threads > 0 ? threads : 1);
}

std::unique_ptr<Backend> planning_backend(const Precision& precision) {
  return make_cpu_backend(precision.act == DType::f64 ? DType::f64 : DType::f32, 1);
}

}  // namespace lmx
