// Causal grouped-query attention (arXiv 2305.13245) without biases: one fused projection to [q | k | v],
// optional rotary embedding (arXiv 2104.09864), softmax(q kᵀ / sqrt(head_dim)) v, output projection.
#pragma once

#include <algorithm>
#include <cmath>

#include "model/mixer.h"

namespace lmx {

class AttentionMixer final : public Mixer {
 public:
  explicit AttentionMixer(const MixerContext& context)
      : parameters_(context.parameters),
        hidden_(context.model.hidden),
        attention_{0,
                   0,
                   context.layer.heads,
                   context.layer.kv_heads,
                   context.layer.head_dim,
                   1 / std::sqrt(static_cast<double>(context.layer.head_dim))},
        rotary_dim_(context.layer.rotary_dim),
        rope_theta_(context.layer.rope_theta) {
    const index_t query = attention_.query_width(), key = attention_.kv_heads * attention_.head_dim;
    const auto name = [&](const char* tail) { return context.prefix + tail; };
    qkv_proj_ =
        parameters_.add(Storage::matrix, {{name("q_proj.weight"), {query, hidden_}, context.input_weights()},
                                          {name("k_proj.weight"), {key, hidden_}, context.input_weights()},
                                          {name("v_proj.weight"), {key, hidden_}, context.input_weights()}});
    o_proj_ = parameters_.add(Storage::matrix,
                              {{name("o_proj.weight"), {hidden_, query}, context.output_weights()}});
  }

  void plan_saved(Arena& arena, const Precision& precision, index_t batch, index_t time) override {
    const index_t rows = batch * time;
    qkv_ = arena.take(Region::activations, rows * attention_.packed_width(), precision.act);
    out_ = arena.take(Region::activations, rows * attention_.query_width(), precision.act);
    lse_ = arena.take(Region::activations, rows * attention_.heads, precision.stat);
  }

  void plan_transient(Arena& arena, const Precision& precision, index_t batch, index_t time) override {
    const index_t rows = batch * time;
    dout_ = arena.take(Region::activations, rows * attention_.query_width(), precision.act);
    dqkv_ = arena.take(Region::activations, rows * attention_.packed_width(), precision.act);
  }

  std::size_t workspace_bytes(const Backend& backend, index_t batch, index_t time) const override {
    const index_t rows = batch * time;
    return std::max({backend.workspace_bytes(qkv_shape(rows)), backend.workspace_bytes(out_shape(rows)),
                     backend.workspace_bytes(attention(batch, time))});
  }

  void forward(const Pass& pass, const void* x, const void* residual, void* y) override {
    Backend& backend = pass.backend;
    backend.linear_forward(qkv_shape(pass.rows()), x, parameters_.value(qkv_proj_), nullptr, qkv_);
    if (rotary_dim_ > 0) backend.rope_forward(rope(pass.batch, pass.time), qkv_);
    backend.attention_forward(attention(pass.batch, pass.time), qkv_, out_, lse_);
    backend.linear_forward(out_shape(pass.rows()), out_, parameters_.value(o_proj_), residual, y);
  }

  void backward(const Pass& pass, const void* x, const void* dy, void* dx) override {
    Backend& backend = pass.backend;
    const index_t rows = pass.rows();
    backend.linear_backward_weight(out_shape(rows), out_, dy, parameters_.gradient(o_proj_));
    backend.linear_backward_input(out_shape(rows), dy, parameters_.value(o_proj_), dout_);
    backend.attention_backward(attention(pass.batch, pass.time), dout_, qkv_, out_, lse_, dqkv_);
    if (rotary_dim_ > 0) backend.rope_backward(rope(pass.batch, pass.time), dqkv_);
    backend.linear_backward_weight(qkv_shape(rows), x, dqkv_, parameters_.gradient(qkv_proj_));
    backend.linear_backward_input(qkv_shape(rows), dqkv_, parameters_.value(qkv_proj_), dx);
  }

  std::unique_ptr<MixerDecoder> decoder() const override;

 private:
  friend class AttentionDecoder;

  LinearShape qkv_shape(index_t rows) const { return {rows, hidden_, attention_.packed_width()}; }
  LinearShape out_shape(index_t rows) const { return {rows, attention_.query_width(), hidden_}; }
  AttentionShape attention(index_t batch, index_t time) const {
    AttentionShape shape = attention_;
    shape.batch = batch;
    shape.time = time;
    return shape;
  }
  RopeShape rope(index_t batch, index_t time) const {
    return {batch,       time,       attention_.heads, attention_.kv_heads, attention_.head_dim,
            rotary_dim_, rope_theta_};
  }

  ParameterTable& parameters_;
  index_t hidden_;
  AttentionShape attention_;  // batch and time are those of the pass
  index_t rotary_dim_;
  double rope_theta_;
  ParameterId qkv_proj_{}, o_proj_{};
  void *qkv_ = nullptr, *out_ = nullptr, *lse_ = nullptr;
  void *dout_ = nullptr, *dqkv_ = nullptr;
};

}  // namespace lmx
