// y = x · wᵀ (+ residual) for a handful of rows, where the weights are read once and nothing is reused: dot products of rows of
// w, without the packing that pays for itself in gemm.h only with many rows.
#pragma once

#include "linear.h"

namespace lmx::cpu {

constexpr index_t most_few_rows = 8;  // beyond, the blocked GEMM is faster

// rows <= most_few_rows; residual may be null and may alias y.
void linear_few_rows(const Context&, const LinearShape&, const float* x, const float* w, const float* residual, float* y);

}  // namespace lmx::cpu
