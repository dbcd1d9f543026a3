// Linear layer without bias: y = x · wᵀ (+ residual), dx = dy · w, dw += dyᵀ · x.  x (rows, in), w (out, in),
// y (rows, out), rows y_stride() apart. The templates are the plain form (the oracle, double); the float overloads, on the blocked
// GEMM, are in linear.cpp.
#pragma once

#include "context.h"

namespace lmx::cpu {

// residual, in rows like y's, may be null and may alias y.
template <class T>
void linear_forward(const Context&, const LinearShape& s, const T* x, const T* w, const T* residual, T* y) {
  for (index_t r = 0; r < s.rows; ++r) {
    for (index_t o = 0; o < s.out; ++o) {
      T sum = 0;
      for (index_t i = 0; i < s.in; ++i) sum += x[r * s.in + i] * w[o * s.in + i];
      y[r * s.y_stride() + o] = sum + (residual ? residual[r * s.y_stride() + o] : T(0));
    }
  }
}

template <class T>
void linear_backward_input(const Context&, const LinearShape& s, const T* dy, const T* w, T* dx) {
  for (index_t r = 0; r < s.rows; ++r) {
    for (index_t i = 0; i < s.in; ++i) dx[r * s.in + i] = 0;
    for (index_t o = 0; o < s.out; ++o) {
      for (index_t i = 0; i < s.in; ++i) dx[r * s.in + i] += dy[r * s.y_stride() + o] * w[o * s.in + i];
    }
  }
}

// dw (out, in) accumulates.
template <class T>
void linear_backward_weight(const Context&, const LinearShape& s, const T* x, const T* dy, T* dw) {
  for (index_t r = 0; r < s.rows; ++r) {
    for (index_t o = 0; o < s.out; ++o) {
      for (index_t i = 0; i < s.in; ++i) dw[o * s.in + i] += dy[r * s.y_stride() + o] * x[r * s.in + i];
    }
  }
}

void linear_forward(const Context&, const LinearShape&, const float* x, const float* w, const float* residual,
                    float* y);
void linear_backward_input(const Context&, const LinearShape&, const float* dy, const float* w, float* dx);
void linear_backward_weight(const Context&, const LinearShape&, const float* x, const float* dy, float* dw);

}  // namespace lmx::cpu
