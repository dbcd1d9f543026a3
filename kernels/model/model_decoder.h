// A model that generates: embedding, layers with their memories, head over the last token. Owns no memory and no device, like
// Model, whose parameters and shapes it reads; the model is planned by it and must not be planned for training.
#pragma once

#include <memory>
#include <vector>

#include "model/mixer_decoder.h"
#include "model/model.h"

namespace lmx {

class ModelDecoder {
 public:
  explicit ModelDecoder(Model& model);

  // Takes weights, caches, states and scratch.
  void plan(Arena& arena, const Precision& precision, const DecodeExtent& extent);
  std::size_t workspace_bytes(const Inference& inference, const DecodeExtent& extent) const;

  // Reads `tokens` (pass.rows()) of some of the sequences; afterwards what the head needs of their last token is kept.
  void read(const DecodePass& pass, const std::int32_t* tokens);
  // Logits (batch, vocab) stat of the last tokens of all sequences, once all have been read.
  const void* predict(Backend& backend);

  void reset(Backend& backend);
  void fill(Inference& inference, std::uint64_t seed);

 private:
  PreNorm pre_norm(ParameterId weight, double eps) const;

  Model& model_;
  std::vector<std::unique_ptr<MixerDecoder>> mixers_;
  DType act_ = DType::f32;
  index_t batch_ = 0;
  const void* ends_ = nullptr;  // (batch, hidden): the residual stream at the last tokens
  void *stream_ = nullptr, *last_ = nullptr, *normed_ = nullptr, *rstd_ = nullptr, *logits_ = nullptr;
};

}  // namespace lmx
