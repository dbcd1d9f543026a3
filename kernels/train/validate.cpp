#include "train/validate.h"

#include <cmath>
#include <sstream>
#include <string>

#include "common/error.h"
#include "train/checked.h"

namespace lmx {

namespace {

constexpr int64_t largest = int64_t{1} << 31;  // of any single size

template <class Value>
[[noreturn]] void reject(const std::string& field, const char* rule, Value value) {
  std::ostringstream message;
  message << "expected " << field << " " << rule << ", got " << value;
  throw InvalidArgument(message.str());
}

void positive(const std::string& field, int64_t value) {
  if (value < 1 || value > largest) reject(field, "from 1 to 2^31", value);
}

void divides(const std::string& field, int64_t divisor, const char* whole_name, int64_t whole) {
  positive(field, divisor);
  if (whole % divisor != 0) {
    throw InvalidArgument("expected " + field + " to divide " + whole_name + ", got " +
                          std::to_string(divisor) + " and " + std::to_string(whole));
  }
}

// Written so that NaN fails.
void non_negative(const std::string& field, double value) {
  if (!(value >= 0 && std::isfinite(value))) reject(field, "finite and not negative", value);
}
void above_zero(const std::string& field, double value) {
  if (!(value > 0 && std::isfinite(value))) reject(field, "finite and above 0", value);
}
void below_one(const std::string& field, double value) {
  if (!(value >= 0 && value < 1)) reject(field, "at least 0 and below 1", value);
}

void check_mamba2(const std::string& at, const lmx_layer_config& layer, int64_t batch, int64_t time) {
  positive(at + ".heads", layer.heads);
  positive(at + ".head_dim", layer.head_dim);
  divides(at + ".groups", layer.groups, "heads", layer.heads);
  positive(at + ".state", layer.state);
  positive(at + ".conv", layer.conv);
  positive(at + ".chunk", layer.chunk);
  non_negative(at + ".dt_min", layer.dt_min);
  const index_t inner = checked_product("the inner width", {layer.heads, layer.head_dim});
  const index_t packed = checked_product("B and C", {2, layer.groups, layer.state});
  const index_t chunks = (time + layer.chunk - 1) / layer.chunk;
  checked_product("the projection", {batch, time, 2 * inner + packed + layer.heads});
  checked_product("the chunk states", {batch, chunks, inner, layer.state});
}

void check_attention(const std::string& at, const lmx_layer_config& layer, int64_t batch, int64_t time) {
  positive(at + ".heads", layer.heads);
  divides(at + ".kv_heads", layer.kv_heads, "heads", layer.heads);
  positive(at + ".head_dim", layer.head_dim);
  if (layer.rotary_dim < 0 || layer.rotary_dim > layer.head_dim || layer.rotary_dim % 2 != 0) {
    reject(at + ".rotary_dim", "even, from 0 to head_dim", layer.rotary_dim);
  }
  if (layer.rotary_dim > 0) above_zero(at + ".rope_theta", layer.rope_theta);
  checked_product("q, k and v", {batch, time, 3, layer.heads, layer.head_dim});
}

void check_mlp(const std::string& at, const lmx_layer_config& layer, int64_t batch, int64_t time) {
  positive(at + ".width", layer.width);
  if (layer.activation < LMX_GELU_TANH || layer.activation > LMX_SILU) {
    reject(at + ".activation", "from 0 to 3", layer.activation);
  }
  checked_product("the MLP", {batch, time, 2, layer.width});
}

void check_layer(const std::string& at, const lmx_layer_config& layer, int64_t batch, int64_t time) {
  switch (layer.kind) {
    case LMX_LAYER_MAMBA2: return check_mamba2(at, layer, batch, time);
    case LMX_LAYER_ATTENTION: return check_attention(at, layer, batch, time);
    case LMX_LAYER_MLP: return check_mlp(at, layer, batch, time);
  }
  reject(at + ".kind", "from 0 to 2", layer.kind);
}

void check_optimizer(const lmx_optimizer_config& optimizer) {
  non_negative("optimizer.learning_rate", optimizer.learning_rate);
  non_negative("optimizer.minimum_learning_rate", optimizer.minimum_learning_rate);
  below_one("optimizer.beta1", optimizer.beta1);
  below_one("optimizer.beta2", optimizer.beta2);
  above_zero("optimizer.epsilon", optimizer.epsilon);
  non_negative("optimizer.weight_decay", optimizer.weight_decay);
  non_negative("optimizer.clip_norm", optimizer.clip_norm);
  const int32_t schedule = optimizer.schedule;
  if (schedule < LMX_CONSTANT || schedule > LMX_WSD) reject("optimizer.schedule", "from 0 to 2", schedule);
  positive("optimizer.total_steps", optimizer.total_steps);
  if (optimizer.warmup_steps < 0 || optimizer.warmup_steps > optimizer.total_steps) {
    reject("optimizer.warmup_steps", "from 0 to total_steps", optimizer.warmup_steps);
  }
  if (optimizer.decay_steps < 0 || optimizer.decay_steps > optimizer.total_steps) {
    reject("optimizer.decay_steps", "from 0 to total_steps", optimizer.decay_steps);
  }
}

}  // namespace

ModelConfig checked_model(const lmx_trainer_config& config) {
  const lmx_model_config& model = config.model;
  positive("model.hidden", model.hidden);
  positive("model.vocab", model.vocab);
  above_zero("model.norm_eps", model.norm_eps);
  if (model.layer_count < 0 || model.layer_count > 100000)
    reject("model.layer_count", "from 0 to 100000", model.layer_count);
  if (model.layer_count > 0 && model.layers == nullptr)
    throw InvalidArgument("expected model.layers, got null");
  positive("sequence", config.sequence);
  positive("batch", config.batch);
  divides("micro_batch", config.micro_batch, "batch", config.batch);
  const int32_t precision = config.precision;
  if (precision < LMX_FP32 || precision > LMX_BF16) reject("precision", "from 0 to 2", precision);
  if (config.device == nullptr) throw InvalidArgument("expected device, got null");
  if (config.threads < 0 || config.threads > 4096) reject("threads", "from 0 to 4096", config.threads);
  non_negative("init_std", config.init_std);
  check_optimizer(config.optimizer);
  checked_product("the residual stream", {config.batch, config.sequence, model.hidden});
  checked_product("the logits", {config.micro_batch, config.sequence, model.vocab});
  ModelConfig checked{};
  checked.hidden = model.hidden;
  checked.vocab = model.vocab;
  checked.tie_embeddings = model.tie_embeddings != 0;
  checked.norm_eps = model.norm_eps;
  checked.init_std = config.init_std;
  for (int64_t i = 0; i < model.layer_count; ++i) {
    const std::string at = "model.layers[" + std::to_string(i) + "]";
    check_layer(at, model.layers[i], config.micro_batch, config.sequence);
    checked.layers.push_back(model.layers[i]);
  }
  return checked;
}

Precision precision_of(int32_t precision) {
  switch (precision) {
    case LMX_FP64: return {DType::f64, DType::f64, DType::f64};
    case LMX_BF16: return bf16_precision();
    case LMX_FP32: break;
  }
  return {DType::f32, DType::f32, DType::f32};
}

void check_tokens(const int32_t* tokens, const int32_t* targets, int64_t count, int64_t vocab) {
  if (tokens == nullptr || targets == nullptr) throw InvalidArgument("expected tokens and targets, got null");
  bool good = true;  // without a branch per token: millions of them pass here between two calls of a GPU
  for (int64_t i = 0; i < count; ++i) good &= (tokens[i] >= 0) & (tokens[i] < vocab) & (targets[i] < vocab);
  if (good) return;
  const auto at = [](const char* name, int64_t i) { return name + ("[" + std::to_string(i) + "]"); };
  for (int64_t i = 0; i < count; ++i) {
    if (tokens[i] >= 0 && tokens[i] < vocab) continue;
    reject(at("tokens", i), ("from 0 to " + std::to_string(vocab - 1)).c_str(), tokens[i]);
  }
  for (int64_t i = 0; i < count; ++i) {
    if (targets[i] >= vocab) reject(at("targets", i), ("below " + std::to_string(vocab)).c_str(), targets[i]);
  }
}

}  // namespace lmx
