#include "model/model.h"

#include <algorithm>
#include <string>
#include <utility>

#include "model/attention.h"
#include "model/mamba2.h"
#include "model/mlp.h"

namespace lmx {

namespace {

std::unique_ptr<Mixer> make_mixer(const MixerContext& context) {
  switch (context.layer.kind) {
    case LMX_LAYER_MAMBA2: return std::make_unique<Mamba2Mixer>(context);
    case LMX_LAYER_ATTENTION: return std::make_unique<AttentionMixer>(context);
    case LMX_LAYER_MLP: return std::make_unique<MlpMixer>(context);
  }
  throw InvalidArgument("unknown layer kind " + std::to_string(context.layer.kind));
}

}  // namespace

Model::Model(ModelConfig config) : config_(std::move(config)) {
  embeddings_ = parameters_.add(Storage::matrix, {{"backbone.embeddings.weight",
                                                   {config_.vocab, config_.hidden},
                                                   {Initializer::Kind::normal, config_.init_std}}});
  layers_.reserve(config_.layers.size());
  for (std::size_t i = 0; i < config_.layers.size(); ++i) {
    layers_.emplace_back(config_, parameters_, "backbone.layers." + std::to_string(i) + ".",
                         [&](const std::string& prefix) {
                           return make_mixer({config_, config_.layers[i], parameters_, prefix});
                         });
  }
  head_ = std::make_unique<Head>(config_, parameters_, embeddings_);
  parameters_.finish();
}

void Model::plan(Arena& arena, const Precision& precision, index_t batch, index_t time) {
  const index_t rows = batch * time;
  const auto take_stream = [&] {
    return arena.take(Region::activations, rows * config_.hidden, precision.act);
  };
  parameters_.plan(arena, precision);
  residual_.assign(layers_.size() + 1, nullptr);
  for (void*& stream : residual_) stream = take_stream();
  dresidual_ = take_stream();
  dnormed_ = take_stream();
  for (Layer& layer : layers_) layer.plan_saved(arena, precision, batch, time);
  head_->plan_saved(arena, precision, rows);
  // One space for what lives only during one layer's backward, or during the head.
  const std::size_t shared = arena.mark(Region::activations);
  head_->plan_transient(arena, precision, rows);
  for (Layer& layer : layers_) {
    arena.rewind(Region::activations, shared);
    layer.plan_transient(arena, precision, batch, time);
  }
}

std::size_t Model::workspace_bytes(const Backend& backend, index_t batch, index_t time) const {
  const EmbeddingShape embedding{batch * time, config_.hidden, config_.vocab};
  std::size_t most = std::max(head_->workspace_bytes(backend, batch * time), backend.workspace_bytes(embedding));
  for (const Layer& layer : layers_) most = std::max(most, layer.workspace_bytes(backend, batch, time));
  return most;
}

void Model::run(const Pass& pass, const std::int32_t* tokens, const std::int32_t* targets,
                const LossBuffers& loss, bool train, const LogitsSink& sink) {
  Backend& backend = pass.backend;
  backend.embedding_forward(pass.rows(), config_.hidden, tokens, parameters_.value(embeddings_),
                            residual_[0]);
  for (std::size_t i = 0; i < layers_.size(); ++i) layers_[i].forward(pass, residual_[i], residual_[i + 1]);
  head_->run(pass, residual_.back(), targets, loss, train, dresidual_, dnormed_, sink);
  if (!train) return;
  for (std::size_t i = layers_.size(); i-- > 0;)
    layers_[i].backward(pass, residual_[i], dresidual_, dnormed_);
  backend.embedding_backward(pass.rows(), config_.hidden, config_.vocab, tokens, dresidual_,
                             parameters_.gradient(embeddings_));
}

const void* Model::hidden(std::size_t index) const {
  return index < residual_.size() ? residual_[index] : head_->normed();
}

}  // namespace lmx
