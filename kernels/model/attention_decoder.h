// Attention while generating. Kept per sequence: the keys, rotated, and values of every token so far (grouped-query attention
// shares them between heads, arXiv 2305.13245).
#pragma once

#include "model/attention.h"
#include "model/mixer_decoder.h"

namespace lmx {

class AttentionDecoder final : public MixerDecoder {
 public:
  explicit AttentionDecoder(const AttentionMixer& mixer) : mixer_(mixer) {}

  void plan_kept(Arena& arena, const Precision& precision, const DecodeExtent& extent) override;
  void plan_scratch(Arena& arena, const Precision& precision, const DecodeExtent& extent) override;
  std::size_t workspace_bytes(const Inference& inference, const DecodeExtent& extent, index_t batch,
                              index_t time) const override;
  void forward(const DecodePass& pass, const PreNorm& norm, const void* x, void* y) override;
  void reset(Backend&) override {}  // what lies beyond the position is never read
  void fill(Inference& inference, std::uint64_t seed, std::uint64_t stream) override;

 private:
  CacheShape cache(index_t batch, index_t time, index_t context) const;

  const AttentionMixer& mixer_;
  DType act_ = DType::f32;
  index_t batch_ = 0, context_ = 0;
  void *keys_ = nullptr, *values_ = nullptr;
  void *qkv_ = nullptr, *out_ = nullptr, *lse_ = nullptr;
};

}  // namespace lmx
