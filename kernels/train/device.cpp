#include "train/device.h"

#include <thread>

#include "common/error.h"
#include "cpu/bf16_backend.h"
#include "cpu/cpu_backend.h"
#ifdef LMX_CUDA
#include "cuda/cuda_backend.h"
#endif

namespace lmx {

namespace {

#ifdef LMX_CUDA
// name: "cuda" or "cuda:N".
std::unique_ptr<Backend> open_cuda(const std::string& name, const Precision& precision) {
  const std::string number = name == "cuda" ? "0" : name.substr(std::string("cuda:").size());
  if (number.empty() || number.size() > 3 || number.find_first_not_of("0123456789") != std::string::npos) {
    throw InvalidArgument("expected a device like cuda:0, got " + name);
  }
  if (precision.act != DType::bf16) {
    throw InvalidArgument("expected precision bf16 on device " + name + ", got fp32 or fp64");
  }
  try {
    return make_cuda_backend(std::stoi(number));
  } catch (const NoDevice& error) {
    throw NoDevice("no device " + name + ": " + error.what());
  }
}
#endif

}  // namespace

std::unique_ptr<Backend> open_device(const std::string& name, const Precision& precision, int threads) {
#ifdef LMX_CUDA
  if (name.rfind("cuda:", 0) == 0 || name == "cuda") return open_cuda(name, precision);
  if (name != "cpu") throw NoDevice("no device " + name + ": this build knows \"cpu\" and \"cuda:N\"");
#else
  if (name != "cpu") throw NoDevice("no device " + name + ": this build runs on \"cpu\" only");
#endif
  if (precision.act == DType::bf16) {
    throw InvalidArgument(
        "expected precision fp32 or fp64 on device cpu, got bf16 (it can be planned, not run)");
  }
  if (threads == 0) threads = static_cast<int>(std::thread::hardware_concurrency());
  return make_cpu_backend(precision.act, threads > 0 ? threads : 1);
}

#ifdef LMX_CUDA
int cuda_count() { return cuda_device_count(nullptr); }

std::string describe_cuda(int device) {
  std::string reason;
  const int count = cuda_device_count(&reason);
  if (count == 0) return reason;
  if (device < 0 || device >= count) return "the last device is cuda:" + std::to_string(count - 1);
  return cuda_device_description(device);
}
#else
int cuda_count() { return 0; }

std::string describe_cuda(int) { return "this build has no CUDA backend"; }
#endif

std::unique_ptr<Backend> open_training_device(const std::string& name, const Precision& precision, int threads) {
  if (name != "reference") return open_device(name, precision, threads);
  if (precision.act != DType::bf16) {
    throw InvalidArgument("expected precision bf16 on device reference, got fp32 or fp64");
  }
  return make_bf16_backend();
}

std::unique_ptr<Backend> training_planner(const Precision& precision) {
  return precision.act == DType::bf16 ? make_bf16_backend() : planning_backend(precision);
}

std::unique_ptr<Backend> planning_backend(const Precision& precision) {
  return make_cpu_backend(precision.act == DType::f64 ? DType::f64 : DType::f32, 1);
}

}  // namespace lmx
