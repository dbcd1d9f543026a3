// The innermost product of all dense work on the CPU (GEMM, SSD scan, attention), on operands that are
// already in cache:
//   c = initial + Σ_k a(i, k) · b(k, :)
// in tiles held in registers. a is read element by element (broadcast) at any strides, b and c in vectors
// along their rows. Each element of c is summed over k in ascending order by itself: its bits depend on
// nothing else.
#pragma once

#include "simd.h"

namespace lmx::cpu {

// AVX-512 and NEON have 32 registers, AVX2 and SSE 16: accumulators, one row of b and one broadcast must fit.
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr index_t tile_rows = 8;
#else
constexpr index_t tile_rows = 6;
#endif
constexpr index_t tile_vectors = 2;
constexpr index_t tile_cols = tile_vectors * simd::lanes;

// a(i, k) = data[i * row_stride + k * col_stride].
struct Broadcast {
  const float* data;
  index_t row_stride, col_stride;
};

struct MatmulSize {
  index_t rows, cols, depth;
};

// `initial` may be null (zero) and may equal c. With b_padded, b may be read up to the next multiple of
// tile_cols columns.
void matmul(MatmulSize size, Broadcast a, const float* b, index_t b_stride, const float* initial,
            index_t initial_stride, float* c, index_t c_stride, bool b_padded = false);

}  // namespace lmx::cpu
