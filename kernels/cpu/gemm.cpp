// See gemm.h. Per tile and block of `depth_block` values of k, B is packed once into panels of tile_cols
// columns. A is read where it lies if its rows run along k, else packed into panels of tile_rows rows. Then a
// few rows of A at a time stay in the first-level cache while B's panels pass by from the second.
#include "gemm.h"

#include <algorithm>

#include "blas.h"
#include "reduction.h"
#include "scratch.h"

namespace lmx::cpu {

namespace {

constexpr index_t depth_block = 256;
constexpr index_t max_partials = 512 * 1024;  // floats: 2 MB

constexpr index_t rows_at_once = 8;  // while packing

index_t parts_of(index_t size, index_t part) { return (size + part - 1) / part; }

// Start of part `i` of `parts` nearly equal parts of `size`, on multiples of `unit`.
index_t cut(index_t size, index_t parts, index_t unit, index_t i) {
  const index_t units = parts_of(size, unit);
  return std::min(size, units * i / parts * unit);
}

// Asks for `count` floats of each of the `rows` rows from `from`; the hardware does not foresee strided rows.
void prefetch_rows(const float* from, index_t stride, index_t rows, index_t count) {
  for (index_t r = 0; r < rows; ++r) {
    for (index_t c = 0; c < count; c += 16) __builtin_prefetch(from + r * stride + c);
  }
}

// Floats from one packed panel of `depth` x `width` to the next: a cache line more than it holds, or the same
// row of all panels would compete for one set of the first-level cache.
index_t panel_stride(index_t depth, index_t width) { return depth * width + 16; }

// Columns [col, col + cols) and rows [row, row + depth) of B, as panels (depth, tile_cols), zero beyond the
// last column. Rows of B are read a few at a time across all panels, so that memory is met in order.
void pack_columns(const Matrix& b, index_t row, index_t depth, index_t col, index_t cols, float* to) {
  const index_t whole = cols / tile_cols * tile_cols, panel = panel_stride(depth, tile_cols);
  float* const rest = to + whole / tile_cols * panel;
  if (whole < cols) std::fill_n(rest, depth * tile_cols, 0.0f);
  const float* const from = b.data + row * b.row_stride + col * b.col_stride;
  if (b.col_stride != 1) {
    for (index_t j = 0; j < cols; j += tile_cols) {
      simd::transpose(std::min(tile_cols, cols - j), depth, from + j * b.col_stride, b.col_stride,
                      to + j / tile_cols * panel, tile_cols);
    }
    return;
  }
  for (index_t k = 0; k < depth; k += rows_at_once) {
    const index_t rows = std::min(rows_at_once, depth - k);
    prefetch_rows(from + (k + rows) * b.row_stride, b.row_stride, std::min(rows_at_once, depth - k - rows),
                  cols);
    float* part = to;
    for (index_t j = 0; j < whole; j += tile_cols, part += panel) {
      for (index_t r = k; r < k + rows; ++r) {
        std::memcpy(part + r * tile_cols, from + r * b.row_stride + j, tile_cols * sizeof(float));
      }
    }
    for (index_t r = k; whole < cols && r < k + rows; ++r) {
      std::copy_n(from + r * b.row_stride + whole, cols - whole, rest + r * tile_cols);
    }
  }
}

// Rows [row, row + rows) and columns [col, col + depth) of A, contiguous across rows, as panels
// (depth, tile_rows).
void pack_rows(const Matrix& a, index_t row, index_t rows, index_t col, index_t depth, float* to) {
  const index_t whole = rows / tile_rows * tile_rows, panel = panel_stride(depth, tile_rows);
  const float* const from = a.data + row + col * a.col_stride;
  for (index_t k = 0; k < depth; k += rows_at_once) {
    const index_t count = std::min(rows_at_once, depth - k);
    prefetch_rows(from + (k + count) * a.col_stride, a.col_stride, std::min(rows_at_once, depth - k - count),
                  rows);
    float* part = to;
    for (index_t i = 0; i < whole; i += tile_rows, part += panel) {
      for (index_t r = k; r < k + count; ++r) {
        std::memcpy(part + r * tile_rows, from + r * a.col_stride + i, tile_rows * sizeof(float));
      }
    }
    for (index_t r = k; whole < rows && r < k + count; ++r) {
      std::copy_n(from + r * a.col_stride + whole, rows - whole, part + r * tile_rows);
    }
  }
}

}  // namespace

Tiling::Tiling(index_t m, index_t n, index_t max_rows, index_t max_cols, index_t wanted)
    : m_(m), n_(n), row_parts_(parts_of(m, max_rows)), col_parts_(parts_of(n, max_cols)) {
  while (count() < wanted) {
    const index_t rows = parts_of(m_, row_parts_), cols = parts_of(n_, col_parts_);
    if (rows >= cols && rows > 64) {
      row_parts_ *= 2;
    } else if (cols > 64) {
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
  if (blas_pays(g, tile)) return blas_tile(g, tile);
  const index_t depth = std::min(g.k, depth_block);
  const index_t b_panel = panel_stride(depth, tile_cols), a_panel = panel_stride(depth, tile_rows);
  const bool along_k = g.a.col_stride == 1;  // then rows of A are read where they are
  const index_t a_panel_count = along_k ? 0 : parts_of(tile.rows, tile_rows);
  float* const b_panels =
      ThreadScratch::floats(parts_of(tile.cols, tile_cols) * b_panel + a_panel_count * a_panel);
  float* const a_panels = b_panels + parts_of(tile.cols, tile_cols) * b_panel;
  float* const c = g.c + tile.row * g.c_stride + tile.col;

  for (index_t k = 0; k < g.k || k == 0; k += depth_block) {
    const index_t block = std::min(depth_block, g.k - k);
    const float* initial = k > 0 ? c : nullptr;
    if (k == 0 && g.initial) initial = g.initial + tile.row * g.initial_stride + tile.col;
    const index_t initial_stride = k > 0 ? g.c_stride : g.initial_stride;
    pack_columns(g.b, k, block, tile.col, tile.cols, b_panels);
    if (!along_k) pack_rows(g.a, tile.row, tile.rows, k, block, a_panels);
    for (index_t i = 0; i < tile.rows; i += tile_rows) {
      const index_t rows = std::min(tile_rows, tile.rows - i);
      const Broadcast a =
          along_k ? Broadcast{g.a.data + (tile.row + i) * g.a.row_stride + k, g.a.row_stride, 1}
                  : Broadcast{a_panels + i / tile_rows * panel_stride(block, tile_rows), 1, tile_rows};
      for (index_t j = 0; j < tile.cols; j += tile_cols) {
        matmul({rows, std::min(tile_cols, tile.cols - j), block}, a,
               b_panels + j / tile_cols * panel_stride(block, tile_cols), tile_cols,
               initial ? initial + i * initial_stride + j : nullptr, initial_stride, c + i * g.c_stride + j,
               g.c_stride, true);
      }
    }
  }
}

void gemm(const Context& context, const Gemm& g) {
  const Tiling tiling(g.m, g.n);
  context.pool->parallel_for(tiling.count(), [&](index_t task) { gemm_tile(g, tiling[task]); });
}

void gemm_deep(const Context& context, const Gemm& g) {
  constexpr index_t wanted_tasks = 16, min_depth = 512;
  const Tiling tiling(g.m, g.n, 256, 256, 1);
  const index_t room = max_partials / (g.m * g.n), useful = g.k / min_depth;
  const index_t splits = std::min({parts_of(wanted_tasks, tiling.count()), room, useful});
  if (splits <= 1) {
    const Tiling finer(g.m, g.n);
    context.pool->parallel_for(finer.count(), [&](index_t task) { gemm_tile(g, finer[task]); });
    return;
  }
  const index_t size = g.m * g.n;
  float* const partials = ThreadScratch::floats<Scratch::partials>(splits * size);
  context.pool->parallel_for(splits * tiling.count(), [&](index_t task) {
    const index_t split = task / tiling.count(), begin = g.k * split / splits,
                  end = g.k * (split + 1) / splits;
    Gemm part = g;
    part.k = end - begin;
    part.a.data += begin * g.a.col_stride;
    part.b.data += begin * g.b.row_stride;
    part.initial = nullptr;
    part.c = partials + split * size;
    part.c_stride = g.n;
    gemm_tile(part, tiling[task % tiling.count()]);
  });
  // C's rows may lie apart; where they do not, they are one long row.
  const bool dense = g.c_stride == g.n;
  for (index_t i = 0; i < (dense ? 1 : g.m); ++i) {
    add_partials(context, splits, dense ? size : g.n, partials + i * g.n, size, g.c + i * g.c_stride);
  }
}

}  // namespace lmx::cpu
