// A block owns 32 columns of one sum; its 32 warps take the rows in turn, and warp 0 adds the 32 partial sums in warp order. Of up to 64 rows it
// owns 256 columns, of which a thread adds a quarter of the rows: 32 rows of 65536 columns (8 MB) take 3 us then, and 9 with 32 columns to a block.
// Of up to 16 it owns 1024, one a thread.
#include "column_sums.cuh"

#include <algorithm>
#include <string>

#include "../common/error.h"
#include "check.h"
#include "launch.h"
#include "reduce.cuh"

namespace lmx::cuda {
namespace {

static_assert(sizeof(ColumnSums::Launch) <= 4096, "parameters of a launch on any card");

constexpr unsigned kThreads = 1024, kFewRows = 16, kSomeRows = 64;
constexpr unsigned kQuarters = 4, kQuarterColumns = kThreads / kQuarters;

constexpr unsigned block_columns(unsigned rows) { return rows <= kFewRows ? kThreads : rows <= kSomeRows ? kQuarterColumns : kWarp; }

__device__ void add_few_rows(const ColumnSums::Sum& sum, unsigned column) {
  if (column >= sum.cols) return;
  float total = sum.out[column];
#pragma unroll 8
  for (unsigned r = 0; r < sum.rows; ++r) total += sum.partial[std::size_t{r} * sum.cols + column];
  sum.out[column] = total;
}

// sums: a float for each thread.
__device__ void add_some_rows(const ColumnSums::Sum& sum, unsigned first_column, float* sums) {
  const unsigned quarter = threadIdx.x / kQuarterColumns, column = first_column + threadIdx.x % kQuarterColumns;
  const unsigned share = (sum.rows + kQuarters - 1) / kQuarters, end = min(sum.rows, (quarter + 1) * share);
  float total = 0;
  if (column < sum.cols) {
#pragma unroll 8
    for (unsigned r = quarter * share; r < end; ++r) total += sum.partial[std::size_t{r} * sum.cols + column];
  }
  sums[threadIdx.x] = total;
  __syncthreads();
  if (quarter != 0 || column >= sum.cols) return;
  total += sum.out[column];
#pragma unroll
  for (unsigned q = 1; q < kQuarters; ++q) total += sums[q * kQuarterColumns + threadIdx.x];
  sum.out[column] = total;
}

__global__ void __launch_bounds__(kThreads) column_sums_kernel(const __grid_constant__ ColumnSums::Launch launch) {
  __shared__ float sums[kWarp][kWarp + 1];
  int low = 0;  // the last sum whose first block is not beyond this one
  for (int high = launch.count; high - low > 1;) {
    const int middle = (low + high) / 2;
    (launch.sums[middle].first_block <= blockIdx.x ? low : high) = middle;
  }
  const ColumnSums::Sum& sum = launch.sums[low];
  const unsigned block = blockIdx.x - sum.first_block;
  if (sum.rows <= kFewRows) return add_few_rows(sum, block * kThreads + threadIdx.x);
  if (sum.rows <= kSomeRows) return add_some_rows(sum, block * kQuarterColumns, sums[0]);
  const unsigned lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const unsigned rows = sum.rows, cols = sum.cols, column = block * kWarp + lane;
  const float* const partial = sum.partial + column;
  float total = 0;
  if (column < cols) {
#pragma unroll 4
    for (unsigned r = warp; r < rows; r += kWarp) total += partial[std::size_t{r} * cols];
  }
  sums[warp][lane] = total;
  __syncthreads();
  if (warp != 0 || column >= cols) return;
  total = sum.out[column];
#pragma unroll
  for (int w = 0; w < kWarp; ++w) total += sums[w][lane];
  sum.out[column] = total;
}

}  // namespace

void ColumnSums::bind(void* workspace, std::size_t bytes) {
  workspace_ = static_cast<std::byte*>(workspace);
  size_ = begin_ = bytes;
}

float* ColumnSums::room(index_t count, cudaStream_t stream, const void* beyond) {
  const std::size_t used = beyond ? static_cast<std::size_t>(static_cast<const std::byte*>(beyond) - workspace_) : 0;
  const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(float);
  if (used + bytes > begin_) flush(stream);
  if (used + bytes > begin_) {
    throw InvalidArgument("workspace: Expected at least " + std::to_string(used + bytes) + " bound bytes, got " + std::to_string(size_));
  }
  return reinterpret_cast<float*>(workspace_ + (begin_ - bytes) / 16 * 16);
}

void ColumnSums::add(index_t rows, index_t cols, const float* partial, float* out, cudaStream_t stream) {
  if (cols == 0) return;
  const auto same = [&](const Sum& sum) { return sum.out == out; };
  Sum* const end = waiting_.sums + waiting_.count;
  if (waiting_.count == most || std::any_of(waiting_.sums, end, same)) flush(stream);
  waiting_.sums[waiting_.count++] = {partial, out, static_cast<unsigned>(rows), static_cast<unsigned>(cols), blocks_};
  blocks_ += static_cast<unsigned>(ceil_div(cols, block_columns(static_cast<unsigned>(rows))));
  begin_ = std::min(begin_, static_cast<std::size_t>(reinterpret_cast<const std::byte*>(partial) - workspace_));
}

void ColumnSums::flush(cudaStream_t stream) {
  if (waiting_.count == 0) return;
  column_sums_kernel<<<blocks_, kThreads, 0, stream>>>(waiting_);
  waiting_.count = 0;
  blocks_ = 0;
  begin_ = size_;
  check_launch("column_sums");
}

}  // namespace lmx::cuda
