// One layer of the residual stream: y = x + mixer(RMSNorm(x)).
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "model/mixer.h"

namespace lmx {

class Layer {
 public:
  // `make_mixer` is called after the norm is declared, so that parameters are in model order.
  template <class MakeMixer>
  Layer(const ModelConfig& model, ParameterTable& parameters, const std::string& prefix, MakeMixer make_mixer)
      : parameters_(parameters), hidden_(model.hidden), eps_(model.norm_eps) {
    norm_ = parameters.add(Storage::vector, {{prefix + "norm.weight", {hidden_}, {Initializer::Kind::one}}});
    mixer_ = make_mixer(prefix + "mixer.");
  }

  void plan_saved(Arena& arena, const Precision& precision, index_t batch, index_t time) {
    normed_ = arena.take(Region::activations, batch * time * hidden_, precision.act);
    rstd_ = arena.take(Region::activations, batch * time, precision.stat);
    mixer_->plan_saved(arena, precision, batch, time);
  }

  void plan_transient(Arena& arena, const Precision& precision, index_t batch, index_t time) {
    mixer_->plan_transient(arena, precision, batch, time);
  }

  std::size_t workspace_bytes(const Backend& backend, index_t batch, index_t time) const {
    return std::max(backend.workspace_bytes(norm_shape(batch * time)),
                    mixer_->workspace_bytes(backend, batch, time));
  }

  // x and y (rows, hidden); x must stay until backward.
  void forward(const Pass& pass, const void* x, void* y) {
    pass.backend.rms_norm_forward(norm_shape(pass.rows()), x, parameters_.value(norm_), normed_, rstd_);
    mixer_->forward(pass, normed_, x, y);
  }

  // dresidual (rows, hidden): d loss / dy on entry, d loss / dx on return. dnormed (rows, hidden) is scratch.
  void backward(const Pass& pass, const void* x, void* dresidual, void* dnormed) {
    mixer_->backward(pass, normed_, dresidual, dnormed);
    pass.backend.rms_norm_backward(norm_shape(pass.rows()), dnormed, x, parameters_.value(norm_), rstd_,
                                   dresidual, dresidual, parameters_.gradient(norm_));
  }

 private:
  friend class ModelDecoder;

  NormShape norm_shape(index_t rows) const { return {rows, hidden_, eps_}; }

  ParameterTable& parameters_;
  index_t hidden_;
  double eps_;
  ParameterId norm_{};
  std::unique_ptr<Mixer> mixer_;
  void *normed_ = nullptr, *rstd_ = nullptr;
};

}  // namespace lmx
