// The linear layer's three products in terms of Gemm; the meaning of every argument is that of Backend::linear_*. A row-major
// matrix is its transpose in cuBLAS's column-major eyes, so yᵀ = w · xᵀ, dxᵀ = wᵀ · dyᵀ and dwᵀ = xᵀ · dy.
#pragma once

#include <algorithm>

#include "column_sums.cuh"
#include "gemm.h"
#include "launch.h"

namespace lmx::cuda {

// x, w, residual, y bf16.
inline void linear_forward(Gemm& gemm, const LinearShape& s, const void* x, const void* w, const void* residual, void* y,
                           cudaStream_t stream) {
  gemm.run({true, false, s.out, s.rows, s.in, w, s.in, x, s.in, residual, y, s.y_stride(), CUDA_R_16BF}, stream);
}

// dx rows may be further apart than they are wide (dx_stride elements).
inline void linear_backward_input(Gemm& gemm, const LinearShape& s, const void* dy, const void* w, void* dx,
                                  index_t dx_stride, cudaStream_t stream) {
  gemm.run({false, false, s.in, s.rows, s.out, w, s.in, dy, s.y_stride(), nullptr, dx, dx_stride, CUDA_R_16BF}, stream);
}

// Into how many stretches of rows a weight's gradient is cut: a small matrix has too few tiles to keep a device busy, and the traffic of its
// parts is little. A power of two; 1 where fewer than 4 would do.
inline index_t weight_gradient_splits(const LinearShape& s) {
  constexpr index_t tile = 128, least_rows = 512, most = 8, few = 4, most_bytes = index_t{5} << 20;
  const index_t wanted = kMultiprocessors / (ceil_div(s.in, tile) * ceil_div(s.out, tile));
  const index_t bytes = s.in * s.out * static_cast<index_t>(sizeof(float));
  index_t splits = 1;
  for (index_t next = 2; next <= std::min(most, wanted) && s.rows % next == 0 && s.rows >= next * least_rows && next * bytes <= most_bytes;
       next *= 2) {
    splits = next;
  }
  return splits < few ? 1 : splits;
}

// dw fp32 +=. Of a small matrix the parts wait in `sums`: cuBLASLt's own split over k would add each matrix by a launch of its own.
inline void linear_backward_weight(Gemm& gemm, const LinearShape& s, const void* x, const void* dy, float* dw, ColumnSums& sums,
                                   cudaStream_t stream) {
  GemmCall call{false, true, s.in, s.out, s.rows, x, s.in, dy, s.y_stride(), dw, dw, s.in, CUDA_R_32F};
  call.splits = weight_gradient_splits(s);
  if (call.splits == 1) return gemm.run(call, stream);
  const index_t count = s.in * s.out;
  float* const partial = sums.room(call.splits * count, stream, gemm.workspace_end());
  call.c = nullptr;
  call.d = partial;
  gemm.run(call, stream);
  sums.add(call.splits, count, partial, dw, stream);
}

}  // namespace lmx::cuda
