// Mamba-2 while generating (arXiv 2405.21060, section 7). Kept per sequence: the last conv - 1 inputs of the convolution, and
// the state (heads, head_dim, state) of the recurrence; neither grows with the context.
#pragma once

#include "model/mamba2.h"
#include "model/mixer_decoder.h"

namespace lmx {

class Mamba2Decoder final : public MixerDecoder {
 public:
  explicit Mamba2Decoder(const Mamba2Mixer& mixer) : mixer_(mixer) {}

  void plan_kept(Arena& arena, const Precision& precision, const DecodeExtent& extent) override;
  void plan_scratch(Arena& arena, const Precision& precision, const DecodeExtent& extent) override;
  std::size_t workspace_bytes(const Inference& inference, const DecodeExtent& extent, index_t batch,
                              index_t time) const override;
  void forward(const DecodePass& pass, const PreNorm& norm, const void* x, void* y) override;
  void reset(Backend& backend) override;
  void fill(Inference& inference, std::uint64_t seed, std::uint64_t stream) override;

 private:
  index_t window_elements() const;  // of one sequence
  index_t state_elements() const;
  ConstStrided column(index_t first) const;

  const Mamba2Mixer& mixer_;
  StateType state_type_{};
  DType act_ = DType::f32, state_dtype_ = DType::f32;
  index_t batch_ = 0;
  void *window_ = nullptr, *state_ = nullptr;
  void *projection_ = nullptr, *xbc_ = nullptr, *y_ = nullptr, *normed_ = nullptr, *rstd_ = nullptr;
  void *chunks_ = nullptr, *wide_ = nullptr;
};

}  // namespace lmx
