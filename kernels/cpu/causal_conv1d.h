// Depthwise causal convolution with SiLU, as in Mamba; x is zero before the sequence starts:
//   pre[t] = bias + Σ_k w[c,k] · x[t - (width-1) + k],   y = silu(pre)
// Channel-last; the sequences of a batch do not see each other. The templates are the plain form (the oracle,
// double); the float overloads are in causal_conv1d.cpp.
#pragma once

#include "mlp.h"

namespace lmx::cpu {

// The convolution at one time step and channel; x points at the sequence's first row.
template <class T>
T causal_conv1d_at(const ConvShape& s, const T* x, index_t stride, const T* w, const T* bias, index_t t,
                   index_t c) {
  T sum = bias[c];
  for (index_t k = 0; k < s.width; ++k) {
    const index_t source = t - (s.width - 1) + k;
    if (source >= 0) sum += w[c * s.width + k] * x[source * stride + c];
  }
  return sum;
}

// x (batch * time, channels) strided, w (channels, width), bias (channels) -> y (batch * time, channels).
template <class T>
void causal_conv1d_forward(const Context&, const ConvShape& s, StridedOf<const T*> x, const T* w,
                           const T* bias, T* y) {
  for (index_t b = 0; b < s.batch; ++b) {
    const T* sequence = x.data + b * s.time * x.stride;
    for (index_t t = 0; t < s.time; ++t) {
      for (index_t c = 0; c < s.channels; ++c) {
        const T pre = causal_conv1d_at(s, sequence, x.stride, w, bias, t, c);
        y[(b * s.time + t) * s.channels + c] = activate(Activation::silu, pre);
      }
    }
  }
}

// dx overwritten; dw (channels, width) and dbias (channels) accumulate.
template <class T>
void causal_conv1d_backward(const Context&, const ConvShape& s, const T* dy, StridedOf<const T*> x,
                            const T* w, const T* bias, StridedOf<T*> dx, T* dw, T* dbias) {
  for (index_t b = 0; b < s.batch; ++b) {
    const T* sequence = x.data + b * s.time * x.stride;
    T* dsequence = dx.data + b * s.time * dx.stride;
    for (index_t t = 0; t < s.time; ++t) {
      for (index_t c = 0; c < s.channels; ++c) dsequence[t * dx.stride + c] = 0;
    }
    for (index_t t = 0; t < s.time; ++t) {
      for (index_t c = 0; c < s.channels; ++c) {
        const T pre = causal_conv1d_at(s, sequence, x.stride, w, bias, t, c);
        const T dpre = dy[(b * s.time + t) * s.channels + c] * activate_slope(Activation::silu, pre);
        dbias[c] += dpre;
        for (index_t k = 0; k < s.width; ++k) {
          const index_t source = t - (s.width - 1) + k;
          if (source < 0) continue;
          dsequence[source * dx.stride + c] += w[c * s.width + k] * dpre;
          dw[c * s.width + k] += sequence[source * x.stride + c] * dpre;
        }
      }
    }
  }
}

void causal_conv1d_forward(const Context&, const ConvShape&, StridedOf<const float*> x, const float* w,
                           const float* bias, float* y);
void causal_conv1d_backward(const Context&, const ConvShape&, const float* dy, StridedOf<const float*> x,
                            const float* w, const float* bias, StridedOf<float*> dx, float* dw, float* dbias);
std::size_t causal_conv1d_workspace_bytes(const ConvShape&);  // of the float path

}  // namespace lmx::cpu
