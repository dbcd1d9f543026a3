// Rotary embedding in float: tasks are blocks of positions, whose angles (computed in double) serve all
// sequences and heads; see rope.h.
#include "rope.h"

#include <algorithm>

#include "scratch.h"
#include "simd.h"

namespace lmx::cpu {

void rope(const Context& context, const RopeShape& s, float* qkv, int direction) {
  constexpr index_t block = 16;  // positions of one task
  const index_t half = s.rotary_dim / 2, width = (s.heads + 2 * s.kv_heads) * s.head_dim;
  context.pool->parallel_for((s.time + block - 1) / block, [&](index_t task) {
    float* const cosine = ThreadScratch::floats(2 * half);
    float* const sine = cosine + half;
    for (index_t t = task * block; t < std::min(s.time, (task + 1) * block); ++t) {
      for (index_t i = 0; i < half; ++i) {
        const double angle = double(t) * std::pow(s.theta, -2.0 * double(i) / double(s.rotary_dim));
        cosine[i] = float(std::cos(angle));
        sine[i] = float(std::sin(angle) * direction);
      }
      for (index_t b = 0; b < s.batch; ++b) {
        for (index_t h = 0; h < s.heads + s.kv_heads; ++h) {
          float* const head = qkv + (b * s.time + t) * width + h * s.head_dim;
          simd::for_each_vector(half, [&](index_t i, index_t n) {
            const simd::Floats low = simd::load(head + i, n), high = simd::load(head + half + i, n);
            const simd::Floats c = simd::load(cosine + i, n), d = simd::load(sine + i, n);
            simd::store(head + i, low * c - high * d, n);
            simd::store(head + half + i, high * c + low * d, n);
          });
        }
      }
    }
  });
}

}  // namespace lmx::cpu
