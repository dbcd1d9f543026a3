#include "model/mamba2_decoder.h"

#include <algorithm>

namespace lmx {

std::unique_ptr<MixerDecoder> Mamba2Mixer::decoder() const { return std::make_unique<Mamba2Decoder>(*this); }

index_t Mamba2Decoder::window_elements() const { return (mixer_.conv_ - 1) * mixer_.scan_.channels(); }
index_t Mamba2Decoder::state_elements() const { return mixer_.scan_.inner() * mixer_.scan_.state; }

void Mamba2Decoder::plan_kept(Arena& arena, const Precision& precision, const DecodeExtent& extent) {
  act_ = precision.act;
  state_type_ = extent.state_type;
  state_dtype_ = state_dtype(extent.state_type, precision);
  batch_ = extent.batch;
  window_ = arena.take(Region::state, batch_ * window_elements(), act_);
  state_ = arena.take(Region::state, batch_ * state_elements(), state_dtype_);
}

void Mamba2Decoder::plan_scratch(Arena& arena, const Precision& precision, const DecodeExtent& extent) {
  const index_t rows = extent.rows();
  const auto take = [&](index_t count, DType type) { return arena.take(Region::activations, count, type); };
  projection_ = take(rows * mixer_.projected(), precision.act);
  xbc_ = take(rows * mixer_.scan_.channels(), precision.act);
  y_ = take(rows * mixer_.scan_.inner(), precision.act);
  normed_ = take(rows * mixer_.scan_.inner(), precision.act);
  rstd_ = take(rows * mixer_.scan_.groups, precision.stat);
  chunks_ = take(mixer_.scan(extent.prompt_batch, extent.prompt).state_elements(), precision.stat);
  wide_ = state_dtype_ == precision.stat ? nullptr : take(extent.prompt_batch * state_elements(), precision.stat);
}

std::size_t Mamba2Decoder::workspace_bytes(const Inference& inference, const DecodeExtent&, index_t batch,
                                           index_t time) const {
  const index_t rows = batch * time;
  return std::max({inference.workspace_bytes(mixer_.in_shape(rows)), inference.workspace_bytes(mixer_.out_shape(rows)),
                   inference.workspace_bytes(mixer_.scan(batch, time))});
}

void Mamba2Decoder::forward(const DecodePass& pass, const PreNorm& norm, const void* x, void* y) {
  const ParameterTable& parameters = mixer_.parameters_;
  const index_t rows = pass.rows();
  void* const window = offset(window_, pass.first * window_elements(), act_);
  void* const state = offset(state_, pass.first * state_elements(), state_dtype_);
  pass.inference.norm_linear(mixer_.in_shape(rows), norm, x, parameters.value(mixer_.in_proj_), projection_, false);
  pass.inference.causal_conv1d_step(mixer_.conv(pass.batch, pass.time), column(mixer_.scan_.inner()),
                                    parameters.value(mixer_.conv_weight_), parameters.value(mixer_.conv_bias_), window,
                                    xbc_);
  pass.inference.ssd_state_update(mixer_.scan(pass.batch, pass.time), state_type_, xbc_, column(mixer_.dt_column()),
                                  parameters.value(mixer_.a_log_), parameters.value(mixer_.d_),
                                  parameters.value(mixer_.dt_bias_), state, y_, chunks_, wide_);
  pass.backend.gated_rms_norm_forward(mixer_.norm_shape(rows), y_, column(0), parameters.value(mixer_.norm_), normed_,
                                      rstd_);
  pass.inference.linear(mixer_.out_shape(rows), normed_, parameters.value(mixer_.out_proj_), x, y);
}

void Mamba2Decoder::reset(Backend& backend) {
  backend.zero(window_, static_cast<std::size_t>(batch_ * window_elements()) * dtype_bytes(act_));
  backend.zero(state_, static_cast<std::size_t>(batch_ * state_elements()) * dtype_bytes(state_dtype_));
}

void Mamba2Decoder::fill(Inference& inference, std::uint64_t seed, std::uint64_t stream) {
  inference.fill_normal(window_, act_, batch_ * window_elements(), 1, seed, 2 * stream);
  inference.fill_normal(state_, state_dtype_, batch_ * state_elements(), 1, seed, 2 * stream + 1);
}

// Columns of in_proj's output.
ConstStrided Mamba2Decoder::column(index_t first) const {
  return {offset(projection_, first, act_), mixer_.projected()};
}

}  // namespace lmx
