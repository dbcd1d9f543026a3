// Logits of a row, eight at a time, for the kernels of cross_entropy.cuh: -inf beyond the row, so that maxima and sums need no bounds.
#pragma once

#include "pack.cuh"

namespace lmx::cuda {

constexpr float kLog2e = 1.4426950408889634f;
constexpr std::uint32_t kLowestPair = 0xff80ff80u;  // -inf twice

// Bits of eight logits; -inf beyond the row.
template <bool kAligned>
__device__ __forceinline__ uint4 load_logits(const bf16* row, int column, int columns) {
  constexpr std::uint32_t lowest = kLowestPair & 0xffffu;
  uint4 bits = load_bits<kAligned>(row, column, columns);
  std::uint32_t* const words = &bits.x;
#pragma unroll
  for (int i = 0; i < kPack; i += kAligned ? kPack : 1) {
    if (column + i < columns) continue;
    if constexpr (kAligned) {
      bits = {kLowestPair, kLowestPair, kLowestPair, kLowestPair};
    } else {
      words[i / 2] |= lowest << (16 * (i % 2));
    }
  }
  return bits;
}

__device__ __forceinline__ std::uint32_t larger_of_pairs(std::uint32_t a, std::uint32_t b) {
  const __nv_bfloat162 larger =
      __hmax2(*reinterpret_cast<const __nv_bfloat162*>(&a), *reinterpret_cast<const __nv_bfloat162*>(&b));
  return *reinterpret_cast<const std::uint32_t*>(&larger);
}

// The largest at even and at odd places of eight.
__device__ __forceinline__ std::uint32_t largest_pair(uint4 bits) {
  return larger_of_pairs(larger_of_pairs(bits.x, bits.y), larger_of_pairs(bits.z, bits.w));
}

}  // namespace lmx::cuda
