// Causal attention on tensor cores, our own: for machines without cuDNN and shapes it refuses. The meaning of every argument is
// that of Backend::attention_*; head_dim is a multiple of 8 up to 128.
#pragma once

#include <cuda_runtime.h>

#include "../backend.h"
#include "pack.cuh"

namespace lmx::cuda {

// delta = dout · out of every query and head, fp32.
std::size_t attention_mma_workspace(const AttentionShape&);

void attention_mma_forward(const AttentionShape&, const bf16* qkv, bf16* out, float* lse, cudaStream_t);
void attention_mma_backward(const AttentionShape&, const bf16* dout, const bf16* qkv, const bf16* out, const float* lse,
                            bf16* dqkv, void* workspace, cudaStream_t);

}  // namespace lmx::cuda
