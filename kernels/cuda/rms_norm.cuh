// RMSNorm (arXiv 1910.07467) on the device; the meaning of every argument is that of Backend::rms_norm_*.
#pragma once

#include <cuda_runtime.h>

#include "../backend.h"
#include "column_sums.cuh"
#include "pack.cuh"

namespace lmx::cuda {

// Partial sums of dweight, one row of them per block of the backward kernel.
std::size_t rms_norm_workspace(const NormShape&);

void rms_norm_forward(const NormShape&, const bf16* x, const float* weight, bf16* y, float* rstd, cudaStream_t);
void rms_norm_backward(const NormShape&, const bf16* dy, const bf16* x, const float* weight, const float* rstd,
                       const bf16* dresidual, bf16* dx, float* dweight, ColumnSums&, cudaStream_t);

}  // namespace lmx::cuda
