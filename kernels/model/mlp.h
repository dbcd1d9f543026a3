// The MLP mixer: up projection, activation, down projection; gated (arXiv 2002.05202), it is act(gate x) ⊙
// (up x) with gate and up in one matrix. No biases.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "model/mixer.h"

namespace lmx {

// lmx_activation as the operations name it.
inline Activation mlp_activation(int32_t name) {
  switch (name) {
    case LMX_GELU_TANH: return Activation::gelu_tanh;
    case LMX_GELU_ERF: return Activation::gelu_erf;
    case LMX_RELU2: return Activation::relu2;
    case LMX_SILU: return Activation::silu;
  }
  return Activation::silu;  // unreachable: validated
}

class MlpMixer final : public Mixer {
 public:
  explicit MlpMixer(const MixerContext& context)
      : parameters_(context.parameters),
        mlp_{0, context.model.hidden, context.layer.width, mlp_activation(context.layer.activation),
             context.layer.gated != 0} {
    const auto name = [&](const char* tail) { return context.prefix + tail; };
    std::vector<TensorSpec> up;
    if (mlp_.gated)
      up.push_back({name("gate_proj.weight"), {mlp_.width, mlp_.hidden}, context.input_weights()});
    up.push_back({name("up_proj.weight"), {mlp_.width, mlp_.hidden}, context.input_weights()});
    up_proj_ = parameters_.add(Storage::matrix, std::move(up));
    down_proj_ = parameters_.add(
        Storage::matrix, {{name("down_proj.weight"), {mlp_.hidden, mlp_.width}, context.output_weights()}});
  }

  void plan_saved(Arena& arena, const Precision& precision, index_t batch, index_t time) override {
    if (mlp_.keeps_input()) u_ = arena.take(Region::activations, batch * time * mlp_.up_width(), precision.act);
    a_ = arena.take(Region::activations, batch * time * mlp_.width, precision.act);
  }

  void plan_transient(Arena& arena, const Precision& precision, index_t batch, index_t time) override {
    du_ = arena.take(Region::activations, batch * time * mlp_.up_width(), precision.act);
  }

  std::size_t workspace_bytes(const Backend& backend, index_t batch, index_t time) const override {
    return std::max(backend.workspace_bytes(up_shape(batch * time)),
                    backend.workspace_bytes(down_shape(batch * time)));
  }

  void forward(const Pass& pass, const void* x, const void* residual, void* y) override {
    const index_t rows = pass.rows();
    pass.backend.linear_activation_forward(mlp(rows), x, parameters_.value(up_proj_), u_, a_);
    pass.backend.linear_forward(down_shape(rows), a_, parameters_.value(down_proj_), residual, y);
  }

  void backward(const Pass& pass, const void* x, const void* dy, void* dx) override {
    const index_t rows = pass.rows();
    pass.backend.linear_backward_weight(down_shape(rows), a_, dy, parameters_.gradient(down_proj_));
    pass.backend.linear_activation_backward_input(mlp(rows), dy, parameters_.value(down_proj_),
                                                  mlp_.keeps_input() ? u_ : a_, du_);
    pass.backend.linear_backward_weight(up_shape(rows), x, du_, parameters_.gradient(up_proj_));
    pass.backend.linear_backward_input(up_shape(rows), du_, parameters_.value(up_proj_), dx);
  }

  std::unique_ptr<MixerDecoder> decoder() const override;

 private:
  friend class MlpDecoder;

  LinearShape up_shape(index_t rows) const { return {rows, mlp_.hidden, mlp_.up_width()}; }
  LinearShape down_shape(index_t rows) const { return {rows, mlp_.width, mlp_.hidden}; }
  MlpShape mlp(index_t rows) const {
    MlpShape shape = mlp_;
    shape.rows = rows;
    return shape;
  }

  ParameterTable& parameters_;
  MlpShape mlp_;  // rows are those of the pass
  ParameterId up_proj_{}, down_proj_{};
  void *u_ = nullptr, *a_ = nullptr, *du_ = nullptr;  // u_: where the backward needs it
};

}  // namespace lmx
