#include "model/initialize.h"

#include <algorithm>
#include <cmath>

#include "common/philox.h"

namespace lmx {

namespace {

constexpr double step_min = 0.001, step_max = 0.1, step_floor = 1e-4;

// x with softplus(x) = step.
double inverse_softplus(double step) { return step + std::log(-std::expm1(-step)); }

}  // namespace

std::uint64_t stream_of(const std::string& name) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const char character : name) {
    hash ^= static_cast<unsigned char>(character);
    hash *= 0x100000001b3u;
  }
  return hash;
}

double initial_value(const Initializer& initializer, std::uint64_t seed, std::uint64_t stream,
                     std::uint64_t index) {
  switch (initializer.kind) {
    case Initializer::Kind::normal: return initializer.scale * random_normal(seed, stream, index);
    case Initializer::Kind::uniform: return initializer.scale * (2 * random_uniform(seed, stream, index) - 1);
    case Initializer::Kind::log_uniform_decay: return std::log(1 + 15 * random_uniform(seed, stream, index));
    case Initializer::Kind::time_step_bias: {
      const double span = std::log(step_max) - std::log(step_min);
      const double step = std::exp(random_uniform(seed, stream, index) * span + std::log(step_min));
      return inverse_softplus(std::max(step, step_floor));
    }
    case Initializer::Kind::one: return 1;
  }
  return 0;
}

}  // namespace lmx
