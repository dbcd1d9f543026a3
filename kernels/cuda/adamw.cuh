// AdamW and the global gradient norm; the step's numbers live in device memory, so a captured step can be replayed.
#pragma once

#include <cuda_runtime.h>

#include "../backend.h"
#include "pack.cuh"

namespace lmx::cuda {

// working may be null.
void adamw(const ParameterRanges&, float* master, bf16* working, const float* gradients, float* exp_avg, float* exp_avg_sq,
           const StepScalars* scalars, cudaStream_t);

// Bytes of block sums that gradient_norm and add_loss need.
std::size_t block_sums_bytes();

// scalars->grad_norm and clip_scale.
void gradient_norm(index_t count, const float* gradients, StepScalars* scalars, double* block_sums, cudaStream_t);

// scalars->loss_sum += Σ row_loss.
void add_loss(index_t rows, const float* row_loss, StepScalars* scalars, double* block_sums, cudaStream_t);

}  // namespace lmx::cuda
