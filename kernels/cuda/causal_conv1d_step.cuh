// What decoding adds to the causal convolution: rows that look back into a window of earlier inputs. Argument meanings are those of
// kernels/cpu/causal_conv1d_step.h.
#pragma once

#include <cuda_runtime.h>

#include "../backend.h"
#include "pack.cuh"

namespace lmx::cuda {

// Writes the first max(width - 1, 1) rows of y of every sequence, and moves the window on. width up to 4.
void causal_conv1d_step(const ConvShape&, StridedOf<const bf16*> x, const float* w, const float* bias, bf16* window, bf16* y,
                        cudaStream_t);

}  // namespace lmx::cuda
