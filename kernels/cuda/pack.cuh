// Eight bf16 values that travel together: one 16-byte load or store per thread, arithmetic in fp32.
//
// A row may start at any element (a vocabulary of 50257 has odd rows), so a kernel is compiled twice: kAligned = true needs
// every row start and row length to be a multiple of 8 elements, false goes element by element and handles the tail.
#pragma once

#include <cuda_bf16.h>

#include <cstdint>

namespace lmx::cuda {

using bf16 = __nv_bfloat16;

constexpr int kPack = 8;

struct Floats {
  float v[kPack];
};

__device__ __forceinline__ float low_half(std::uint32_t pair) { return __uint_as_float(pair << 16); }
__device__ __forceinline__ float high_half(std::uint32_t pair) { return __uint_as_float(pair & 0xffff0000u); }

// Two fp32 values, rounded to nearest even, as one word.
__device__ __forceinline__ std::uint32_t to_pair(float low, float high) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  return *reinterpret_cast<const std::uint32_t*>(&pair);
}

__device__ __forceinline__ Floats unpack(uint4 bits) {
  return {{low_half(bits.x), high_half(bits.x), low_half(bits.y), high_half(bits.y), low_half(bits.z), high_half(bits.z),
           low_half(bits.w), high_half(bits.w)}};
}

__device__ __forceinline__ uint4 pack(const Floats& f) {
  return {to_pair(f.v[0], f.v[1]), to_pair(f.v[2], f.v[3]), to_pair(f.v[4], f.v[5]), to_pair(f.v[6], f.v[7])};
}

// The bits of elements [column, column + 8) of a row with `columns` elements; what lies beyond the row is 0.
template <bool kAligned>
__device__ __forceinline__ uint4 load_bits(const bf16* row, int column, int columns) {
  if (column >= columns) return {0, 0, 0, 0};
  if constexpr (kAligned) {
    return *reinterpret_cast<const uint4*>(row + column);
  } else {
    const auto* words = reinterpret_cast<const std::uint16_t*>(row + column);
    const int count = min(kPack, columns - column);
    std::uint32_t pairs[4] = {0, 0, 0, 0};
#pragma unroll
    for (int i = 0; i < kPack; ++i) {
      if (i < count) pairs[i / 2] |= std::uint32_t{words[i]} << (16 * (i % 2));
    }
    return {pairs[0], pairs[1], pairs[2], pairs[3]};
  }
}

template <bool kAligned>
__device__ __forceinline__ void store_bits(bf16* row, int column, int columns, uint4 bits) {
  if (column >= columns) return;
  if constexpr (kAligned) {
    *reinterpret_cast<uint4*>(row + column) = bits;
  } else {
    auto* words = reinterpret_cast<std::uint16_t*>(row + column);
    const int count = min(kPack, columns - column);
    const std::uint32_t pairs[4] = {bits.x, bits.y, bits.z, bits.w};
#pragma unroll
    for (int i = 0; i < kPack; ++i) {
      if (i < count) words[i] = static_cast<std::uint16_t>(pairs[i / 2] >> (16 * (i % 2)));
    }
  }
}

template <bool kAligned>
__device__ __forceinline__ Floats load(const bf16* row, int column, int columns) {
  return unpack(load_bits<kAligned>(row, column, columns));
}

template <bool kAligned>
__device__ __forceinline__ void store(bf16* row, int column, int columns, const Floats& f) {
  store_bits<kAligned>(row, column, columns, pack(f));
}

// The same eight columns of an fp32 vector.
template <bool kAligned>
__device__ __forceinline__ Floats load(const float* row, int column, int columns) {
  Floats f = {};
  if (column >= columns) return f;
  if constexpr (kAligned) {
    const float4 a = *reinterpret_cast<const float4*>(row + column);
    const float4 b = *reinterpret_cast<const float4*>(row + column + 4);
    return {{a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w}};
  } else {
#pragma unroll
    for (int i = 0; i < kPack; ++i) {
      if (column + i < columns) f.v[i] = row[column + i];
    }
    return f;
  }
}

template <bool kAligned>
__device__ __forceinline__ void store(float* row, int column, int columns, const Floats& f) {
  if (column >= columns) return;
  if constexpr (kAligned) {
    *reinterpret_cast<float4*>(row + column) = {f.v[0], f.v[1], f.v[2], f.v[3]};
    *reinterpret_cast<float4*>(row + column + 4) = {f.v[4], f.v[5], f.v[6], f.v[7]};
  } else {
#pragma unroll
    for (int i = 0; i < kPack; ++i) {
      if (column + i < columns) row[column + i] = f.v[i];
    }
  }
}

// True when rows of `columns` elements, starting at these pointers, can be moved 16 bytes at a time.
template <class... Pointers>
inline bool aligned_rows(std::int64_t columns, Pointers... pointers) {
  return columns % kPack == 0 && ((reinterpret_cast<std::uintptr_t>(pointers) % 16 == 0) && ...);
}

}  // namespace lmx::cuda
