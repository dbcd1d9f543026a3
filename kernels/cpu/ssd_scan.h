// Mamba-2's state space duality scan (Dao & Gu, arXiv 2405.21060, section 6) in chunks, forward and exact
// backward. Per sequence and head, with Δ = max(softplus(dt + dt_bias), dt_min), A = -exp(a_log), s the
// cumulative sum of A·Δ inside the chunk, S its last value and h (head_dim, state) the state at its start:
//   y_i = Σ_{j<=i} (C_i·B_j) e^{s_i - s_j} Δ_j x_j + e^{s_i} h C_i + D x_i
//   h'  = e^S h + Σ_j e^{S - s_j} Δ_j x_j ⊗ B_j
// The templates are the plain form (the oracle, double); the float overloads are in
// ssd_scan_{forward,backward}.cpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "mlp.h"

namespace lmx::cpu {

// e^x for an exponent that is never positive; clamped, so that rounding cannot make a decay grow.
template <class T>
T decay(T exponent) {
  return std::exp(std::min(exponent, T(0)));
}

template <class T>
T softplus(T x) {
  return std::max(x, T(0)) + std::log1p(std::exp(-std::abs(x)));
}

// One chunk of one sequence and head: pointers to its first row, its steps and its decays.
template <class T>
struct SsdChunk {
  const T *x, *b, *c;  // rows `stride` apart: x (L, head_dim), B and C (L, state)
  index_t stride, length;
  std::vector<T> delta, s;    // Δ_i, s_i
  std::vector<bool> clamped;  // Δ_i is dt_min, and carries no gradient
  T a;                        // A

  SsdChunk(const SsdShape& shape, const T* xbc, StridedOf<const T*> dt, const T* a_log, const T* dt_bias,
           index_t batch, index_t head, index_t chunk)
      : stride(shape.channels()), a(-std::exp(a_log[head])) {
    const index_t group = head / (shape.heads / shape.groups), row = batch * shape.time + chunk * shape.chunk;
    x = xbc + row * stride + head * shape.head_dim;
    b = xbc + row * stride + shape.inner() + group * shape.state;
    c = b + shape.groups * shape.state;
    length = std::min(shape.chunk, shape.time - chunk * shape.chunk);
    T sum = 0;
    for (index_t i = 0; i < length; ++i) {
      const T step = softplus(dt.data[(row + i) * dt.stride + head] + dt_bias[head]);
      clamped.push_back(step < T(shape.dt_min));
      delta.push_back(std::max(step, T(shape.dt_min)));
      s.push_back(sum += a * delta[i]);
    }
  }

  T product(const T* p, index_t i, const T* q, index_t j, index_t count) const {
    T sum = 0;
    for (index_t n = 0; n < count; ++n) sum += p[i * stride + n] * q[j * stride + n];
    return sum;
  }
};

// xbc (batch * time, channels), dt (batch * time, heads) strided, a_log, d, dt_bias (heads) -> y (batch *
// time, inner), states (batch, chunks, heads, head_dim, state); initial_state and final_state (batch, heads,
// head_dim, state) or null.
template <class T>
void ssd_scan_forward(const Context&, const SsdShape& s, const T* xbc, StridedOf<const T*> dt, const T* a_log,
                      const T* d, const T* dt_bias, const T* initial_state, T* y, T* states, T* final_state) {
  const index_t cells = s.head_dim * s.state;
  for (index_t b = 0; b < s.batch; ++b) {
    for (index_t h = 0; h < s.heads; ++h) {
      std::vector<T> state(cells, T(0));
      const index_t sequence_state = (b * s.heads + h) * cells;
      if (initial_state) std::copy_n(initial_state + sequence_state, cells, state.begin());
      for (index_t k = 0; k < s.chunks(); ++k) {
        const SsdChunk<T> chunk(s, xbc, dt, a_log, dt_bias, b, h, k);
        std::copy_n(state.begin(), cells, states + ((b * s.chunks() + k) * s.heads + h) * cells);
        for (index_t i = 0; i < chunk.length; ++i) {
          T* out = y + (b * s.time + k * s.chunk + i) * s.inner() + h * s.head_dim;
          for (index_t p = 0; p < s.head_dim; ++p) {
            T carried = 0;
            for (index_t n = 0; n < s.state; ++n)
              carried += chunk.c[i * chunk.stride + n] * state[p * s.state + n];
            out[p] = decay(chunk.s[i]) * carried + d[h] * chunk.x[i * chunk.stride + p];
          }
          for (index_t j = 0; j <= i; ++j) {
            const T weight = chunk.product(chunk.c, i, chunk.b, j, s.state) * decay(chunk.s[i] - chunk.s[j]) *
                             chunk.delta[j];
            for (index_t p = 0; p < s.head_dim; ++p) out[p] += weight * chunk.x[j * chunk.stride + p];
          }
        }
        const T last = chunk.s.back();
        for (T& cell : state) cell *= decay(last);
        for (index_t j = 0; j < chunk.length; ++j) {
          const T weight = decay(last - chunk.s[j]) * chunk.delta[j];
          for (index_t p = 0; p < s.head_dim; ++p) {
            const T xw = weight * chunk.x[j * chunk.stride + p];
            for (index_t n = 0; n < s.state; ++n)
              state[p * s.state + n] += xw * chunk.b[j * chunk.stride + n];
          }
        }
      }
      if (final_state) std::copy_n(state.begin(), cells, final_state + sequence_state);
    }
  }
}

// The columns of ddt that belong to no head.
template <class T>
void clear_dt_padding(const SsdShape& s, StridedOf<T*> ddt) {
  for (index_t row = 0; s.dt_padding > 0 && row < s.batch * s.time; ++row) {
    std::fill_n(ddt.data + row * ddt.stride + s.heads, s.dt_padding, T(0));
  }
}

// dxbc and ddt overwritten, da_log, dd, ddt_bias (heads) accumulate; dfinal_state and dinitial_state may be
// null. Names: g = dL/dh at the chunk's end; v_j = dL/d(Δ_j x_j); ds = dL/ds; w_ij = the part of dL that
// flows through M_ij.
template <class T>
void ssd_scan_backward(const Context&, const SsdShape& s, const T* dy, const T* xbc, StridedOf<const T*> dt,
                       const T* a_log, const T* d, const T* dt_bias, const T* states, const T* dfinal_state,
                       T* dxbc, StridedOf<T*> ddt, T* da_log, T* dd, T* ddt_bias, T* dinitial_state) {
  const index_t cells = s.head_dim * s.state, P = s.head_dim, N = s.state;
  std::fill(dxbc, dxbc + s.batch * s.time * s.channels(), T(0));
  clear_dt_padding(s, ddt);
  for (index_t b = 0; b < s.batch; ++b) {
    for (index_t h = 0; h < s.heads; ++h) {
      std::vector<T> g(cells, T(0));
      if (dfinal_state) std::copy_n(dfinal_state + (b * s.heads + h) * cells, cells, g.begin());
      for (index_t k = s.chunks() - 1; k >= 0; --k) {
        const SsdChunk<T> chunk(s, xbc, dt, a_log, dt_bias, b, h, k);
        const index_t L = chunk.length, row = b * s.time + k * s.chunk;
        const T last = chunk.s.back();
        const T* state = states + ((b * s.chunks() + k) * s.heads + h) * cells;
        const T* dout = dy + row * s.inner() + h * P;
        T* dx = dxbc + (chunk.x - xbc);
        T* db = dxbc + (chunk.b - xbc);
        T* dc = dxbc + (chunk.c - xbc);
        std::vector<T> v(L * P, T(0)), ds(L, T(0)), ddelta(L, T(0));

        for (index_t j = 0; j < L; ++j) {
          // Through the state at the chunk's end: h' has the term e^{S - s_j} Δ_j x_j ⊗ B_j.
          const T weight = decay(last - chunk.s[j]);
          T through_decay = 0;
          for (index_t n = 0; n < N; ++n) {
            T gx = 0;
            for (index_t p = 0; p < P; ++p) {
              v[j * P + p] += weight * g[p * N + n] * chunk.b[j * chunk.stride + n];
              gx += g[p * N + n] * chunk.x[j * chunk.stride + p];
            }
            db[j * chunk.stride + n] += weight * chunk.delta[j] * gx;
            through_decay += weight * chunk.delta[j] * gx * chunk.b[j * chunk.stride + n];
          }
          ds[j] -= through_decay;
          ds[L - 1] += through_decay;
        }
        for (index_t i = 0; i < L; ++i) {
          // Through the state at the chunk's start: y_i has the term e^{s_i} h C_i.
          for (index_t n = 0; n < N; ++n) {
            T hdy = 0;
            for (index_t p = 0; p < P; ++p) hdy += state[p * N + n] * dout[i * s.inner() + p];
            dc[i * chunk.stride + n] += decay(chunk.s[i]) * hdy;
            ds[i] += decay(chunk.s[i]) * hdy * chunk.c[i * chunk.stride + n];
          }
          // Inside the chunk.
          for (index_t j = 0; j <= i; ++j) {
            T dyx = 0;
            for (index_t p = 0; p < P; ++p) dyx += dout[i * s.inner() + p] * chunk.x[j * chunk.stride + p];
            const T e = decay(chunk.s[i] - chunk.s[j]), cb = chunk.product(chunk.c, i, chunk.b, j, N);
            const T dcb = e * chunk.delta[j] * dyx, w = cb * dcb;
            for (index_t p = 0; p < P; ++p) v[j * P + p] += cb * e * dout[i * s.inner() + p];
            for (index_t n = 0; n < N; ++n) {
              db[j * chunk.stride + n] += dcb * chunk.c[i * chunk.stride + n];
              dc[i * chunk.stride + n] += dcb * chunk.b[j * chunk.stride + n];
            }
            ds[i] += w;
            ds[j] -= w;
          }
        }
        for (index_t j = 0; j < L; ++j) {
          for (index_t p = 0; p < P; ++p) {
            const T x = chunk.x[j * chunk.stride + p], o = dout[j * s.inner() + p];
            dx[j * chunk.stride + p] += chunk.delta[j] * v[j * P + p] + d[h] * o;
            ddelta[j] += x * v[j * P + p];
            dd[h] += o * x;
          }
        }
        for (index_t cell = 0; cell < cells; ++cell) ds[L - 1] += decay(last) * state[cell] * g[cell];

        // s is the cumulative sum of A·Δ: its gradient is the reverse cumulative sum.
        T da = 0;
        for (index_t j = L - 1; j >= 0; --j) {
          da += ds[j];
          da_log[h] += chunk.a * chunk.delta[j] * da;
          const T raw = dt.data[(row + j) * dt.stride + h] + dt_bias[h];
          const T step = chunk.clamped[j] ? T(0) : (ddelta[j] + chunk.a * da) * sigmoid(raw);
          ddt.data[(row + j) * ddt.stride + h] = step;
          ddt_bias[h] += step;
        }
        for (T& cell : g) cell *= decay(last);
        for (index_t i = 0; i < L; ++i) {
          for (index_t p = 0; p < P; ++p) {
            const T weight = decay(chunk.s[i]) * dout[i * s.inner() + p];
            for (index_t n = 0; n < N; ++n) g[p * N + n] += weight * chunk.c[i * chunk.stride + n];
          }
        }
      }
      if (dinitial_state) std::copy_n(g.begin(), cells, dinitial_state + (b * s.heads + h) * cells);
    }
  }
}

void ssd_scan_forward(const Context&, const SsdShape&, const float* xbc, StridedOf<const float*> dt,
                      const float* a_log, const float* d, const float* dt_bias, const float* initial_state,
                      float* y, float* states, float* final_state);
void ssd_scan_backward(const Context&, const SsdShape&, const float* dy, const float* xbc,
                       StridedOf<const float*> dt, const float* a_log, const float* d, const float* dt_bias,
                       const float* states, const float* dfinal_state, float* dxbc, StridedOf<float*> ddt,
                       float* da_log, float* dd, float* ddt_bias, float* dinitial_state);
std::size_t ssd_scan_workspace_bytes(const SsdShape&);  // of the float path

}  // namespace lmx::cpu
