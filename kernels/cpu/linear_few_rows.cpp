#include "linear_few_rows.h"

#include <algorithm>

#include "simd.h"

namespace lmx::cpu {

using simd::Floats;

void linear_few_rows(const Context& context, const LinearShape& s, const float* x, const float* w, const float* residual,
                     float* y) {
  constexpr index_t block = 32;  // outputs of a task
  context.pool->parallel_for((s.out + block - 1) / block, [&](index_t task) {
    for (index_t o = task * block; o < std::min(s.out, (task + 1) * block); ++o) {
      Floats sums[most_few_rows] = {};
      simd::for_each_vector(s.in, [&](index_t i, index_t n) {
        const Floats weights = simd::load(w + o * s.in + i, n);
        for (index_t r = 0; r < s.rows; ++r) sums[r] += weights * simd::load(x + r * s.in + i, n);
      });
      for (index_t r = 0; r < s.rows; ++r) {
        const index_t at = r * s.out + o;
        y[at] = simd::sum(sums[r]) + (residual ? residual[at] : 0.0f);
      }
    }
  });
}

}  // namespace lmx::cpu
