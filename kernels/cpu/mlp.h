// The first half of an MLP with its activation: u = x · w_upᵀ, then a = act(u), or a = act(gate) ⊙ up where
// u = [gate | up]. Activations: gelu_tanh and gelu_erf (Hendrycks & Gimpel, arXiv 1606.08415, tanh form and
// exact), relu2 = max(x, 0)² (So et al., arXiv 2109.08668), silu = x · sigmoid(x).
// The templates are the plain form (the oracle, double); the float overloads are in mlp.cpp.
#pragma once

#include <cmath>

#include "linear.h"

namespace lmx::cpu {

template <class T>
T sigmoid(T x) {
  return 1 / (1 + std::exp(-x));
}

// act(x).
template <class T>
T activate(Activation kind, T x) {
  switch (kind) {
    case Activation::gelu_tanh:
      return x / 2 * (1 + std::tanh(T(0.7978845608028654) * (x + T(0.044715) * x * x * x)));
    case Activation::gelu_erf: return x / 2 * (1 + std::erf(x * T(0.7071067811865476)));
    case Activation::relu2: return x > 0 ? x * x : T(0);
    case Activation::silu: return x * sigmoid(x);
  }
  return 0;
}

// act'(x).
template <class T>
T activate_slope(Activation kind, T x) {
  switch (kind) {
    case Activation::gelu_tanh: {
      const T t = std::tanh(T(0.7978845608028654) * (x + T(0.044715) * x * x * x));
      return (1 + t) / 2 + x / 2 * (1 - t * t) * T(0.7978845608028654) * (1 + 3 * T(0.044715) * x * x);
    }
    case Activation::gelu_erf:
      return (1 + std::erf(x * T(0.7071067811865476))) / 2 + x * T(0.3989422804014327) * std::exp(-x * x / 2);
    case Activation::relu2: return x > 0 ? 2 * x : T(0);
    case Activation::silu: return sigmoid(x) * (1 + x * (1 - sigmoid(x)));
  }
  return 0;
}

// act'(u) from what a forward without a gate saved: u, or a where the input is not kept.
template <class T>
T saved_slope(const MlpShape& s, T saved) {
  return s.keeps_input() ? activate_slope(s.activation, saved) : 2 * std::sqrt(saved);
}

// x (rows, hidden), w_up (up_width, hidden) -> u (rows, up_width), a (rows, width). Where u is not kept it waits in a.
template <class T>
void linear_activation_forward(const Context& context, const MlpShape& s, const T* x, const T* w_up, T* u,
                               T* a) {
  if (!s.keeps_input()) u = a;
  linear_forward<T>(context, {s.rows, s.hidden, s.up_width()}, x, w_up, nullptr, u);
  for (index_t r = 0; r < s.rows; ++r) {
    const T* row = u + r * s.up_width();
    for (index_t c = 0; c < s.width; ++c) {
      a[r * s.width + c] = activate(s.activation, row[c]) * (s.gated ? row[s.width + c] : T(1));
    }
  }
}

// dy (rows, hidden), w_down (hidden, width), saved (rows, up_width) -> du (rows, up_width).
template <class T>
void linear_activation_backward_input(const Context&, const MlpShape& s, const T* dy, const T* w_down,
                                      const T* saved, T* du) {
  for (index_t r = 0; r < s.rows; ++r) {
    const T* row = saved + r * s.up_width();
    T* drow = du + r * s.up_width();
    for (index_t c = 0; c < s.width; ++c) {
      T da = 0;
      for (index_t h = 0; h < s.hidden; ++h) da += dy[r * s.hidden + h] * w_down[h * s.width + c];
      if (!s.gated) {
        drow[c] = da * saved_slope(s, row[c]);
        continue;
      }
      drow[c] = da * row[s.width + c] * activate_slope(s.activation, row[c]);
      drow[s.width + c] = da * activate(s.activation, row[c]);
    }
  }
}

void linear_activation_forward(const Context&, const MlpShape&, const float* x, const float* w_up, float* u,
                               float* a);
void linear_activation_backward_input(const Context&, const MlpShape&, const float* dy, const float* w_down,
                                      const float* saved, float* du);

}  // namespace lmx::cpu
