// Sums over everything: the squared norm of all gradients (arXiv 1211.5063) and the step's loss. Two stages in a fixed order:
// a fixed grid leaves one fp64 sum per block, one block adds those. 4 bytes per gradient (137.5M: 550 MB, floor 131 us).
#include "adamw.cuh"
#include "check.h"
#include "launch.h"
#include "reduce.cuh"

namespace lmx::cuda {
namespace {

constexpr int kThreads = 512;
constexpr int kMaxBlocks = 1056;  // eight per SM of an H200; fixed, so that results do not depend on the card
constexpr int kWidth = 4;

template <bool kSquare>
__device__ __forceinline__ double term(float value) {
  return kSquare ? static_cast<double>(value) * value : static_cast<double>(value);
}

// Four neighbours are added in fp32, everything beyond them in fp64.
template <bool kSquare>
__global__ void __launch_bounds__(kThreads)
    block_sums_kernel(index_t count, const float* __restrict__ values, double* __restrict__ block_sums) {
  __shared__ double scratch[kThreads / kWarp];
  const index_t step = gridDim.x * index_t{kThreads} * kWidth;
  double sum = 0;
#pragma unroll 4
  for (index_t i = (blockIdx.x * index_t{kThreads} + threadIdx.x) * kWidth; i < count; i += step) {
    if (i + kWidth <= count) {
      const float4 f = *reinterpret_cast<const float4*>(values + i);
      sum += kSquare ? f.x * f.x + f.y * f.y + (f.z * f.z + f.w * f.w) : f.x + f.y + (f.z + f.w);
    } else {
      for (index_t j = i; j < count; ++j) sum += term<kSquare>(values[j]);
    }
  }
  sum = block_sum(sum, scratch);
  if (threadIdx.x == 0) block_sums[blockIdx.x] = sum;
}

__device__ double total_of(int blocks, const double* block_sums, double* scratch) {
  double sum = 0;
  for (int i = threadIdx.x; i < blocks; i += kThreads) sum += block_sums[i];
  return block_sum(sum, scratch);
}

__global__ void __launch_bounds__(kThreads) norm_kernel(int blocks, const double* block_sums, StepScalars* scalars) {
  __shared__ double scratch[kThreads / kWarp];
  const double norm = sqrt(total_of(blocks, block_sums, scratch));
  if (threadIdx.x != 0) return;
  scalars->grad_norm = norm;
  scalars->clip_scale = scalars->clip_norm > 0 && norm > scalars->clip_norm ? scalars->clip_norm / norm : 1.0;
}

__global__ void __launch_bounds__(kThreads) loss_kernel(int blocks, const double* block_sums, StepScalars* scalars) {
  __shared__ double scratch[kThreads / kWarp];
  const double sum = total_of(blocks, block_sums, scratch);
  if (threadIdx.x == 0) scalars->loss_sum += sum;
}

template <bool kSquare>
int launch_block_sums(index_t count, const float* values, double* block_sums, cudaStream_t stream) {
  const index_t needed = ceil_div(count, kThreads * kWidth);
  const int blocks = static_cast<int>(needed < kMaxBlocks ? needed : kMaxBlocks);
  if (blocks > 0) block_sums_kernel<kSquare><<<blocks, kThreads, 0, stream>>>(count, values, block_sums);
  return blocks;
}

}  // namespace

std::size_t block_sums_bytes() { return kMaxBlocks * sizeof(double); }

void gradient_norm(index_t count, const float* gradients, StepScalars* scalars, double* block_sums,
                   cudaStream_t stream) {
  const int blocks = launch_block_sums<true>(count, gradients, block_sums, stream);
  norm_kernel<<<1, kThreads, 0, stream>>>(blocks, block_sums, scalars);
  check_launch("gradient_norm");
}

void add_loss(index_t rows, const float* row_loss, StepScalars* scalars, double* block_sums, cudaStream_t stream) {
  const int blocks = launch_block_sums<false>(rows, row_loss, block_sums, stream);
  loss_kernel<<<1, kThreads, 0, stream>>>(blocks, block_sums, scalars);
  check_launch("add_loss");
}

}  // namespace lmx::cuda
