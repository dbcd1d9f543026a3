#include "model/attention_decoder.h"

#include <algorithm>

namespace lmx {

std::unique_ptr<MixerDecoder> AttentionMixer::decoder() const { return std::make_unique<AttentionDecoder>(*this); }

CacheShape AttentionDecoder::cache(index_t batch, index_t time, index_t context) const {
  const AttentionShape& s = mixer_.attention_;
  return {batch, time, s.heads, s.kv_heads, s.head_dim, context, s.scale, mixer_.rotary_dim_, mixer_.rope_theta_};
}

void AttentionDecoder::plan_kept(Arena& arena, const Precision& precision, const DecodeExtent& extent) {
  act_ = precision.act;
  batch_ = extent.batch;
  context_ = extent.context;
  const index_t elements = cache(batch_, 1, context_).elements();
  keys_ = arena.take(Region::cache, elements, act_);
  values_ = arena.take(Region::cache, elements, act_);
}

void AttentionDecoder::plan_scratch(Arena& arena, const Precision& precision, const DecodeExtent& extent) {
  const index_t rows = extent.rows();
  qkv_ = arena.take(Region::activations, rows * mixer_.attention_.packed_width(), precision.act);
  out_ = arena.take(Region::activations, rows * mixer_.attention_.query_width(), precision.act);
  lse_ = arena.take(Region::activations, rows * mixer_.attention_.heads, precision.stat);
}

std::size_t AttentionDecoder::workspace_bytes(const Inference& inference, const DecodeExtent& extent, index_t batch,
                                              index_t time) const {
  const index_t rows = batch * time;
  return std::max({inference.workspace_bytes(mixer_.qkv_shape(rows)), inference.workspace_bytes(mixer_.out_shape(rows)),
                   inference.workspace_bytes(mixer_.attention(batch, time)),
                   inference.workspace_bytes(cache(batch, time, extent.context))});
}

void AttentionDecoder::forward(const DecodePass& pass, const PreNorm& norm, const void* x, void* y) {
  const ParameterTable& parameters = mixer_.parameters_;
  const index_t rows = pass.rows();
  const CacheShape shape = cache(pass.batch, pass.time, context_);
  const index_t before = cache(pass.first, 1, context_).elements();
  void* const keys = offset(keys_, before, act_);
  void* const values = offset(values_, before, act_);
  pass.inference.norm_linear(mixer_.qkv_shape(rows), norm, x, parameters.value(mixer_.qkv_proj_), qkv_, false);
  pass.inference.kv_cache_append(shape, qkv_, keys, values, pass.position);
  if (pass.starts) {
    pass.inference.attention_prompt(mixer_.attention(pass.batch, pass.time), qkv_, out_, lse_);
  } else {
    pass.inference.attention_decode(shape, qkv_, keys, values, pass.position, out_);
  }
  pass.inference.linear(mixer_.out_shape(rows), out_, parameters.value(mixer_.o_proj_), x, y);
}

void AttentionDecoder::fill(Inference& inference, std::uint64_t seed, std::uint64_t stream) {
  const index_t elements = cache(batch_, 1, context_).elements();
  inference.fill_normal(keys_, act_, elements, 1, seed, 2 * stream);
  inference.fill_normal(values_, act_, elements, 1, seed, 2 * stream + 1);
}

}  // namespace lmx
