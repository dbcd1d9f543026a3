// See matmul.h. The tile is a template over its exact size, so that all its accumulators are registers; a
// table leads to it.
#include "matmul.h"

#include <algorithm>
#include <array>

namespace lmx::cpu {

namespace {

using simd::Floats;
using simd::lanes;

struct TileArguments {
  index_t depth;
  Broadcast a;
  const float* b;
  index_t b_stride;
  const float* initial;
  index_t initial_stride;
  float* c;
  index_t c_stride;
  index_t last;  // lanes of the last vector
};

// The last vector of a tile: whole; fewer lanes, but b may be read beyond them; fewer lanes and b ends there.
enum class Edge { whole, padded, exact };

template <int rows, int vectors, Edge edge>
void tile(const TileArguments arguments) {
  const TileArguments t = arguments;  // a copy that no store can alias
  Floats sum[rows][vectors];
#pragma GCC unroll 8
  for (int i = 0; i < rows; ++i) {
#pragma GCC unroll 4
    for (int v = 0; v < vectors; ++v) sum[i][v] = Floats{};
  }
#pragma GCC unroll 8
  for (int i = 0; i < rows; ++i) {  // the lines of c are on their way while the sums form
#pragma GCC unroll 4
    for (int v = 0; v < vectors; ++v) __builtin_prefetch(t.c + i * t.c_stride + v * lanes, 1);
  }
  const float* a = t.a.data;
  const float* b = t.b;
  const index_t row_stride = t.a.row_stride, col_stride = t.a.col_stride, b_stride = t.b_stride;
  for (index_t k = t.depth; k > 0; --k, a += col_stride, b += b_stride) {
    Floats row[vectors];
#pragma GCC unroll 4
    for (int v = 0; v < vectors; ++v) {
      row[v] = edge == Edge::exact && v + 1 == vectors ? simd::load(b + v * lanes, t.last)
                                                       : simd::load(b + v * lanes);
    }
#pragma GCC unroll 8
    for (int i = 0; i < rows; ++i) {
      const Floats factor = simd::splat(a[i * row_stride]);
#pragma GCC unroll 4
      for (int v = 0; v < vectors; ++v) sum[i][v] += factor * row[v];
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < rows; ++i) {
#pragma GCC unroll 4
    for (int v = 0; v < vectors; ++v) {
      const index_t count = edge != Edge::whole && v + 1 == vectors ? t.last : lanes;
      Floats value = sum[i][v];
      if (t.initial) value += simd::load(t.initial + i * t.initial_stride + v * lanes, count);
      simd::store(t.c + i * t.c_stride + v * lanes, value, count);
    }
  }
}

using Tile = void (*)(TileArguments);

template <int... rows>
constexpr auto tile_table(std::integer_sequence<int, rows...>) {
  return std::array<std::array<Tile, 6>, sizeof...(rows)>{
      {{{tile<rows + 1, 1, Edge::whole>, tile<rows + 1, 1, Edge::padded>, tile<rows + 1, 1, Edge::exact>,
         tile<rows + 1, 2, Edge::whole>, tile<rows + 1, 2, Edge::padded>,
         tile<rows + 1, 2, Edge::exact>}}...}};
}

constexpr auto tiles = tile_table(std::make_integer_sequence<int, int(tile_rows)>{});

}  // namespace

void matmul(MatmulSize size, Broadcast a, const float* b, index_t b_stride, const float* initial,
            index_t initial_stride, float* c, index_t c_stride, bool b_padded) {
  for (index_t j = 0; j < size.cols; j += tile_cols) {
    const index_t cols = std::min(tile_cols, size.cols - j), vectors = (cols + lanes - 1) / lanes;
    const index_t last = cols - (vectors - 1) * lanes;
    const Edge edge = last == lanes ? Edge::whole : b_padded ? Edge::padded : Edge::exact;
    const index_t variant = (vectors - 1) * 3 + static_cast<index_t>(edge);
    for (index_t i = 0; i < size.rows; i += tile_rows) {
      const index_t rows = std::min(tile_rows, size.rows - i);
      tiles[rows - 1][variant]({size.depth,
                                {a.data + i * a.row_stride, a.row_stride, a.col_stride},
                                b + j,
                                b_stride,
                                initial ? initial + i * initial_stride + j : nullptr,
                                initial_stride,
                                c + i * c_stride + j,
                                c_stride,
                                last});
    }
  }
}

}  // namespace lmx::cpu
