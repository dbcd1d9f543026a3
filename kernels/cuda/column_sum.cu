// A block owns 32 columns; its 32 warps take the rows in turn, and warp 0 adds the 32 partial sums in warp order.
#include "check.h"
#include "column_sum.cuh"
#include "launch.h"
#include "reduce.cuh"

namespace lmx::cuda {
namespace {

// The first `first_blocks` blocks do `first`, the others `second`.
__global__ void __launch_bounds__(1024)
    column_sum_kernel(index_t rows, unsigned first_blocks, const ColumnSum first, const ColumnSum second) {
  __shared__ float sums[kWarp][kWarp + 1];
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const bool is_first = blockIdx.x < first_blocks;
  const index_t cols = is_first ? first.cols : second.cols;
  const float* const __restrict__ partial = is_first ? first.partial : second.partial;
  float* const __restrict__ out = is_first ? first.out : second.out;
  const index_t column = (blockIdx.x - (is_first ? 0 : first_blocks)) * index_t{kWarp} + lane;
  float sum = 0;
  if (column < cols) {
#pragma unroll 4
    for (index_t r = warp; r < rows; r += kWarp) sum += __ldg(partial + r * cols + column);
  }
  sums[warp][lane] = sum;
  __syncthreads();
  if (warp != 0 || column >= cols) return;
  float total = out[column];
#pragma unroll
  for (int w = 0; w < kWarp; ++w) total += sums[w][lane];
  out[column] = total;
}

unsigned blocks_of(const ColumnSum& s) { return static_cast<unsigned>(ceil_div(s.cols, kWarp)); }

}  // namespace

void column_sum(index_t rows, const ColumnSum& sum, cudaStream_t stream) { column_sums(rows, sum, {0, nullptr, nullptr}, stream); }

void column_sums(index_t rows, const ColumnSum& first, const ColumnSum& second, cudaStream_t stream) {
  column_sum_kernel<<<blocks_of(first) + blocks_of(second), 1024, 0, stream>>>(rows, blocks_of(first), first, second);
  check_launch("column_sum");
}

}  // namespace lmx::cuda
