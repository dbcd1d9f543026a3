#include "decode/meter.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "common/error.h"
#include "decode/metered_operation.h"
#include "train/device.h"

namespace lmx {

namespace {

constexpr std::size_t least_calls = 4;   // of one sample, so that its ends do not count
constexpr double most_calls = 256;
constexpr double least_sample = 300e-6;  // seconds, against the clock's grain
constexpr double long_call = 5e-3;       // seconds from which on a call is a sample by itself
constexpr std::size_t least_samples = 5, most_samples = 1000;

Precision precision_for(const std::string& device) {
  if (device.rfind("cuda", 0) == 0) return {DType::bf16, DType::bf16, DType::f32};
  return {DType::f32, DType::f32, DType::f32};
}

// The workspace of one operation. Binding it also makes the backend forget what it has recorded.
class Bound {
 public:
  Bound(Backend& backend, OperandMemory& memory, std::size_t bytes) : backend_(backend) {
    backend.bind_workspace(memory.take(static_cast<index_t>(bytes), DType::u8), bytes);
  }
  ~Bound() { backend_.bind_workspace(nullptr, 0); }
  Bound(const Bound&) = delete;
  Bound& operator=(const Bound&) = delete;

 private:
  Backend& backend_;
};

double quantile(const std::vector<double>& sorted, double q) {
  return sorted[static_cast<std::size_t>(q * static_cast<double>(sorted.size() - 1) + 0.5)];
}

}  // namespace

Meter::Meter(const std::string& device, int threads) : backend_(open_device(device, precision_for(device), threads)) {}

lmx_measurement Meter::measure(const lmx_operation& request, double seconds) {
  if (!(seconds > 0 && seconds <= 3600)) {
    throw InvalidArgument("expected seconds above 0, at most 3600, got " + std::to_string(seconds));
  }
  Backend& backend = *backend_;
  Inference& inference = backend.inference();
  OperandMemory memory(backend);
  const MeteredOperation operation = metered_operation(backend, memory, request);
  const Bound workspace(backend, memory, operation.workspace_bytes);

  // How long one call takes, launched by itself, decides how many make a sample. Products choose their algorithm meanwhile.
  double rough = 0;
  for (int i = 0; i < 3; ++i) {
    inference.mark(0);
    operation.call(0);
    inference.mark(1);
    rough = inference.seconds(0, 1);
  }
  std::size_t calls = 1;
  if (rough < long_call) {
    const auto wanted = static_cast<std::size_t>(std::min(least_sample / std::max(rough, 1e-9), most_calls)) + 1;
    calls = std::max(wanted, least_calls);
    calls = (calls + operation.copies - 1) / operation.copies * operation.copies;
  }
  const auto sample = [&](std::size_t rounds) {
    std::vector<double> taken(rounds);
    inference.mark(0);
    for (std::size_t r = 0; r < rounds; ++r) {
      if (backend.begin_step()) {
        for (std::size_t i = 0; i < calls; ++i) operation.call(i % operation.copies);
        backend.end_step();
      }
      inference.mark(r + 1);
    }
    for (std::size_t r = 0; r < rounds; ++r) taken[r] = inference.seconds(r, r + 1);
    return taken;
  };
  const double one_sample = sample(3).back();
  const auto rounds = static_cast<std::size_t>(seconds / std::max(one_sample, 1e-9));
  std::vector<double> samples = sample(std::clamp(rounds, least_samples, most_samples));
  std::sort(samples.begin(), samples.end());
  const double per_call = 1 / static_cast<double>(calls);
  return {quantile(samples, 0.5) * per_call, quantile(samples, 0.1) * per_call, quantile(samples, 0.9) * per_call,
          static_cast<int64_t>(samples.size()), operation.bytes, operation.flops};
}

}  // namespace lmx
