// Sums over rows that give the same bits on any number of threads: the rows are cut into at most 64 chunks (a
// function of their number alone), each chunk is summed by one task into its own partial, and the partials
// are added in order.
#pragma once

#include <algorithm>

#include "context.h"
#include "simd.h"

namespace lmx::cpu {

constexpr index_t max_row_chunks = 64;
constexpr index_t min_chunk_rows = 16;

struct RowChunks {
  index_t rows, count;
  explicit RowChunks(index_t rows_)
      : rows(rows_), count(std::min(max_row_chunks, (rows_ + min_chunk_rows - 1) / min_chunk_rows)) {}
  index_t begin(index_t chunk) const { return rows * chunk / count; }
  index_t end(index_t chunk) const { return rows * (chunk + 1) / count; }
};

// Bytes of the partials of `cols` column sums.
inline std::size_t partials_bytes(index_t rows, index_t cols) {
  return static_cast<std::size_t>(RowChunks(rows).count * cols) * sizeof(float);
}

// out[c] += Σ_chunk partials[chunk * stride + c], chunks in order.
inline void add_partials(const Context& context, index_t chunks, index_t cols, const float* partials,
                         index_t stride, float* out) {
  constexpr index_t block = 1024;  // columns of one task
  context.pool->parallel_for((cols + block - 1) / block, [&](index_t task) {
    const index_t begin = task * block, count = std::min(block, cols - begin);
    simd::for_each_vector(count, [&](index_t c, index_t n) {
      simd::Floats sum{};
      for (index_t chunk = 0; chunk < chunks; ++chunk) {
        sum += simd::load(partials + chunk * stride + begin + c, n);
      }
      simd::store(out + begin + c, simd::load(out + begin + c, n) + sum, n);
    });
  });
}

}  // namespace lmx::cpu
