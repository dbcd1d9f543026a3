// Keys (rotated) and values of new tokens into the cache. Argument meanings are those of Inference::kv_cache_append.
#pragma once

#include <cuda_runtime.h>

#include "../inference.h"
#include "pack.cuh"

namespace lmx::cuda {

void kv_cache_append(const CacheShape&, bf16* qkv, bf16* keys, bf16* values, const std::int32_t* position, cudaStream_t);

}  // namespace lmx::cuda
