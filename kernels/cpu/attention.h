// Causal softmax attention with grouped kv heads: query head h reads kv head h / (heads / kv_heads),
//   out_i = Σ_{j<=i} softmax_j(scale · q_i·k_j) v_j
// Backward from the saved log-sum-exp, with delta_i = dout_i · out_i (Dao et al., arXiv 2205.14135):
//   ds = p · (dout·v - delta) · scale
// The templates are the plain form (the oracle, double); the float overloads are in
// attention_{forward,backward}.cpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "context.h"

namespace lmx::cpu {

// Where one (sequence, head) lives inside packed qkv rows; the element offsets of row 0.
struct HeadOffsets {
  index_t q, k, v;
};

inline HeadOffsets head_offsets(const AttentionShape& s, index_t batch, index_t head) {
  const index_t row = batch * s.time * s.packed_width();
  const index_t kv = head / (s.heads / s.kv_heads);
  return {row + head * s.head_dim, row + (s.heads + kv) * s.head_dim,
          row + (s.heads + s.kv_heads + kv) * s.head_dim};
}

template <class T>
T dot(const T* a, const T* b, index_t count) {
  T sum = 0;
  for (index_t i = 0; i < count; ++i) sum += a[i] * b[i];
  return sum;
}

// qkv (batch * time, packed_width) -> out (batch * time, query_width), lse (batch, heads, time).
template <class T>
void attention_forward(const Context&, const AttentionShape& s, const T* qkv, T* out, T* lse) {
  const index_t width = s.packed_width();
  for (index_t b = 0; b < s.batch; ++b) {
    for (index_t h = 0; h < s.heads; ++h) {
      const HeadOffsets at = head_offsets(s, b, h);
      for (index_t i = 0; i < s.time; ++i) {
        const T* q = qkv + at.q + i * width;
        T maximum = -std::numeric_limits<T>::infinity(), sum = 0;
        for (index_t j = 0; j <= i; ++j) {
          maximum = std::max(maximum, T(s.scale) * dot(q, qkv + at.k + j * width, s.head_dim));
        }
        T* o = out + (b * s.time + i) * s.query_width() + h * s.head_dim;
        std::fill(o, o + s.head_dim, T(0));
        for (index_t j = 0; j <= i; ++j) {
          const T p = std::exp(T(s.scale) * dot(q, qkv + at.k + j * width, s.head_dim) - maximum);
          sum += p;
          for (index_t d = 0; d < s.head_dim; ++d) o[d] += p * qkv[at.v + j * width + d];
        }
        for (index_t d = 0; d < s.head_dim; ++d) o[d] /= sum;
        lse[(b * s.heads + h) * s.time + i] = maximum + std::log(sum);
      }
    }
  }
}

// dqkv (batch * time, packed_width) overwritten.
template <class T>
void attention_backward(const Context&, const AttentionShape& s, const T* dout, const T* qkv, const T* out,
                        const T* lse, T* dqkv) {
  const index_t width = s.packed_width();
  std::fill(dqkv, dqkv + s.batch * s.time * width, T(0));
  for (index_t b = 0; b < s.batch; ++b) {
    for (index_t h = 0; h < s.heads; ++h) {
      const HeadOffsets at = head_offsets(s, b, h);
      for (index_t i = 0; i < s.time; ++i) {
        const index_t o = (b * s.time + i) * s.query_width() + h * s.head_dim;
        const T delta = dot(dout + o, out + o, s.head_dim);
        for (index_t j = 0; j <= i; ++j) {
          const index_t q = at.q + i * width, k = at.k + j * width, v = at.v + j * width;
          const T score = T(s.scale) * dot(qkv + q, qkv + k, s.head_dim);
          const T p = std::exp(score - lse[(b * s.heads + h) * s.time + i]);
          const T ds = p * (dot(dout + o, qkv + v, s.head_dim) - delta) * T(s.scale);
          for (index_t d = 0; d < s.head_dim; ++d) {
            dqkv[v + d] += p * dout[o + d];
            dqkv[q + d] += ds * qkv[k + d];
            dqkv[k + d] += ds * qkv[q + d];
          }
        }
      }
    }
  }
}

void attention_forward(const Context&, const AttentionShape&, const float* qkv, float* out, float* lse);
void attention_backward(const Context&, const AttentionShape&, const float* dout, const float* qkv,
                        const float* out, const float* lse, float* dqkv);

}  // namespace lmx::cpu
