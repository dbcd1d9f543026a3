// Token embedding in float; see embedding.h. Backward cuts the columns, not the rows, into tasks: each walks
// all rows in order, so that rows of the same token are added in row order on any number of threads.
#include "embedding.h"

#include <algorithm>

#include "simd.h"

namespace lmx::cpu {

void embedding_forward(const Context& context, index_t rows, index_t cols, const std::int32_t* tokens,
                       const float* weight, float* x) {
  constexpr index_t block = 64;  // rows of one task
  context.pool->parallel_for((rows + block - 1) / block, [&](index_t task) {
    for (index_t r = task * block; r < std::min(rows, (task + 1) * block); ++r) {
      std::copy_n(weight + tokens[r] * cols, cols, x + r * cols);
    }
  });
}

void embedding_backward(const Context& context, index_t rows, index_t cols, const std::int32_t* tokens,
                        const float* dx, float* dweight) {
  constexpr index_t block = 2 * simd::lanes;  // columns of one task
  context.pool->parallel_for((cols + block - 1) / block, [&](index_t task) {
    const index_t begin = task * block, width = std::min(block, cols - begin);
    for (index_t r = 0; r < rows; ++r) {
      float* const to = dweight + tokens[r] * cols + begin;
      const float* const from = dx + r * cols + begin;
      simd::for_each_vector(width, [&](index_t c, index_t n) {
        simd::store(to + c, simd::load(to + c, n) + simd::load(from + c, n), n);
      });
    }
  });
}

}  // namespace lmx::cpu
