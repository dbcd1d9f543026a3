// Attention of single tokens over a long cache. Argument meanings are those of Inference::attention_decode; head_dim is a multiple
// of 8 up to 128.
#pragma once

#include <cuda_runtime.h>

#include "../inference.h"
#include "pack.cuh"

namespace lmx::cuda {

// Partial results of the pieces the context is cut into.
std::size_t attention_decode_workspace(const CacheShape&);

// Blocks that wait for each other count here; zero between calls, so that nothing needs to be cleared. One per row, kv head and 16
// query heads.
constexpr index_t kAttentionCounters = 65536;

void attention_decode(const CacheShape&, const bf16* qkv, const bf16* keys, const bf16* values, const std::int32_t* position,
                      bf16* out, void* workspace, unsigned* counters, cudaStream_t);

}  // namespace lmx::cuda
