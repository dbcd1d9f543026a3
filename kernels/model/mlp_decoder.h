// The MLP while generating: it remembers nothing.
#pragma once

#include "model/mixer_decoder.h"
#include "model/mlp.h"

namespace lmx {

class MlpDecoder final : public MixerDecoder {
 public:
  explicit MlpDecoder(const MlpMixer& mixer) : mixer_(mixer) {}

  void plan_kept(Arena&, const Precision&, const DecodeExtent&) override {}
  void plan_scratch(Arena& arena, const Precision& precision, const DecodeExtent& extent) override {
    if (mixer_.mlp_.keeps_input()) u_ = arena.take(Region::activations, extent.rows() * mixer_.mlp_.up_width(), precision.act);
    a_ = arena.take(Region::activations, extent.rows() * mixer_.mlp_.width, precision.act);
  }
  std::size_t workspace_bytes(const Inference& inference, const DecodeExtent&, index_t batch,
                              index_t time) const override {
    return std::max(inference.workspace_bytes(mixer_.up_shape(batch * time)),
                    inference.workspace_bytes(mixer_.down_shape(batch * time)));
  }
  void forward(const DecodePass& pass, const PreNorm& norm, const void* x, void* y) override {
    const ParameterTable& parameters = mixer_.parameters_;
    pass.inference.norm_linear_activation(mixer_.mlp(pass.rows()), norm, x, parameters.value(mixer_.up_proj_), u_, a_);
    pass.inference.linear(mixer_.down_shape(pass.rows()), a_, parameters.value(mixer_.down_proj_), x, y);
  }
  void reset(Backend&) override {}
  void fill(Inference&, std::uint64_t, std::uint64_t) override {}

 private:
  const MlpMixer& mixer_;
  void *u_ = nullptr, *a_ = nullptr;
};

}  // namespace lmx
