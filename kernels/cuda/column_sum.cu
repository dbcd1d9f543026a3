// A block owns 32 columns; its 32 warps take the rows in turn, and warp 0 adds the 32 partial sums in warp order.
#include "check.h"
#include "column_sum.cuh"
#include "launch.h"
#include "reduce.cuh"

namespace lmx::cuda {
namespace {

__global__ void __launch_bounds__(1024)
    column_sum_kernel(index_t rows, index_t cols, const float* __restrict__ partial, float* __restrict__ out) {
  __shared__ float sums[kWarp][kWarp + 1];
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const index_t column = blockIdx.x * index_t{kWarp} + lane;
  float sum = 0;
  if (column < cols) {
#pragma unroll 4
    for (index_t r = warp; r < rows; r += kWarp) sum += partial[r * cols + column];
  }
  sums[warp][lane] = sum;
  __syncthreads();
  if (warp != 0 || column >= cols) return;
  float total = out[column];
#pragma unroll
  for (int w = 0; w < kWarp; ++w) total += sums[w][lane];
  out[column] = total;
}

}  // namespace

void column_sum(index_t rows, index_t cols, const float* partial, float* out, cudaStream_t stream) {
  column_sum_kernel<<<static_cast<unsigned>(ceil_div(cols, kWarp)), 1024, 0, stream>>>(rows, cols, partial, out);
  check_launch("column_sum");
}

}  // namespace lmx::cuda
