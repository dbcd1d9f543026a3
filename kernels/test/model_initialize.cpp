// The start of training: each tensor has the distribution Megatron-LM gives it, and depends on the seed and
// its own name alone.

#include <cmath>
#include <functional>

#include "model_support.h"

namespace {

using namespace lmx::test;

bool ends_with(const std::string& text, const std::string& tail) {
  return text.size() >= tail.size() && text.compare(text.size() - tail.size(), tail.size(), tail) == 0;
}

struct Moments {
  double mean = 0, deviation = 0, lowest = INFINITY, highest = -INFINITY;
  explicit Moments(const std::vector<double>& values) {
    for (const double value : values) {
      mean += value / static_cast<double>(values.size());
      lowest = std::fmin(lowest, value);
      highest = std::fmax(highest, value);
    }
    for (const double value : values)
      deviation += (value - mean) * (value - mean) / static_cast<double>(values.size());
    deviation = std::sqrt(deviation);
  }
};

// Standard error of an estimated deviation is about deviation / sqrt(2n); five of them never fail by chance.
void check_normal(const lmx_tensor_info& tensor, const Moments& got, double deviation) {
  const double n = static_cast<double>(tensor.count);
  CHECK(std::abs(got.deviation - deviation) < 5 * deviation / std::sqrt(2 * n),
        "%s: deviation %g, expected %g", tensor.name, got.deviation, deviation);
  CHECK(std::abs(got.mean) < 5 * deviation / std::sqrt(n), "%s: mean %g", tensor.name, got.mean);
}

void distributions() {
  Config config;
  config.value.model.hidden = 64;
  config.value.init_std = 0.02;
  config.layers = {mamba2(32, 8, 2, 16, 8), attention(4, 2, 16, 0), mlp(128, LMX_RELU2, true),
                   mlp(96, LMX_SILU, false)};
  TestTrainer trainer(config);
  for (const lmx_tensor_info& tensor : trainer.tensors()) {
    const std::string name = tensor.name;
    const std::vector<double> values = trainer.read(tensor, LMX_VALUE);
    const Moments got(values);
    const bool output = ends_with(name, "out_proj.weight") || ends_with(name, "o_proj.weight") ||
                        ends_with(name, "down_proj.weight");
    if (output) {
      check_normal(tensor, got, 0.02 / std::sqrt(4.0));
    } else if (ends_with(name, "_proj.weight") || name == "lm_head.weight" ||
               name == "backbone.embeddings.weight") {
      check_normal(tensor, got, 0.02);
    } else if (ends_with(name, "conv1d.weight") || ends_with(name, "conv1d.bias")) {
      CHECK(got.lowest >= -0.5 && got.highest <= 0.5, "%s: from %g to %g", tensor.name, got.lowest,
            got.highest);
      CHECK(got.lowest < -0.45 && got.highest > 0.45, "%s: from %g to %g", tensor.name, got.lowest,
            got.highest);
    } else if (ends_with(name, "A_log")) {
      CHECK(got.lowest >= 0 && got.highest <= std::log(16), "A_log from %g to %g", got.lowest, got.highest);
      CHECK(std::exp(got.highest) - std::exp(got.lowest) > 10, "A_log from %g to %g", got.lowest,
            got.highest);
    } else if (ends_with(name, "dt_bias")) {
      for (const double value : values) {
        const double step = std::log1p(std::exp(value));
        CHECK(step >= 0.000999 && step <= 0.1001, "softplus(dt_bias) = %g", step);
      }
    } else {
      CHECK(got.lowest == 1 && got.highest == 1, "%s: from %g to %g", tensor.name, got.lowest, got.highest);
    }
  }
}

// Seeds differ; precision, threads and the number of other layers do not matter.
void depends_on_seed_and_name_alone() {
  const char* name = "backbone.layers.1.mixer.up_proj.weight";
  const auto first_values = [&](const std::function<void(Config&)>& change) {
    Config config;
    change(config);
    TestTrainer trainer(config);
    for (const lmx_tensor_info& tensor : trainer.tensors()) {
      if (tensor.name == std::string(name)) return trainer.read(tensor, LMX_VALUE);
    }
    return std::vector<double>{};
  };
  const std::vector<double> base = first_values([](Config&) {});
  CHECK(!base.empty(), "no tensor %s", name);
  CHECK(base == first_values([](Config& c) { c.layers.resize(2); }), "depends on later layers");
  CHECK(base == first_values([](Config& c) { c.layers[0] = attention(2, 1, 4, 0); }),
        "depends on earlier layers");
  CHECK(base != first_values([](Config& c) { c.value.seed = 8; }), "does not depend on the seed");
  const std::vector<double> single = first_values([](Config& c) { c.value.precision = LMX_FP32; });
  for (size_t i = 0; i < base.size(); ++i)
    CHECK(single[i] == static_cast<float>(base[i]), "element %zu in fp32", i);
}

}  // namespace

int main() {
  distributions();
  depends_on_seed_and_name_alone();
  return TEST_RESULT();
}
