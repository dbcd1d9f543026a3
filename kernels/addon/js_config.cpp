#include "js_config.h"

#include "js_values.h"

namespace lmx::addon {

namespace {

const Choices kinds{{"mamba2", LMX_LAYER_MAMBA2}, {"attention", LMX_LAYER_ATTENTION}, {"mlp", LMX_LAYER_MLP}};
const Choices activations{
    {"gelu", LMX_GELU_TANH}, {"gelu_erf", LMX_GELU_ERF}, {"relu2", LMX_RELU2}, {"silu", LMX_SILU}};
const Choices precisions{{"fp32", LMX_FP32}, {"fp64", LMX_FP64}, {"bf16", LMX_BF16}};
const Choices state_types{{"full", LMX_STATE_FULL}, {"bf16", LMX_STATE_BF16}};
const Choices schedules{{"constant", LMX_CONSTANT}, {"cosine", LMX_COSINE}, {"wsd", LMX_WSD}};

lmx_layer_config layer_config(const Fields& fields) {
  lmx_layer_config layer{};
  layer.kind = fields.choice("kind", kinds);
  switch (layer.kind) {
    case LMX_LAYER_MAMBA2:
      layer.heads = fields.integer("heads");
      layer.head_dim = fields.integer("headDim");
      layer.groups = fields.integer("groups");
      layer.state = fields.integer("state");
      layer.conv = fields.integer("conv");
      layer.chunk = fields.integer("chunk");
      layer.dt_min = fields.number("dtMin");
      break;
    case LMX_LAYER_ATTENTION:
      layer.heads = fields.integer("heads");
      layer.kv_heads = fields.integer("kvHeads");
      layer.head_dim = fields.integer("headDim");
      layer.rotary_dim = fields.integer("rotaryDim");
      layer.rope_theta = fields.number("ropeTheta");
      break;
    case LMX_LAYER_MLP:
      layer.width = fields.integer("width");
      layer.activation = fields.choice("activation", activations);
      layer.gated = fields.boolean("gated") ? 1 : 0;
      break;
  }
  return layer;
}

lmx_optimizer_config optimizer_config(const Fields& fields) {
  lmx_optimizer_config optimizer{};
  optimizer.learning_rate = fields.number("learningRate");
  optimizer.minimum_learning_rate = fields.number("minimumLearningRate");
  optimizer.beta1 = fields.number("beta1");
  optimizer.beta2 = fields.number("beta2");
  optimizer.epsilon = fields.number("epsilon");
  optimizer.weight_decay = fields.number("weightDecay");
  optimizer.clip_norm = fields.number("clipNorm");
  optimizer.schedule = fields.choice("schedule", schedules);
  optimizer.total_steps = fields.integer("totalSteps");
  optimizer.warmup_steps = fields.integer("warmupSteps");
  optimizer.decay_steps = fields.integer("decaySteps");
  return optimizer;
}

lmx_model_config model_config(const Fields& model, std::vector<lmx_layer_config>& layers) {
  lmx_model_config config{};
  config.hidden = model.integer("hidden");
  config.vocab = model.integer("vocab");
  config.tie_embeddings = model.boolean("tieEmbeddings") ? 1 : 0;
  config.norm_eps = model.number("normEps");
  for (const Fields& layer : model.objects("layers")) layers.push_back(layer_config(layer));
  config.layer_count = static_cast<int64_t>(layers.size());
  config.layers = layers.data();
  return config;
}

}  // namespace

const Choices& activation_choices() { return activations; }
const Choices& state_type_choices() { return state_types; }

int32_t thread_count(const Fields& fields) {
  const int64_t threads = fields.integer("threads");
  return threads < 0 || threads > INT32_MAX ? -1 : static_cast<int32_t>(threads);
}

DecoderConfig::DecoderConfig(Napi::Value value) {
  const Fields fields(value, "config");
  config.model = model_config(fields.object("model"), layers_);
  config.batch = fields.integer("batch");
  config.context = fields.integer("context");
  config.prompt = fields.integer("prompt");
  config.precision = fields.choice("precision", precisions);
  config.state_type = fields.choice("stateType", state_types);
  device_ = fields.text("device");
  config.device = device_.c_str();
  config.threads = thread_count(fields);
  config.seed = fields.unsigned64("seed");
  config.init_std = fields.number("initStd");
}

TrainerConfig::TrainerConfig(Napi::Value value) {
  const Fields fields(value, "config");
  config.model = model_config(fields.object("model"), layers_);
  config.optimizer = optimizer_config(fields.object("optimizer"));
  config.batch = fields.integer("batch");
  config.micro_batch = fields.integer("microBatch");
  config.sequence = fields.integer("sequence");
  config.precision = fields.choice("precision", precisions);
  device_ = fields.text("device");
  config.device = device_.c_str();
  config.threads = thread_count(fields);
  config.seed = fields.unsigned64("seed");
  config.init_std = fields.number("initStd");
}

Napi::Object memory_object(Napi::Env env, const lmx_memory& memory) {
  Napi::Object object = Napi::Object::New(env);
  const auto set = [&](const char* name, int64_t bytes) { object.Set(name, static_cast<double>(bytes)); };
  set("weights", memory.weights);
  set("gradients", memory.gradients);
  set("optimizer", memory.optimizer);
  set("activations", memory.activations);
  set("workspace", memory.workspace);
  set("total", memory.total);
  return object;
}

}  // namespace lmx::addon
