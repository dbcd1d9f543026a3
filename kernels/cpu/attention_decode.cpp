// Decoding attention in float: a task is one row and query head, which goes over the cache once with a running softmax.
#include "attention_decode.h"

#include "scratch.h"
#include "simd.h"

namespace lmx::cpu {

using simd::Floats;

void attention_decode(const Context& context, const CacheShape& s, const float* qkv, const float* keys,
                      const float* values, index_t position, float* out) {
  constexpr index_t block = 64;  // keys whose softmax is brought to one maximum at a time
  const index_t group = s.heads / s.kv_heads, D = s.head_dim;
  context.pool->parallel_for(s.batch * s.time * s.heads, [&](index_t task) {
    const index_t row = task / s.heads, h = task % s.heads, visible = position + row % s.time + 1;
    const index_t at = (row / s.time * s.kv_heads + h / group) * s.context * D;
    const float* const q = qkv + row * s.packed_width() + h * D;
    float* const scores = ThreadScratch::floats(block + D);
    float* const o = scores + block;
    std::fill_n(o, D, 0.0f);
    float maximum = -std::numeric_limits<float>::infinity(), sum = 0;
    for (index_t first = 0; first < visible; first += block) {
      const index_t count = std::min(block, visible - first);
      float largest = maximum;
      for (index_t j = 0; j < count; ++j) {
        Floats product{};
        simd::for_each_vector(D, [&](index_t i, index_t n) {
          product += simd::load(q + i, n) * simd::load(keys + at + (first + j) * D + i, n);
        });
        scores[j] = float(s.scale) * simd::sum(product);
        largest = std::max(largest, scores[j]);
      }
      const float shrink = std::exp(maximum - largest);
      sum *= shrink;
      simd::for_each_vector(D, [&](index_t i, index_t n) { simd::store(o + i, simd::load(o + i, n) * shrink, n); });
      for (index_t j = 0; j < count; ++j) {
        const float p = std::exp(scores[j] - largest);
        sum += p;
        simd::for_each_vector(D, [&](index_t i, index_t n) {
          simd::store(o + i, simd::load(o + i, n) + p * simd::load(values + at + (first + j) * D + i, n), n);
        });
      }
      maximum = largest;
    }
    float* const to = out + task * D;
    simd::for_each_vector(D, [&](index_t i, index_t n) { simd::store(to + i, simd::load(o + i, n) * (1 / sum), n); });
  });
}

}  // namespace lmx::cpu
