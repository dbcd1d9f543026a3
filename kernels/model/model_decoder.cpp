#include "model/model_decoder.h"

#include <algorithm>

namespace lmx {

ModelDecoder::ModelDecoder(Model& model) : model_(model) {
  for (const Layer& layer : model.layers_) mixers_.push_back(layer.mixer_->decoder());
}

void ModelDecoder::plan(Arena& arena, const Precision& precision, const DecodeExtent& extent) {
  const index_t hidden = model_.config_.hidden;
  const auto take = [&](index_t count, DType type) { return arena.take(Region::activations, count, type); };
  act_ = precision.act;
  batch_ = extent.batch;
  model_.parameters_.plan_inference(arena, precision);
  for (const auto& mixer : mixers_) mixer->plan_kept(arena, precision, extent);
  stream_ = take(extent.rows() * hidden, precision.act);
  normed_ = take(extent.rows() * hidden, precision.act);
  rstd_ = take(extent.rows(), precision.stat);
  last_ = take(extent.batch * hidden, precision.act);
  logits_ = take(extent.batch * model_.config_.vocab, precision.stat);
  const std::size_t shared = arena.mark(Region::activations);
  for (const auto& mixer : mixers_) {
    arena.rewind(Region::activations, shared);
    mixer->plan_scratch(arena, precision, extent);
  }
}

std::size_t ModelDecoder::workspace_bytes(const Inference& inference, const DecodeExtent& extent) const {
  std::size_t most =
      inference.workspace_bytes(LinearShape{extent.batch, model_.config_.hidden, model_.config_.vocab});
  for (const auto& mixer : mixers_) {
    most = std::max({most, mixer->workspace_bytes(inference, extent, extent.batch, 1),
                     mixer->workspace_bytes(inference, extent, extent.prompt_batch, extent.prompt)});
  }
  return most;
}

void ModelDecoder::read(const DecodePass& pass, const std::int32_t* tokens) {
  const index_t hidden = model_.config_.hidden;
  pass.backend.embedding_forward(pass.rows(), hidden, tokens, model_.parameters_.value(model_.embeddings_), stream_);
  for (std::size_t i = 0; i < mixers_.size(); ++i) {
    const Layer& layer = model_.layers_[i];
    mixers_[i]->forward(pass, pre_norm(layer.norm_, layer.eps_), stream_, stream_);
  }
  const std::size_t row_bytes = static_cast<std::size_t>(hidden) * dtype_bytes(act_);
  ends_ = last_;
  if (pass.time == 1 && pass.batch == batch_) {
    ends_ = stream_;
    return;
  }
  for (index_t b = 0; b < pass.batch; ++b) {
    pass.backend.copy(offset(last_, (pass.first + b) * hidden, act_),
                      offset(stream_, ((b + 1) * pass.time - 1) * hidden, act_), row_bytes);
  }
}

const void* ModelDecoder::predict(Backend& backend) {
  const Head& head = *model_.head_;
  backend.inference().norm_linear({batch_, model_.config_.hidden, model_.config_.vocab}, pre_norm(head.norm_, head.eps_),
                                  ends_, model_.parameters_.value(head.weight_), logits_, true);
  return logits_;
}

void ModelDecoder::reset(Backend& backend) {
  for (const auto& mixer : mixers_) mixer->reset(backend);
}

void ModelDecoder::fill(Inference& inference, std::uint64_t seed) {
  for (std::size_t i = 0; i < mixers_.size(); ++i) mixers_[i]->fill(inference, seed, i);
}

PreNorm ModelDecoder::pre_norm(ParameterId weight, double eps) const {
  return {model_.parameters_.value(weight), eps, normed_, rstd_};
}

}  // namespace lmx
