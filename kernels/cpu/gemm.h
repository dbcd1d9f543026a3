// Matrix products of any size in float: C (m, n) = initial + A (m, k) · B (k, n), blocked for the caches,
// packed, on matmul's register tiles. C is cut into tiles by a pure function of the shape (Tiling); each is
// one task, so every element of C is computed by one task in one order, on any number of threads.
#pragma once

#include "context.h"
#include "matmul.h"

namespace lmx::cpu {

// element(i, j) = data[i * row_stride + j * col_stride]; one of the strides is 1.
struct Matrix {
  const float* data;
  index_t row_stride, col_stride;
};

struct Gemm {
  index_t m, n, k;
  Matrix a, b;
  const float* initial;  // (m, n) rows `initial_stride` apart; null = zero; may equal c
  index_t initial_stride;
  float* c;
  index_t c_stride;
};

struct Tile {
  index_t row, rows, col, cols;
};

// How C is cut: into tiles of nearly equal size, at most max_rows x max_cols each, and smaller ones (not
// below 64 x 64) while there are fewer than `wanted`.
class Tiling {
 public:
  Tiling(index_t m, index_t n, index_t max_rows = 256, index_t max_cols = 512, index_t wanted = 8);
  index_t count() const { return row_parts_ * col_parts_; }
  Tile operator[](index_t task) const;

 private:
  index_t m_, n_, row_parts_, col_parts_;
};

// Computes one tile of C on the calling thread.
void gemm_tile(const Gemm& gemm, const Tile& tile);

// Computes all of C on the threads of the context.
void gemm(const Context& context, const Gemm& gemm);

// The same for a small C and a deep k (the gradient of a weight, k being rows): k is cut too, by a rule of
// the shape alone, and the partial sums are added to C in order. C accumulates: `initial` must be c.
void gemm_deep(const Context& context, const Gemm& gemm);

}  // namespace lmx::cpu
