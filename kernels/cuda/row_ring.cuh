// The next rows of a few tensors, on their way to shared memory (cp.async) while one row is worked on: a warp that walks rows waits
// for memory once, and not for every row. Each thread copies and reads pieces of its own, 8 elements of bf16 each, so nobody waits
// for anybody:
//   fetch rows 0 .. kDepth - 1;   for each row: wait(), read bits(), fetch the row kDepth further on into the same slot
#pragma once

#include "check.h"
#include "mma_tile.cuh"
#include "pack.cuh"

namespace lmx::cuda {

template <int kTensors, int kPacks, int kDepth, int kThreads>
class RowRing {
 public:
  static constexpr int bytes = kDepth * kTensors * kPacks * kThreads * 16;

  __device__ __forceinline__ explicit RowRing(uint4* memory) : own_(memory + threadIdx.x) {}

  // As load_bits (pack.cuh). A fetched row, also one that does not exist, ends with commit().
  template <bool kAligned>
  __device__ __forceinline__ void fetch(int slot, int tensor, int pack, const bf16* row, int column, int columns) {
    uint4* const target = own_ + place(slot, tensor, pack);
    if constexpr (kAligned) {
      if (column < columns) return tile::copy_async(target, row + column);
    }
    *target = load_bits<kAligned>(row, column, columns);
  }
  __device__ __forceinline__ void commit() { tile::commit_copies(); }

  // For the oldest of kDepth rows.
  __device__ __forceinline__ void wait() { tile::wait_copies<kDepth - 1>(); }
  __device__ __forceinline__ uint4 bits(int slot, int tensor, int pack) const { return own_[place(slot, tensor, pack)]; }

  __device__ __forceinline__ static int next(int slot) { return slot == kDepth - 1 ? 0 : slot + 1; }

 private:
  __device__ __forceinline__ static int place(int slot, int tensor, int pack) {
    return ((slot * kTensors + tensor) * kPacks + pack) * kThreads;
  }
  uint4* own_;
};

// Lets a kernel have `bytes` of dynamic shared memory in as many blocks of a multiprocessor as hold them.
template <class Kernel>
void allow_shared_memory(Kernel* kernel, int bytes, const char* operation) {
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes), operation);
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributePreferredSharedMemoryCarveout, cudaSharedmemCarveoutMaxShared), operation);
}

}  // namespace lmx::cuda
