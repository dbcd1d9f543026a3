// Rotary position embedding (arXiv 2104.09864) on the q and k heads of a packed qkv, in place.
#pragma once

#include <cuda_runtime.h>

#include "../backend.h"
#include "pack.cuh"

namespace lmx::cuda {

// qkv (batch * time, (heads + 2 kv_heads) * head_dim); direction +1 turns forward, -1 back.
void rope(const RopeShape&, bf16* qkv, int direction, cudaStream_t);

}  // namespace lmx::cuda
