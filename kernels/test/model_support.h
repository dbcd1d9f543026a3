// What the model and trainer tests share: small models of every layer kind, random batches, and a trainer
// that fails the test loudly when a call of the C ABI does.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "check.h"
#include "common/philox.h"
#include "layermix.h"

namespace lmx::test {

inline lmx_layer_config mamba2(int64_t heads, int64_t head_dim, int64_t groups, int64_t state,
                               int64_t chunk) {
  lmx_layer_config layer{};
  layer.kind = LMX_LAYER_MAMBA2;
  layer.heads = heads;
  layer.head_dim = head_dim;
  layer.groups = groups;
  layer.state = state;
  layer.conv = 4;
  layer.chunk = chunk;
  return layer;
}

inline lmx_layer_config attention(int64_t heads, int64_t kv_heads, int64_t head_dim, int64_t rotary_dim) {
  lmx_layer_config layer{};
  layer.kind = LMX_LAYER_ATTENTION;
  layer.heads = heads;
  layer.kv_heads = kv_heads;
  layer.head_dim = head_dim;
  layer.rotary_dim = rotary_dim;
  layer.rope_theta = 10000;
  return layer;
}

inline lmx_layer_config mlp(int64_t width, lmx_activation activation, bool gated) {
  lmx_layer_config layer{};
  layer.kind = LMX_LAYER_MLP;
  layer.width = width;
  layer.activation = activation;
  layer.gated = gated ? 1 : 0;
  return layer;
}

// A configuration that owns its layers. Defaults: a hybrid with every layer kind and option, small enough for
// finite differences.
struct Config {
  std::vector<lmx_layer_config> layers{
      mamba2(4, 6, 2, 5, 4),         mlp(20, LMX_SILU, true), attention(4, 2, 6, 4),
      mlp(24, LMX_GELU_TANH, false), mamba2(2, 8, 1, 3, 5),   mlp(17, LMX_GELU_ERF, false),
      attention(3, 3, 4, 0),         mlp(9, LMX_RELU2, true), mlp(19, LMX_RELU2, false),
  };
  lmx_trainer_config value{};

  Config() {
    value.model.hidden = 12;
    value.model.vocab = 19;
    value.model.norm_eps = 1e-5;
    value.optimizer = {3e-3, 0.9, 0.95, 1e-8, 0.1, 1.0, LMX_COSINE, 40, 4, 0, 1e-4};
    value.batch = 4;
    value.micro_batch = 2;
    value.sequence = 11;
    value.precision = LMX_FP64;
    value.device = "cpu";
    value.threads = 1;
    value.seed = 7;
    value.init_std = 0.2;
  }

  const lmx_trainer_config* get() {
    value.model.layer_count = static_cast<int64_t>(layers.size());
    value.model.layers = layers.data();
    return &value;
  }
};

inline void require_ok(lmx_status status, const char* call) {
  if (status == LMX_OK) return;
  std::fprintf(stderr, "%s: %s\n", call, lmx_last_error());
  std::exit(1);
}
#define OK(call) lmx::test::require_ok(call, #call)

// Random tokens, and the next token as target; every seventh target is not counted.
struct Batch {
  std::vector<int32_t> tokens, targets;

  Batch(int64_t count, int64_t sequence, int64_t vocab, uint64_t seed)
      : tokens(static_cast<size_t>(count * sequence)), targets(tokens.size()) {
    for (size_t i = 0; i < tokens.size(); ++i) {
      tokens[i] = static_cast<int32_t>(random_block(seed, 1, i)[0] % static_cast<uint32_t>(vocab));
    }
    for (size_t i = 0; i < tokens.size(); ++i) {
      targets[i] = i % 7 == 3 ? -1 : tokens[(i + 1) % tokens.size()];
    }
  }
};

class TestTrainer {
 public:
  explicit TestTrainer(Config& config) : config_(config.value) {
    OK(lmx_trainer_create(config.get(), &handle_));
  }
  ~TestTrainer() { lmx_trainer_destroy(handle_); }
  TestTrainer(const TestTrainer&) = delete;
  TestTrainer& operator=(const TestTrainer&) = delete;

  lmx_trainer* get() const { return handle_; }

  // The step of a batch that depends on the step's number alone, as a training run would draw it.
  lmx_step_result step() { return step(batch_of(lmx_trainer_step_index(handle_))); }
  lmx_step_result step(const Batch& batch) { return train({batch})[0]; }

  // As many of those steps in one call.
  std::vector<lmx_step_result> train(int64_t steps) {
    std::vector<Batch> batches;
    for (int64_t i = 0; i < steps; ++i) batches.push_back(batch_of(lmx_trainer_step_index(handle_) + i));
    return train(batches);
  }
  // A step for each batch, in one call.
  std::vector<lmx_step_result> train(const std::vector<Batch>& batches) {
    std::vector<int32_t> tokens, targets;
    for (std::vector<int32_t>* all : {&tokens, &targets}) all->reserve(batches.size() * batches[0].tokens.size());
    for (const Batch& batch : batches) {
      tokens.insert(tokens.end(), batch.tokens.begin(), batch.tokens.end());
      targets.insert(targets.end(), batch.targets.begin(), batch.targets.end());
    }
    std::vector<lmx_step_result> results(batches.size());
    OK(lmx_trainer_train(handle_, static_cast<int64_t>(batches.size()), tokens.data(), targets.data(), results.data()));
    return results;
  }

  double probe(const Batch& batch) {
    double loss = 0;
    OK(lmx_trainer_probe(handle_, batch.tokens.data(), batch.targets.data(), nullptr, nullptr, &loss));
    return loss;
  }

  std::vector<lmx_tensor_info> tensors() const {
    std::vector<lmx_tensor_info> all(static_cast<size_t>(lmx_trainer_tensor_count(handle_)));
    for (size_t i = 0; i < all.size(); ++i)
      OK(lmx_trainer_tensor_info(handle_, static_cast<int64_t>(i), &all[i]));
    return all;
  }

  std::vector<double> read(const lmx_tensor_info& tensor, lmx_tensor_part part) const {
    std::vector<double> values(static_cast<size_t>(tensor.count));
    OK(lmx_trainer_read(handle_, tensor.name, part, values.data(), 8));
    return values;
  }

  void write(const lmx_tensor_info& tensor, lmx_tensor_part part, const std::vector<double>& values) {
    OK(lmx_trainer_write(handle_, tensor.name, part, values.data(), 8));
  }

  // Every value and both moments, one after another.
  std::vector<double> state() const {
    std::vector<double> all;
    for (const lmx_tensor_info& tensor : tensors()) {
      for (const lmx_tensor_part part : {LMX_VALUE, LMX_EXP_AVG, LMX_EXP_AVG_SQ}) {
        const std::vector<double> values = read(tensor, part);
        all.insert(all.end(), values.begin(), values.end());
      }
    }
    return all;
  }

 private:
  Batch batch_of(int64_t step) const {
    return {config_.batch, config_.sequence, config_.model.vocab, 1000 + static_cast<uint64_t>(step)};
  }

  lmx_trainer_config config_;
  lmx_trainer* handle_ = nullptr;
};

}  // namespace lmx::test
