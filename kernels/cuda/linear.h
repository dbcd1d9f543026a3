// The linear layer's three products in terms of Gemm; the meaning of every argument is that of Backend::linear_*. A row-major
// matrix is its transpose in cuBLAS's column-major eyes, so yᵀ = w · xᵀ, dxᵀ = wᵀ · dyᵀ and dwᵀ = xᵀ · dy.
#pragma once

#include "gemm.h"

namespace lmx::cuda {

// x, w, residual, y bf16.
inline void linear_forward(Gemm& gemm, const LinearShape& s, const void* x, const void* w, const void* residual, void* y,
                           cudaStream_t stream) {
  gemm.run({true, false, s.out, s.rows, s.in, w, s.in, x, s.in, residual, y, s.out, CUDA_R_16BF}, stream);
}

// dx rows may be further apart than they are wide (dx_stride elements).
inline void linear_backward_input(Gemm& gemm, const LinearShape& s, const void* dy, const void* w, void* dx,
                                  index_t dx_stride, cudaStream_t stream) {
  gemm.run({false, false, s.in, s.rows, s.out, w, s.in, dy, s.out, nullptr, dx, dx_stride, CUDA_R_16BF}, stream);
}

// dw fp32 +=.
inline void linear_backward_weight(Gemm& gemm, const LinearShape& s, const void* x, const void* dy, void* dw,
                                   cudaStream_t stream) {
  gemm.run({false, true, s.in, s.out, s.rows, x, s.in, dy, s.out, dw, dw, s.in, CUDA_R_32F}, stream);
}

}  // namespace lmx::cuda
