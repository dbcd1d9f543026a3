#include "full_copy.cuh"

#include "check.h"
#include "launch.h"

namespace lmx::cuda {
namespace {

constexpr int kThreads = 512, kUnroll = 4;  // 16 bytes each, loaded together

__global__ void __launch_bounds__(kThreads) full_copy_kernel(index_t count, const uint4* __restrict__ from, uint4* __restrict__ to) {
  const index_t first = blockIdx.x * index_t{kThreads * kUnroll} + threadIdx.x;
  uint4 values[kUnroll];
#pragma unroll
  for (int i = 0; i < kUnroll; ++i) values[i] = first + i * kThreads < count ? from[first + i * kThreads] : uint4{};
#pragma unroll
  for (int i = 0; i < kUnroll; ++i) {
    if (first + i * kThreads < count) to[first + i * kThreads] = values[i];
  }
}

}  // namespace

void full_copy(void* to, const void* from, std::size_t bytes, cudaStream_t stream) {
  const index_t count = static_cast<index_t>(bytes / sizeof(uint4));
  if (count > 0) {
    full_copy_kernel<<<static_cast<unsigned>(ceil_div(count, kThreads * kUnroll)), kThreads, 0, stream>>>(
        count, static_cast<const uint4*>(from), static_cast<uint4*>(to));
    check_launch("full_copy");
  }
  const std::size_t done = static_cast<std::size_t>(count) * sizeof(uint4);
  if (done == bytes) return;
  check(cudaMemcpyAsync(static_cast<char*>(to) + done, static_cast<const char*>(from) + done, bytes - done,
                        cudaMemcpyDeviceToDevice, stream),
        "cudaMemcpyAsync");
}

}  // namespace lmx::cuda
