// Backward of causal attention on Hopper (compute capability 9.0) with wgmma: deterministic, for head_dim 64 and 128 and times that are
// multiples of 128. The meaning of every argument is that of Backend::attention_backward; the forward may be anyone's.
#pragma once

#include <cuda_runtime.h>

#include "../backend.h"
#include "pack.cuh"

namespace lmx::cuda {

// Whether there is such a kernel for the shape; whether the current device can run it.
bool attention_wgmma_takes(const AttentionShape&);
bool attention_wgmma_runs();

// fp32: a number of dq per query, head and channel, two numbers per query and head; and a counter per 64 queries and head, or half.
std::size_t attention_wgmma_workspace(const AttentionShape&);

void attention_wgmma_backward(const AttentionShape&, const bf16* dout, const bf16* qkv, const bf16* out, const float* lse, bf16* dqkv,
                              void* workspace, cudaStream_t);

}  // namespace lmx::cuda
