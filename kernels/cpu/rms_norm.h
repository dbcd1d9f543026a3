// RMSNorm (Zhang & Sennrich, arXiv 1910.07467), per row: y = x · rstd · weight, rstd = 1 / sqrt(mean(x²) +
// eps). Backward, with g = dy · weight:
//   dx = dresidual + rstd · (g - x · rstd² · mean(g · x)),   dweight += Σ dy · x · rstd
// The templates are the plain form (the oracle, double); the float overloads are in rms_norm.cpp.
#pragma once

#include <cmath>

#include "context.h"

namespace lmx::cpu {

// x (rows, cols), weight (cols) -> y (rows, cols), rstd (rows).
template <class T>
void rms_norm_forward(const Context&, const NormShape& s, const T* x, const T* weight, T* y, T* rstd) {
  for (index_t r = 0; r < s.rows; ++r, x += s.cols, y += s.cols) {
    T squares = 0;
    for (index_t c = 0; c < s.cols; ++c) squares += x[c] * x[c];
    rstd[r] = 1 / std::sqrt(squares / s.cols + T(s.eps));
    for (index_t c = 0; c < s.cols; ++c) y[c] = x[c] * rstd[r] * weight[c];
  }
}

// dx may alias dresidual, which may be null; dweight (cols) accumulates.
template <class T>
void rms_norm_backward(const Context&, const NormShape& s, const T* dy, const T* x, const T* weight,
                       const T* rstd, const T* dresidual, T* dx, T* dweight) {
  for (index_t r = 0; r < s.rows; ++r) {
    const index_t row = r * s.cols;
    T dot = 0;
    for (index_t c = 0; c < s.cols; ++c) dot += dy[row + c] * weight[c] * x[row + c];
    const T slope = dot / s.cols * rstd[r] * rstd[r];
    for (index_t c = 0; c < s.cols; ++c) {
      const T base = dresidual ? dresidual[row + c] : T(0);
      dx[row + c] = base + rstd[r] * (dy[row + c] * weight[c] - x[row + c] * slope);
      dweight[c] += dy[row + c] * x[row + c] * rstd[r];
    }
  }
}

void rms_norm_forward(const Context&, const NormShape&, const float* x, const float* weight, float* y,
                      float* rstd);
void rms_norm_backward(const Context&, const NormShape&, const float* dy, const float* x, const float* weight,
                       const float* rstd, const float* dresidual, float* dx, float* dweight);
std::size_t rms_norm_workspace_bytes(const NormShape&);  // of the float path

}  // namespace lmx::cpu
