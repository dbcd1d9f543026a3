// Sums and maxima over the threads that share a row, in a fixed order: butterfly inside a warp, then warp by warp.
// Every thread of the group receives the result. With kLanes, over each kLanes neighbouring lanes of a warp.
#pragma once

namespace lmx::cuda {

constexpr int kWarp = 32;

template <int kLanes = kWarp>
__device__ __forceinline__ float warp_sum(float value) {
#pragma unroll
  for (int offset = kLanes / 2; offset > 0; offset /= 2) value += __shfl_xor_sync(~0u, value, offset);
  return value;
}

__device__ __forceinline__ double warp_sum(double value) {
#pragma unroll
  for (int offset = kWarp / 2; offset > 0; offset /= 2) value += __shfl_xor_sync(~0u, value, offset);
  return value;
}

template <int kLanes = kWarp>
__device__ __forceinline__ float warp_max(float value) {
#pragma unroll
  for (int offset = kLanes / 2; offset > 0; offset /= 2) value = fmaxf(value, __shfl_xor_sync(~0u, value, offset));
  return value;
}

// Over the whole block; `scratch` holds one value per warp and may be reused after the next barrier.
template <class T>
__device__ __forceinline__ T block_sum(T value, T* scratch) {
  const int warps = blockDim.x / kWarp;
  value = warp_sum(value);
  if (warps == 1) return value;
  if (threadIdx.x % kWarp == 0) scratch[threadIdx.x / kWarp] = value;
  __syncthreads();
  T total = 0;
  for (int w = 0; w < warps; ++w) total += scratch[w];
  return total;
}

// 2^x by the special-function unit: 2 ulp, denormal results become 0.
__device__ __forceinline__ float fast_exp2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

}  // namespace lmx::cuda
