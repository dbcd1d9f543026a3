// RMSNorm: y = x · rstd · weight, rstd = 1/sqrt(mean(x²) + eps). Backward, with g = dy · weight:
//   dx = dresidual + rstd · (g - x · rstd² · mean(g · x)),   dweight += Σ_rows dy · x · rstd.
//
// A row stays in registers between its reduction and its use, so every tensor crosses memory once: 4 bytes per element
// forward (65536 x 768: 201 MB, floor 48 us at 4.2 TB/s), 8 backward with a residual gradient (403 MB, 96 us).
// A row belongs to kRowThreads threads (a warp up to 1024 columns). Backward walks the rows with a fixed grid, keeps its
// share of dweight in registers and leaves one partial row per block, added up in block order by column_sums.
#include "check.h"
#include "../common/error.h"
#include "launch.h"
#include "reduce.cuh"
#include "rms_norm.cuh"

namespace lmx::cuda {
namespace {

constexpr int kBlockThreads = 256;
constexpr index_t kBackwardBlocks = 264;  // two per SM of an H200; fixed, so that results do not depend on the card
constexpr index_t kMaxColumns = 16384;

// Threads of one block: whole rows side by side, or one row over all of them.
template <int kRowThreads>
constexpr int kThreads = kRowThreads > kBlockThreads ? kRowThreads : kBlockThreads;

template <int kRowThreads>
__device__ __forceinline__ float row_sum(float value, float* scratch) {
  if constexpr (kRowThreads == kWarp) {
    return warp_sum(value);
  } else {
    __syncthreads();  // the scratch of the previous row has been read
    return block_sum(value, scratch);
  }
}

template <int kRowThreads, int kPacks, bool kAligned>
__global__ void __launch_bounds__(kThreads<kRowThreads>)
    forward_kernel(index_t rows, int cols, float eps, const bf16* __restrict__ x, const float* __restrict__ weight,
                   bf16* __restrict__ y, float* __restrict__ rstd) {
  __shared__ float scratch[kThreads<kRowThreads> / kWarp];
  const index_t row = blockIdx.x * index_t{kThreads<kRowThreads> / kRowThreads} + threadIdx.x / kRowThreads;
  const int lane = threadIdx.x % kRowThreads;
  if (row >= rows) return;
  x += row * cols;
  y += row * cols;
  Floats values[kPacks];
  float squares = 0;
#pragma unroll
  for (int p = 0; p < kPacks; ++p) {
    values[p] = load<kAligned>(x, (p * kRowThreads + lane) * kPack, cols);
#pragma unroll
    for (int i = 0; i < kPack; ++i) squares += values[p].v[i] * values[p].v[i];
  }
  const float scale = rsqrtf(row_sum<kRowThreads>(squares, scratch) / cols + eps);
  if (lane == 0) rstd[row] = scale;
#pragma unroll
  for (int p = 0; p < kPacks; ++p) {
    const int column = (p * kRowThreads + lane) * kPack;
    const Floats w = load<kAligned>(weight, column, cols);
#pragma unroll
    for (int i = 0; i < kPack; ++i) values[p].v[i] *= scale * w.v[i];
    store<kAligned>(y, column, cols, values[p]);
  }
}

// partial: (gridDim.x, cols).
template <int kRowThreads, int kPacks, bool kAligned>
__global__ void __launch_bounds__(kThreads<kRowThreads>)
    backward_kernel(index_t rows, int cols, const bf16* __restrict__ dy, const bf16* __restrict__ x,
                    const float* __restrict__ weight, const float* __restrict__ rstd, const bf16* dresidual, bf16* dx,
                    float* __restrict__ partial) {
  constexpr int kRows = kThreads<kRowThreads> / kRowThreads;
  __shared__ float scratch[kThreads<kRowThreads> / kWarp];
  const int lane = threadIdx.x % kRowThreads, slot = threadIdx.x / kRowThreads;
  Floats dweight[kPacks] = {};
  for (index_t row = blockIdx.x * index_t{kRows} + slot; row < rows; row += gridDim.x * index_t{kRows}) {
    const index_t start = row * cols;
    uint4 dy_bits[kPacks], x_bits[kPacks], residual_bits[kPacks];
#pragma unroll
    for (int p = 0; p < kPacks; ++p) {
      const int column = (p * kRowThreads + lane) * kPack;
      dy_bits[p] = load_bits<kAligned>(dy + start, column, cols);
      x_bits[p] = load_bits<kAligned>(x + start, column, cols);
      residual_bits[p] = dresidual ? load_bits<kAligned>(dresidual + start, column, cols) : uint4{0, 0, 0, 0};
    }
    const float scale = rstd[row];
    float dot = 0;
#pragma unroll
    for (int p = 0; p < kPacks; ++p) {
      const Floats w = load<kAligned>(weight, (p * kRowThreads + lane) * kPack, cols);
      const Floats g = unpack(dy_bits[p]), v = unpack(x_bits[p]);
#pragma unroll
      for (int i = 0; i < kPack; ++i) dot += g.v[i] * w.v[i] * v.v[i];
    }
    const float slope = row_sum<kRowThreads>(dot, scratch) / cols * scale * scale;
#pragma unroll
    for (int p = 0; p < kPacks; ++p) {
      const int column = (p * kRowThreads + lane) * kPack;
      const Floats w = load<kAligned>(weight, column, cols);
      const Floats g = unpack(dy_bits[p]), v = unpack(x_bits[p]);
      Floats out = unpack(residual_bits[p]);
#pragma unroll
      for (int i = 0; i < kPack; ++i) {
        out.v[i] += scale * (g.v[i] * w.v[i] - v.v[i] * slope);
        dweight[p].v[i] += g.v[i] * v.v[i] * scale;
      }
      store<kAligned>(dx + start, column, cols, out);
    }
  }
  // Rows that ran side by side in this block are added in slot order, one pack of every lane at a time.
  __shared__ float slots[kRows][kRowThreads * kPack];
  partial += blockIdx.x * index_t{cols};
#pragma unroll
  for (int p = 0; p < kPacks; ++p) {
    __syncthreads();
#pragma unroll
    for (int i = 0; i < kPack; ++i) slots[slot][lane * kPack + i] = dweight[p].v[i];
    __syncthreads();
    for (int c = threadIdx.x; c < kRowThreads * kPack; c += kThreads<kRowThreads>) {
      float sum = 0;
#pragma unroll
      for (int s = 0; s < kRows; ++s) sum += slots[s][c];
      const int column = p * kRowThreads * kPack + c;
      if (column < cols) partial[column] = sum;
    }
  }
}

index_t backward_blocks(const NormShape& s, int rows_per_block) {
  const index_t needed = ceil_div(s.rows, rows_per_block);
  return needed < kBackwardBlocks ? needed : kBackwardBlocks;
}

// Calls body.operator()<kRowThreads, kPacks>() with the smallest configuration that holds a row.
template <class Body>
void with_row_layout(index_t cols, const Body& body) {
  if (cols > kMaxColumns) {
    throw InvalidArgument("rms_norm: Expected at most " + std::to_string(kMaxColumns) + " columns, got " +
                          std::to_string(cols));
  }
  const index_t warp_packs = ceil_div(cols, kWarp * kPack);
  if (warp_packs <= 1) return body(std::integral_constant<int, 32>(), std::integral_constant<int, 1>());
  if (warp_packs <= 2) return body(std::integral_constant<int, 32>(), std::integral_constant<int, 2>());
  if (warp_packs <= 3) return body(std::integral_constant<int, 32>(), std::integral_constant<int, 3>());
  if (warp_packs <= 4) return body(std::integral_constant<int, 32>(), std::integral_constant<int, 4>());
  if (cols <= 2048) return body(std::integral_constant<int, 256>(), std::integral_constant<int, 1>());
  if (cols <= 4096) return body(std::integral_constant<int, 256>(), std::integral_constant<int, 2>());
  if (cols <= 8192) return body(std::integral_constant<int, 1024>(), std::integral_constant<int, 1>());
  return body(std::integral_constant<int, 1024>(), std::integral_constant<int, 2>());
}

}  // namespace

std::size_t rms_norm_workspace(const NormShape& s) {
  return static_cast<std::size_t>(kBackwardBlocks * s.cols) * sizeof(float);
}

void rms_norm_forward(const NormShape& s, const bf16* x, const float* weight, bf16* y, float* rstd,
                      cudaStream_t stream) {
  with_row_layout(s.cols, [&](auto row_threads, auto packs) {
    constexpr int kRowThreads = row_threads(), kPacks = packs(), kThreadCount = kThreads<kRowThreads>;
    const auto kernel = aligned_rows(s.cols, x, y, weight) ? forward_kernel<kRowThreads, kPacks, true>
                                                           : forward_kernel<kRowThreads, kPacks, false>;
    const auto blocks = static_cast<unsigned>(ceil_div(s.rows, kThreadCount / kRowThreads));
    kernel<<<blocks, kThreadCount, 0, stream>>>(s.rows, static_cast<int>(s.cols), static_cast<float>(s.eps), x, weight,
                                                y, rstd);
  });
  check_launch("rms_norm_forward");
}

void rms_norm_backward(const NormShape& s, const bf16* dy, const bf16* x, const float* weight, const float* rstd,
                       const bf16* dresidual, bf16* dx, float* dweight, ColumnSums& sums, cudaStream_t stream) {
  with_row_layout(s.cols, [&](auto row_threads, auto packs) {
    constexpr int kRowThreads = row_threads(), kPacks = packs(), kThreadCount = kThreads<kRowThreads>;
    const bool aligned = aligned_rows(s.cols, dy, x, dx, weight) && aligned_rows(s.cols, dresidual);
    const auto kernel =
        aligned ? backward_kernel<kRowThreads, kPacks, true> : backward_kernel<kRowThreads, kPacks, false>;
    const index_t blocks = backward_blocks(s, kThreadCount / kRowThreads);
    float* const partial = sums.room(blocks * s.cols, stream);
    kernel<<<static_cast<unsigned>(blocks), kThreadCount, 0, stream>>>(s.rows, static_cast<int>(s.cols), dy, x, weight,
                                                                       rstd, dresidual, dx, partial);
    check_launch("rms_norm_backward");
    sums.add(blocks, s.cols, partial, dweight, stream);
  });
}

}  // namespace lmx::cuda
