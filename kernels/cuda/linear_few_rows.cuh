// y = x · wᵀ for the few rows of a decoding step, where the product is a matter of reading the weights once. What stands before and
// after it in a layer is folded in: RMSNorm of x, residual, the MLP's activation.
#pragma once

#include <cuda_runtime.h>

#include "../backend.h"
#include "pack.cuh"

namespace lmx::cuda {

constexpr index_t kMostFewRows = 8;  // beyond, cuBLASLt

// x (rows, in) bf16, w (out, in) bf16.
struct FewRowsLinear {
  LinearShape shape;
  const bf16* x;
  const bf16* w;
  const float* norm_weight = nullptr;  // (in): x is RMS-normed on the way
  float eps = 0;
  const bf16* residual = nullptr;      // (rows, out), may be y
  bf16* y = nullptr;                   // (rows, out): this or the next
  float* wide_y = nullptr;
};

// Whether the kernels take the shape and the addresses: up to kMostFewRows rows, dense ones of y, in a multiple of 8, 16-byte aligned.
bool takes_few_rows(const LinearShape&, const void* x, const void* w);

void linear_few_rows(const FewRowsLinear&, cudaStream_t);
// a (rows, width) = act(norm(x) · w_upᵀ), or act(gate) ⊙ up; only shape.in, x, w, norm_weight and eps of `call` are used.
void mlp_up_few_rows(const MlpShape&, const FewRowsLinear& call, bf16* a, cudaStream_t);

}  // namespace lmx::cuda
