// The most likely next tokens. Argument meanings are those of Inference::select_greedy.
#pragma once

#include <cuda_runtime.h>

#include "../inference.h"

namespace lmx::cuda {

// Scratch and counters of its own, zero between calls.
constexpr index_t kGreedyMostBlocks = 8192;
constexpr std::size_t kGreedyScratchBytes = kGreedyMostBlocks * 8 + (kGreedyMostBlocks + 1) * 4;

void select_greedy(index_t rows, index_t vocab, const float* logits, index_t seen, const TokenBuffers&, void* scratch,
                   cudaStream_t);

}  // namespace lmx::cuda
