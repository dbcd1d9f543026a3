// What a token leaves for those after it: its key and value, at its place in the cache. Keys are kept rotated (rope.h, but from a
// position on), so that nothing is turned twice.
#pragma once

#include <algorithm>
#include <cmath>

#include "../inference.h"
#include "context.h"

namespace lmx::cpu {

// qkv (batch * time, packed_width): q and k are rotated in place; keys, values (batch, kv_heads, context, head_dim).
template <class T>
void kv_cache_append(const Context& context, const CacheShape& s, T* qkv, T* keys, T* values, index_t position) {
  const index_t half = s.rotary_dim / 2;
  context.pool->parallel_for(s.batch * s.time, [&](index_t row) {
    const index_t at = position + row % s.time;
    T* const heads = qkv + row * s.packed_width();
    for (index_t i = 0; i < half; ++i) {
      const double angle = double(at) * std::pow(s.rope_theta, -2.0 * double(i) / double(s.rotary_dim));
      const T cosine = T(std::cos(angle)), sine = T(std::sin(angle));
      for (index_t h = 0; h < s.heads + s.kv_heads; ++h) {
        T* const head = heads + h * s.head_dim;
        const T low = head[i], high = head[i + half];
        head[i] = low * cosine - high * sine;
        head[i + half] = high * cosine + low * sine;
      }
    }
    for (index_t h = 0; h < s.kv_heads; ++h) {
      const index_t to = ((row / s.time * s.kv_heads + h) * s.context + at) * s.head_dim;
      std::copy_n(heads + (s.heads + h) * s.head_dim, s.head_dim, keys + to);
      std::copy_n(heads + (s.heads + s.kv_heads + h) * s.head_dim, s.head_dim, values + to);
    }
  });
}

}  // namespace lmx::cpu
