// The SSD scan of ssd_scan.h as the recurrence it is, token by token, for decoding. Per sequence and head, with
// Δ = max(softplus(dt + dt_bias), dt_min) and A = -exp(a_log):
//   h <- e^{A Δ} h + Δ x ⊗ B,   y = h C + D x
// The template is the plain form (the oracle, double); the float overload is in ssd_state_update.cpp.
#pragma once

#include "ssd_scan.h"

namespace lmx::cpu {

// xbc (batch * time, channels), dt (batch * time, heads) strided, state (batch, heads, head_dim, state) in and out.
template <class T>
void ssd_state_update(const Context&, const SsdShape& s, const T* xbc, StridedOf<const T*> dt, const T* a_log, const T* d,
                      const T* dt_bias, T* state, T* y) {
  for (index_t b = 0; b < s.batch; ++b) {
    for (index_t h = 0; h < s.heads; ++h) {
      T* const head = state + (b * s.heads + h) * s.head_dim * s.state;
      for (index_t t = 0; t < s.time; ++t) {
        const index_t row = b * s.time + t;
        const T* const x = xbc + row * s.channels() + h * s.head_dim;
        const T* const into = xbc + row * s.channels() + s.inner() + h / (s.heads / s.groups) * s.state;
        const T* const out_of = into + s.groups * s.state;
        const T delta = std::max(softplus(dt.data[row * dt.stride + h] + dt_bias[h]), T(s.dt_min));
        const T keep = decay(-std::exp(a_log[h]) * delta);
        for (index_t p = 0; p < s.head_dim; ++p) {
          T sum = d[h] * x[p];
          for (index_t n = 0; n < s.state; ++n) {
            T& cell = head[p * s.state + n];
            cell = keep * cell + delta * x[p] * into[n];
            sum += cell * out_of[n];
          }
          y[row * s.inner() + h * s.head_dim + p] = sum;
        }
      }
    }
  }
}

void ssd_state_update(const Context&, const SsdShape&, const float* xbc, StridedOf<const float*> dt, const float* a_log,
                      const float* d, const float* dt_bias, float* state, float* y);

}  // namespace lmx::cpu
