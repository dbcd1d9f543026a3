// Mamba-2's gated, grouped RMSNorm on the device; the meaning of every argument is that of
// Backend::gated_rms_norm_*.
#pragma once

#include <cuda_runtime.h>

#include "../backend.h"
#include "column_sums.cuh"
#include "pack.cuh"

namespace lmx::cuda {

// Partial sums of dweight, one row of them per block of the backward kernel.
std::size_t gated_rms_norm_workspace(const GatedNormShape&);

void gated_rms_norm_forward(const GatedNormShape&, const bf16* y, StridedOf<const bf16*> z,
                            const float* weight, bf16* out, float* rstd, cudaStream_t);
void gated_rms_norm_backward(const GatedNormShape&, const bf16* dout, const bf16* y, StridedOf<const bf16*> z,
                             const float* weight, const float* rstd, bf16* dy, StridedOf<bf16*> dz,
                             float* dweight, ColumnSums&, cudaStream_t);

}  // namespace lmx::cuda
