// See gemm.h. Per tile and block of `depth_block` values of k: B is packed once into panels of tile_cols columns (32 KB each, they
// stay in the first-level cache while all rows pass by), A is packed into panels of tile_rows rows where it is read often
// enough or would be read across rows, and each pair of panels is one register tile.
#include "gemm.h"

#include <algorithm>

#include "scratch.h"

namespace lmx::cpu {

namespace {

constexpr index_t depth_block = 256;
constexpr index_t row_tile = 256;
constexpr index_t col_tile = 512;  // a packed block of B is at most 512 KB

index_t parts_of(index_t size, index_t part) { return (size + part - 1) / part; }

// Start of part `i` of `parts` nearly equal parts of `size`, on multiples of `unit`.
index_t cut(index_t size, index_t parts, index_t unit, index_t i) {
  const index_t units = parts_of(size, unit);
  return std::min(size, units * i / parts * unit);
}

// Columns [col, col + cols) and rows [row, row + depth) of B, as panels (depth, tile_cols), zero beyond the last column.
void pack_columns(const Matrix& b, index_t row, index_t depth, index_t col, index_t cols, float* to) {
  for (index_t j = 0; j < cols; j += tile_cols, to += depth * tile_cols) {
    const index_t width = std::min(tile_cols, cols - j);
    const float* from = b.data + row * b.row_stride + (col + j) * b.col_stride;
    if (width < tile_cols) std::fill(to, to + depth * tile_cols, 0.0f);
    if (b.col_stride == 1) {
      for (index_t k = 0; k < depth; ++k) {
        for (index_t v = 0; v < width; v += simd::lanes) {
          const index_t count = std::min(simd::lanes, width - v);
          simd::store(to + k * tile_cols + v, simd::load(from + k * b.row_stride + v, count), count);
        }
      }
    } else {
      simd::transpose(width, depth, from, b.col_stride, to, tile_cols);
    }
  }
}

// Rows [row, row + rows) and columns [col, col + depth) of A, as panels of tile_rows rows: (tile_rows, depth) where A is
// contiguous along k, else (depth, tile_rows).
void pack_rows(const Matrix& a, index_t row, index_t rows, index_t col, index_t depth, float* to) {
  if (a.col_stride == 1) {
    for (index_t i = 0; i < rows; ++i) {
      std::copy_n(a.data + (row + i) * a.row_stride + col, depth, to + i * depth);
    }
    return;
  }
  for (index_t i = 0; i < rows; i += tile_rows, to += depth * tile_rows) {
    const float* from = a.data + row + i + col * a.col_stride;
    const index_t height = std::min(tile_rows, rows - i);
    if (height == tile_rows) {
      for (index_t k = 0; k < depth; ++k) std::memcpy(to + k * tile_rows, from + k * a.col_stride, tile_rows * 4);
    } else {
      for (index_t k = 0; k < depth; ++k) std::copy_n(from + k * a.col_stride, height, to + k * tile_rows);
    }
  }
}

}  // namespace

Tiling::Tiling(index_t m, index_t n) : m_(m), n_(n), row_parts_(parts_of(m, row_tile)), col_parts_(parts_of(n, col_tile)) {
  // Enough tasks to balance, as long as a tile keeps its operands busy.
  while (count() < 16) {
    const index_t rows = parts_of(m_, row_parts_), cols = parts_of(n_, col_parts_);
    if (rows >= cols && rows > 64) {
      row_parts_ *= 2;
    } else if (cols > 2 * tile_cols) {
      col_parts_ *= 2;
    } else {
      break;
    }
  }
}

Tile Tiling::operator[](index_t task) const {
  const index_t i = task / col_parts_, j = task % col_parts_;
  const index_t row = cut(m_, row_parts_, tile_rows, i), col = cut(n_, col_parts_, tile_cols, j);
  return {row, cut(m_, row_parts_, tile_rows, i + 1) - row, col, cut(n_, col_parts_, tile_cols, j + 1) - col};
}

void gemm_tile(const Gemm& g, const Tile& tile) {
  if (tile.rows == 0 || tile.cols == 0) return;
  const index_t depth = std::min(g.k, depth_block);
  const index_t padded_cols = parts_of(tile.cols, tile_cols) * tile_cols;
  const bool along_k = g.a.col_stride == 1;
  const bool packs_a = !along_k || tile.cols > 4 * tile_cols;
  float* const b_panels = ThreadScratch::floats(depth * (padded_cols + tile.rows + tile_rows));
  float* const a_panels = b_panels + depth * padded_cols;
  float* const c = g.c + tile.row * g.c_stride + tile.col;

  for (index_t k = 0; k < g.k || k == 0; k += depth_block) {
    const index_t block = std::min(depth_block, g.k - k);
    const float* initial = k > 0 ? c : g.initial ? g.initial + tile.row * g.initial_stride + tile.col : nullptr;
    const index_t initial_stride = k > 0 ? g.c_stride : g.initial_stride;
    pack_columns(g.b, k, block, tile.col, tile.cols, b_panels);
    if (packs_a) pack_rows(g.a, tile.row, tile.rows, k, block, a_panels);
    for (index_t j = 0; j < tile.cols; j += tile_cols) {
      const index_t cols = std::min(tile_cols, tile.cols - j);
      for (index_t i = 0; i < tile.rows; i += tile_rows) {
        const index_t rows = std::min(tile_rows, tile.rows - i);
        const Broadcast a = !packs_a ? Broadcast{g.a.data + (tile.row + i) * g.a.row_stride + k, g.a.row_stride, 1}
                            : along_k ? Broadcast{a_panels + i * block, block, 1}
                                      : Broadcast{a_panels + i * block, 1, tile_rows};
        matmul({rows, cols, block}, a, b_panels + j * block, tile_cols,
               initial ? initial + i * initial_stride + j : nullptr, initial_stride, c + i * g.c_stride + j, g.c_stride,
               true);
      }
    }
  }
}

void gemm(const Context& context, const Gemm& g) {
  const Tiling tiling(g.m, g.n);
  context.pool->parallel_for(tiling.count(), [&](index_t task) { gemm_tile(g, tiling[task]); });
}

const char* gemm_provider() { return "own"; }

}  // namespace lmx::cpu
