// Philox4x32-10 and Box-Muller as in common/philox.h, in fp64 like there, so that a model starts with the same weights on every
// device, up to the last bit of the logarithm and cosine. 8 billion values take about a quarter of a second.
#include "../common/error.h"
#include "check.h"
#include "fill_normal.cuh"
#include "launch.h"
#include "pack.cuh"

namespace lmx::cuda {
namespace {

constexpr int kThreads = 256;

__device__ __forceinline__ uint4 philox(uint4 counter, uint2 key) {
#pragma unroll
  for (int round = 0; round < 10; ++round) {
    const std::uint32_t high_a = __umulhi(0xD2511F53u, counter.x), low_a = 0xD2511F53u * counter.x;
    const std::uint32_t high_b = __umulhi(0xCD9E8D57u, counter.z), low_b = 0xCD9E8D57u * counter.z;
    counter = {high_b ^ counter.y ^ key.x, low_b, high_a ^ counter.w ^ key.y, low_a};
    key.x += 0x9E3779B9u;
    key.y += 0xBB67AE85u;
  }
  return counter;
}

// 52 random bits, centred in their interval.
__device__ __forceinline__ double to_unit_interval(std::uint32_t high, std::uint32_t low) {
  const std::uint64_t bits = (std::uint64_t{high} << 20) | (low >> 12);
  return (static_cast<double>(bits) + 0.5) * 0x1p-52;
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    fill_kernel(T* values, index_t count, double scale, std::uint64_t seed, std::uint64_t stream_number) {
  const uint2 key = {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)};
  for (index_t i = blockIdx.x * index_t{kThreads} + threadIdx.x; i < count; i += gridDim.x * index_t{kThreads}) {
    const auto index = static_cast<std::uint64_t>(i);
    const uint4 block = philox({static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32),
                                static_cast<std::uint32_t>(stream_number), static_cast<std::uint32_t>(stream_number >> 32)},
                               key);
    const double radius = sqrt(-2.0 * log(to_unit_interval(block.x, block.y)));
    values[i] = static_cast<T>(static_cast<float>(scale * radius * cospi(2.0 * to_unit_interval(block.z, block.w))));
  }
}

__global__ void __launch_bounds__(kThreads) widen_kernel(index_t count, const bf16* from, float* to) {
  const index_t i = blockIdx.x * index_t{kThreads} + threadIdx.x;
  if (i < count) to[i] = __bfloat162float(from[i]);
}

__global__ void __launch_bounds__(kThreads) narrow_kernel(index_t count, const float* from, bf16* to) {
  const index_t i = blockIdx.x * index_t{kThreads} + threadIdx.x;
  if (i < count) to[i] = __float2bfloat16(from[i]);
}

unsigned blocks_for(index_t count) { return static_cast<unsigned>(ceil_div(count, kThreads)); }

}  // namespace

void fill_normal(void* values, DType type, index_t count, double scale, std::uint64_t seed, std::uint64_t stream_number,
                 cudaStream_t stream) {
  if (count == 0) return;
  const auto blocks = static_cast<unsigned>(ceil_div(count, kThreads) < 8192 ? ceil_div(count, kThreads) : 8192);
  if (type == DType::bf16) {
    fill_kernel<<<blocks, kThreads, 0, stream>>>(static_cast<bf16*>(values), count, scale, seed, stream_number);
  } else if (type == DType::f32) {
    fill_kernel<<<blocks, kThreads, 0, stream>>>(static_cast<float*>(values), count, scale, seed, stream_number);
  } else {
    throw InvalidArgument("fill_normal: Expected bf16 or f32 on a GPU");
  }
  check_launch("fill_normal");
}

void widen(index_t count, const void* from_bf16, float* to, cudaStream_t stream) {
  widen_kernel<<<blocks_for(count), kThreads, 0, stream>>>(count, static_cast<const bf16*>(from_bf16), to);
  check_launch("widen");
}

void narrow(index_t count, const float* from, void* to_bf16, cudaStream_t stream) {
  narrow_kernel<<<blocks_for(count), kThreads, 0, stream>>>(count, from, static_cast<bf16*>(to_bf16));
  check_launch("narrow");
}

}  // namespace lmx::cuda
