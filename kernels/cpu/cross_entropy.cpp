// Cross-entropy in float, in two passes over a row: the maximum, then e^(x - max) with its sum, written back
// in place and scaled while the row is in cache; see cross_entropy.h.
#include "cross_entropy.h"

#include <limits>

#include "simd.h"

namespace lmx::cpu {

using simd::Floats;

void cross_entropy(const Context& context, const CrossEntropyShape& s, float* logits,
                   const std::int32_t* targets, float* row_loss, std::uint8_t* row_correct,
                   double inverse_target_count, bool write_gradient) {
  constexpr index_t block = 16;  // rows of one task
  context.pool->parallel_for((s.rows + block - 1) / block, [&](index_t task) {
    for (index_t r = task * block; r < std::min(s.rows, (task + 1) * block); ++r) {
      float* const row = logits + r * s.vocab;
      const index_t target = targets[r];
      if (target < 0) {
        row_loss[r] = 0;
        if (row_correct) row_correct[r] = 0;
        if (write_gradient) std::fill_n(row, s.vocab, 0.0f);
        continue;
      }
      Floats largest = simd::splat(-std::numeric_limits<float>::infinity());
      simd::for_each_vector(s.vocab, [&](index_t c, index_t n) {
        largest = n == simd::lanes ? simd::max(simd::load(row + c), largest) : largest;
        for (index_t i = 0; n < simd::lanes && i < n; ++i) largest[0] = std::max(largest[0], row[c + i]);
      });
      const float maximum = simd::maximum(largest);
      // Correct when the first largest logit is the target's: none of the same value comes before it.
      if (row_correct)
        row_correct[r] = row[target] == maximum && std::find(row, row + target, maximum) == row + target;
      const float own = row[target];
      Floats sum{};
      float rest = 0;  // of the last, partial vector
      simd::for_each_vector(s.vocab, [&](index_t c, index_t n) {
        const Floats e = simd::exp(simd::load(row + c, n) - maximum);
        if (write_gradient) simd::store(row + c, e, n);
        if (n == simd::lanes) sum += e;
        for (index_t i = 0; n < simd::lanes && i < n; ++i) rest += e[i];
      });
      const float total = simd::sum(sum) + rest;
      row_loss[r] = (maximum - own) + std::log(total);
      if (!write_gradient) continue;
      const float scale = static_cast<float>(inverse_target_count) / total;
      simd::for_each_vector(
          s.vocab, [&](index_t c, index_t n) { simd::store(row + c, simd::load(row + c, n) * scale, n); });
      row[target] -= static_cast<float>(inverse_target_count);
    }
  });
}

}  // namespace lmx::cpu
