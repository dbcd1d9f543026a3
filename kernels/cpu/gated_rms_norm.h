// Mamba-2's gated, grouped RMSNorm (the gate comes before the norm): v = y ⊙ silu(z), out = v · rstd ·
// weight, with one rstd per group of cols/groups channels. The templates are the plain form (the oracle,
// double); the float overloads are in gated_rms_norm.cpp.
#pragma once

#include "mlp.h"

namespace lmx::cpu {

// y (rows, cols), z (rows, cols) strided, weight (cols) -> out (rows, cols), rstd (rows, groups).
template <class T>
void gated_rms_norm_forward(const Context&, const GatedNormShape& s, const T* y, StridedOf<const T*> z,
                            const T* weight, T* out, T* rstd) {
  const index_t width = s.cols / s.groups;
  for (index_t r = 0; r < s.rows; ++r) {
    for (index_t g = 0; g < s.groups; ++g) {
      T squares = 0;
      for (index_t c = g * width; c < (g + 1) * width; ++c) {
        const T v = y[r * s.cols + c] * activate(Activation::silu, z.data[r * z.stride + c]);
        out[r * s.cols + c] = v;
        squares += v * v;
      }
      const T scale = 1 / std::sqrt(squares / width + T(s.eps));
      rstd[r * s.groups + g] = scale;
      for (index_t c = g * width; c < (g + 1) * width; ++c) out[r * s.cols + c] *= scale * weight[c];
    }
  }
}

// dy and dz overwritten, dweight (cols) accumulates.
template <class T>
void gated_rms_norm_backward(const Context&, const GatedNormShape& s, const T* dout, const T* y,
                             StridedOf<const T*> z, const T* weight, const T* rstd, T* dy, StridedOf<T*> dz,
                             T* dweight) {
  const index_t width = s.cols / s.groups;
  for (index_t r = 0; r < s.rows; ++r) {
    for (index_t g = 0; g < s.groups; ++g) {
      const T scale = rstd[r * s.groups + g];
      T dot = 0;
      for (index_t c = g * width; c < (g + 1) * width; ++c) {
        const T v = y[r * s.cols + c] * activate(Activation::silu, z.data[r * z.stride + c]);
        dot += dout[r * s.cols + c] * weight[c] * v;
      }
      const T slope = dot / width * scale * scale;
      for (index_t c = g * width; c < (g + 1) * width; ++c) {
        const T gate = z.data[r * z.stride + c];
        const T v = y[r * s.cols + c] * activate(Activation::silu, gate);
        const T dv = scale * (dout[r * s.cols + c] * weight[c] - v * slope);
        dweight[c] += dout[r * s.cols + c] * v * scale;
        dz.data[r * dz.stride + c] = dv * y[r * s.cols + c] * activate_slope(Activation::silu, gate);
        dy[r * s.cols + c] = dv * activate(Activation::silu, gate);
      }
    }
  }
}

void gated_rms_norm_forward(const Context&, const GatedNormShape&, const float* y, StridedOf<const float*> z,
                            const float* weight, float* out, float* rstd);
void gated_rms_norm_backward(const Context&, const GatedNormShape&, const float* dout, const float* y,
                             StridedOf<const float*> z, const float* weight, const float* rstd, float* dy,
                             StridedOf<float*> dz, float* dweight);
std::size_t gated_rms_norm_workspace_bytes(const GatedNormShape&);  // of the float path

}  // namespace lmx::cpu
