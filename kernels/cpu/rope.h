// Rotary position embedding (Su et al., arXiv 2104.09864) on q and k of a packed qkv, in place, in the
// "rotate half" pairing: channels (i, i + rotary_dim/2) of each head turn by the angle t ·
// theta^(-2i/rotary_dim). Backward is the inverse rotation. The template is the plain form (the oracle,
// double); the float overload is in rope.cpp.
#pragma once

#include <cmath>

#include "context.h"

namespace lmx::cpu {

// qkv (batch * time, (heads + 2 kv_heads) * head_dim); direction +1 is forward, -1 backward.
template <class T>
void rope(const Context&, const RopeShape& s, T* qkv, int direction) {
  const index_t half = s.rotary_dim / 2, width = (s.heads + 2 * s.kv_heads) * s.head_dim;
  for (index_t b = 0; b < s.batch; ++b) {
    for (index_t t = 0; t < s.time; ++t) {
      for (index_t i = 0; i < half; ++i) {
        const double angle = t * std::pow(s.theta, -2.0 * i / s.rotary_dim);
        const T cosine = T(std::cos(angle)), sine = T(std::sin(angle) * direction);
        for (index_t h = 0; h < s.heads + s.kv_heads; ++h) {
          T* head = qkv + (b * s.time + t) * width + h * s.head_dim;
          const T a = head[i], b2 = head[i + half];
          head[i] = a * cosine - b2 * sine;
          head[i + half] = b2 * cosine + a * sine;
        }
      }
    }
  }
}

void rope(const Context&, const RopeShape&, float* qkv, int direction);

}  // namespace lmx::cpu
