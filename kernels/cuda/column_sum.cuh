// out[c] += Σ_r partial[r][c]: the second stage of every reduction over rows. Each column is added in a fixed order.
#pragma once

#include <cuda_runtime.h>

#include "../backend.h"

namespace lmx::cuda {

// partial (rows, cols) fp32 dense, out (cols) fp32.
void column_sum(index_t rows, index_t cols, const float* partial, float* out, cudaStream_t);

}  // namespace lmx::cuda
