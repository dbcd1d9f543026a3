// Scratch that the operations of kernels/cuda take, as functions of the shape alone: no device, no toolkit. So memory of a GPU
// trainer is planned anywhere. kernels/cuda/WORKSPACE.md says the same in words, and src/block/gpu_workspace.ts in TypeScript;
// kernels/test/cuda_workspace.cu compares this with what the operations themselves ask for.
#pragma once

#include <cstddef>

#include "../backend.h"

namespace lmx::gpu {

// Steps of a chunk of the SSD scan, whatever the layer's own chunk is; the length the saved states are counted by.
constexpr index_t kScanChunk = 128;

// What weight gradients take at the workspace's start while other operations use the rest (cuda/side_stream.h): cuBLASLt's share
// for their products, and 16 MiB for sums over rows. Part of every figure a backend returns.
constexpr std::size_t kPartialSumBytes = std::size_t{16} << 20, kSideBytes = (std::size_t{32} << 20) + kPartialSumBytes;
constexpr std::size_t with_side(std::size_t bytes) { return bytes + kSideBytes; }

std::size_t workspace_bytes(const LinearShape&);
std::size_t workspace_bytes(const NormShape&);
std::size_t workspace_bytes(const GatedNormShape&);
std::size_t workspace_bytes(const ConvShape&);
std::size_t workspace_bytes(const SsdShape&);
std::size_t workspace_bytes(const AttentionShape&);
std::size_t workspace_bytes(const CrossEntropyShape&);
std::size_t workspace_bytes(const EmbeddingShape&);

}  // namespace lmx::gpu
