// See blas.h. The two functions used of a BLAS are declared here, so that no header of it is needed.
#include "blas.h"

#if defined(LMX_BLAS_NAME)

#include <algorithm>

extern "C" {
void cblas_sgemm(int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha,
                 const float* a, int lda, const float* b, int ldb, float beta, float* c, int ldc);
#if defined(LMX_BLAS_SET_THREADS)
void LMX_BLAS_SET_THREADS(int);
#endif
}

namespace lmx::cpu {

namespace {

constexpr int row_major = 101, no_transpose = 111, transpose = 112;

// The tiles are the parallelism: the library must start no threads of its own.
void limit_threads_once() {
#if defined(LMX_BLAS_SET_THREADS)
  static const bool limited = (LMX_BLAS_SET_THREADS(1), true);
  (void)limited;
#endif
}

}  // namespace

const char* blas_name() { return LMX_BLAS_NAME; }

bool blas_pays(const Gemm& g, const Tile& tile) {
  // Measured with bench_gemm: the own code is level or ahead where it reads A in place, and for small tiles.
  return g.a.col_stride != 1 && tile.rows >= 64 && tile.cols >= 128 && g.k >= 512;
}

void blas_tile(const Gemm& g, const Tile& tile) {
  limit_threads_once();
  float* const c = g.c + tile.row * g.c_stride + tile.col;
  for (index_t r = 0; g.initial && g.initial != g.c && r < tile.rows; ++r) {
    std::copy_n(g.initial + (tile.row + r) * g.initial_stride + tile.col, tile.cols, c + r * g.c_stride);
  }
  const bool along_k = g.a.col_stride == 1, along_n = g.b.col_stride == 1;
  cblas_sgemm(row_major, along_k ? no_transpose : transpose, along_n ? no_transpose : transpose,
              int(tile.rows), int(tile.cols), int(g.k), 1, g.a.data + tile.row * g.a.row_stride,
              int(along_k ? g.a.row_stride : g.a.col_stride), g.b.data + tile.col * g.b.col_stride,
              int(along_n ? g.b.row_stride : g.b.col_stride), g.initial ? 1.0f : 0.0f, c, int(g.c_stride));
}

}  // namespace lmx::cpu

#endif
