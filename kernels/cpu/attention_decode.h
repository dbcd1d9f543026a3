// Attention of new tokens over a cache of keys and values; query head h reads kv head h / (heads / kv_heads):
//   out_i = Σ_{j<=i} softmax_j(scale · q_i·k_j) v_j
// The template is the plain form (the oracle, double); the float overload is in attention_decode.cpp.
#pragma once

#include "../inference.h"
#include "attention.h"

namespace lmx::cpu {

// qkv (batch * time, packed_width), keys and values as kv_cache_append leaves them -> out (batch * time, heads * head_dim).
template <class T>
void attention_decode(const Context&, const CacheShape& s, const T* qkv, const T* keys, const T* values, index_t position,
                      T* out) {
  const index_t group = s.heads / s.kv_heads, D = s.head_dim;
  for (index_t row = 0; row < s.batch * s.time; ++row) {
    const index_t visible = position + row % s.time + 1;
    for (index_t h = 0; h < s.heads; ++h) {
      const index_t at = (row / s.time * s.kv_heads + h / group) * s.context * D;
      const T* const q = qkv + row * s.packed_width() + h * D;
      T* const o = out + (row * s.heads + h) * D;
      T maximum = -std::numeric_limits<T>::infinity(), sum = 0;
      for (index_t j = 0; j < visible; ++j) maximum = std::max(maximum, T(s.scale) * dot(q, keys + at + j * D, D));
      std::fill(o, o + D, T(0));
      for (index_t j = 0; j < visible; ++j) {
        const T p = std::exp(T(s.scale) * dot(q, keys + at + j * D, D) - maximum);
        sum += p;
        for (index_t i = 0; i < D; ++i) o[i] += p * values[at + j * D + i];
      }
      for (index_t i = 0; i < D; ++i) o[i] /= sum;
    }
  }
}

void attention_decode(const Context&, const CacheShape&, const float* qkv, const float* keys, const float* values,
                      index_t position, float* out);

}  // namespace lmx::cpu
