// Σ g² in float: 64 fixed chunks, blocks of 4096 summed in float lanes and added up in double; see
// gradient_norm.h.
#include "gradient_norm.h"

#include <algorithm>

#include "simd.h"

namespace lmx::cpu {

double sum_of_squares(const Context& context, index_t count, const float* values) {
  constexpr index_t chunks = 64, block = 4096;
  double partial[chunks];
  context.pool->parallel_for(chunks, [&](index_t chunk) {
    const index_t begin = count * chunk / chunks, end = count * (chunk + 1) / chunks;
    double sum = 0;
    for (index_t at = begin; at < end; at += block) {
      simd::Floats lanes[4] = {};
      index_t i = 0;
      simd::for_each_vector(std::min(block, end - at), [&](index_t c, index_t n) {
        const simd::Floats g = simd::load(values + at + c, n);
        lanes[i++ % 4] += g * g;
      });
      sum += simd::sum((lanes[0] + lanes[1]) + (lanes[2] + lanes[3]));
    }
    partial[chunk] = sum;
  });
  double sum = 0;
  for (const double p : partial) sum += p;
  return sum;
}

}  // namespace lmx::cpu
