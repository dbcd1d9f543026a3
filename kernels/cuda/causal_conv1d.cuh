// Mamba's depthwise causal convolution with SiLU on the device; the meaning of every argument is that of
// Backend::causal_conv1d_*. Widths 1 to 4; anything else: InvalidArgument.
#pragma once

#include <cuda_runtime.h>

#include "../backend.h"
#include "column_sums.cuh"
#include "pack.cuh"

namespace lmx::cuda {

// Partial sums of dw and dbias, one set per block of the backward kernel.
std::size_t causal_conv1d_workspace(const ConvShape&);

void causal_conv1d_forward(const ConvShape&, StridedOf<const bf16*> x, const float* w, const float* bias,
                           bf16* y, cudaStream_t);
void causal_conv1d_backward(const ConvShape&, const bf16* dy, StridedOf<const bf16*> x, const float* w,
                            const float* bias, StridedOf<bf16*> dx, float* dw, float* dbias, ColumnSums&,
                            cudaStream_t);

}  // namespace lmx::cuda
