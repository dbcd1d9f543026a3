// Scratch that the operations of kernels/cuda take, as functions of the shape alone: no device, no toolkit. So memory of a GPU
// trainer is planned anywhere. kernels/cuda/WORKSPACE.md says the same in words, and src/block/gpu_workspace.ts in TypeScript;
// kernels/test/cuda_workspace.cu compares this with what the operations themselves ask for.
#pragma once

#include <cstddef>

#include "../backend.h"

namespace lmx::gpu {

// Steps of a chunk of the SSD scan, whatever the layer's own chunk is; the length the saved states are counted by.
constexpr index_t kScanChunk = 128;

std::size_t workspace_bytes(const LinearShape&);
std::size_t workspace_bytes(const NormShape&);
std::size_t workspace_bytes(const GatedNormShape&);
std::size_t workspace_bytes(const ConvShape&);
std::size_t workspace_bytes(const SsdShape&);
std::size_t workspace_bytes(const AttentionShape&);
std::size_t workspace_bytes(const CrossEntropyShape&);
std::size_t workspace_bytes(const EmbeddingShape&);

}  // namespace lmx::gpu
