// RMSNorm: y = x · rstd · weight, rstd = 1/sqrt(mean(x²) + eps). Backward, with g = dy · weight:
//   dx = dresidual + rstd · (g - x · rstd² · mean(g · x)),   dweight += Σ_rows dy · x · rstd.
//
// A row stays in registers between its reduction and its use, so every tensor crosses memory once: 4 bytes per element
// forward (65536 x 768: 201 MB, floor 48 us at 4.2 TB/s), 8 backward with a residual gradient (403 MB, 96 us).
// A row belongs to kRowThreads threads (a warp up to 1024 columns). Backward walks the rows with a fixed grid, the next ones
// on their way to shared memory (row_ring.cuh), keeps its share of dweight in registers and leaves one partial row per
// block, added up in block order by column_sum.
#include "check.h"
#include "column_sum.cuh"
#include "../common/error.h"
#include "launch.h"
#include "reduce.cuh"
#include "rms_norm.cuh"
#include "row_ring.cuh"

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

// Rows of a thread in shared memory: as many as let a multiprocessor of an H200 have two blocks of 256 threads and any card one.
template <int kRowThreads, int kPacks>
constexpr int kDepth = kRowThreads > kBlockThreads ? 1 : kPacks == 1 ? 4 : kPacks == 2 ? 3 : 2;
template <int kRowThreads, int kPacks>
using BackwardRing = RowRing<3, kPacks, kDepth<kRowThreads, kPacks>, kThreads<kRowThreads>>;
enum { of_dy, of_x, of_residual };

// partial: (gridDim.x, cols). dx may be dresidual: a row is fetched before it is written.
template <int kRowThreads, int kPacks, bool kAligned>
__global__ void __launch_bounds__(kThreads<kRowThreads>, kThreads<kRowThreads> == kBlockThreads ? 2 : 1)
    backward_kernel(index_t rows, int cols, const bf16* __restrict__ dy, const bf16* __restrict__ x,
                    const float* __restrict__ weight, const float* __restrict__ rstd, const bf16* dresidual, bf16* dx,
                    float* __restrict__ partial) {
  using Ring = BackwardRing<kRowThreads, kPacks>;
  constexpr int kRows = kThreads<kRowThreads> / kRowThreads, depth = kDepth<kRowThreads, kPacks>;
  constexpr bool kKeepWeights = kPacks <= 2 && kRowThreads <= kBlockThreads;  // in registers
  extern __shared__ uint4 memory[];
  __shared__ float scratch[kThreads<kRowThreads> / kWarp];
  Ring ring(memory);
  const int lane = threadIdx.x % kRowThreads, slot_of_row = threadIdx.x / kRowThreads;
  const index_t first_row = blockIdx.x * index_t{kRows} + slot_of_row, step = gridDim.x * index_t{kRows};
  const auto fetch = [&](index_t row, int slot) {
    if (row < rows) {
#pragma unroll
      for (int p = 0; p < kPacks; ++p) {
        const int column = (p * kRowThreads + lane) * kPack;
        ring.template fetch<kAligned>(slot, of_dy, p, dy + row * cols, column, cols);
        ring.template fetch<kAligned>(slot, of_x, p, x + row * cols, column, cols);
        if (dresidual) ring.template fetch<kAligned>(slot, of_residual, p, dresidual + row * cols, column, cols);
      }
    }
    ring.commit();
  };
#pragma unroll
  for (int d = 0; d < depth; ++d) fetch(first_row + d * step, d);
  float next_scale = first_row < rows ? rstd[first_row] : 0.f;
  Floats dweight[kPacks] = {}, weights[kKeepWeights ? kPacks : 1];
  const auto weights_of = [&](int p) { return load<kAligned>(weight, (p * kRowThreads + lane) * kPack, cols); };
  if constexpr (kKeepWeights) {
#pragma unroll
    for (int p = 0; p < kPacks; ++p) weights[p] = weights_of(p);
  }
  int slot = 0;
  for (index_t row = first_row; row < rows; row += step) {
    const float scale = next_scale;
    next_scale = row + step < rows ? rstd[row + step] : 0.f;
    ring.wait();
    uint4 dy_bits[kPacks], x_bits[kPacks];
    float dot = 0;
#pragma unroll
    for (int p = 0; p < kPacks; ++p) {
      dy_bits[p] = ring.bits(slot, of_dy, p);
      x_bits[p] = ring.bits(slot, of_x, p);
      const Floats g = unpack(dy_bits[p]), v = unpack(x_bits[p]);
      Floats w;
      if constexpr (kKeepWeights) w = weights[p]; else w = weights_of(p);
#pragma unroll
      for (int i = 0; i < kPack; ++i) dot += g.v[i] * w.v[i] * v.v[i];
    }
    const float slope = row_sum<kRowThreads>(dot, scratch) / cols * scale * scale;
#pragma unroll
    for (int p = 0; p < kPacks; ++p) {
      const Floats g = unpack(dy_bits[p]), v = unpack(x_bits[p]);
      Floats w, out = {};
      if constexpr (kKeepWeights) w = weights[p]; else w = weights_of(p);
      if (dresidual) out = unpack(ring.bits(slot, of_residual, p));
#pragma unroll
      for (int i = 0; i < kPack; ++i) {
        out.v[i] += scale * (g.v[i] * w.v[i] - v.v[i] * slope);
        dweight[p].v[i] += g.v[i] * v.v[i] * scale;
      }
      store<kAligned>(dx + row * cols, (p * kRowThreads + lane) * kPack, cols, out);
    }
    fetch(row + depth * step, slot);
    slot = Ring::next(slot);
  }
  // The ring's place takes the sums of rows side by side, which are added one after the other.
  constexpr int columns = kPacks * kRowThreads * kPack;
  static_assert(Ring::bytes >= kRows * columns * 4);
  float* const sums = reinterpret_cast<float*>(memory);
  __syncthreads();
#pragma unroll
  for (int p = 0; p < kPacks; ++p) {
    store<true>(sums + slot_of_row * columns, (p * kRowThreads + lane) * kPack, columns, dweight[p]);
  }
  __syncthreads();
  partial += blockIdx.x * index_t{cols};
  for (int column = threadIdx.x; column < cols; column += kThreads<kRowThreads>) {
    float sum = 0;
#pragma unroll
    for (int r = 0; r < kRows; ++r) sum += sums[r * columns + column];
    partial[column] = sum;
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
                       const bf16* dresidual, bf16* dx, float* dweight, void* workspace, cudaStream_t stream) {
  auto* partial = static_cast<float*>(workspace);
  index_t blocks = 0;
  with_row_layout(s.cols, [&](auto row_threads, auto packs) {
    constexpr int kRowThreads = row_threads(), kPacks = packs(), kThreadCount = kThreads<kRowThreads>;
    const bool aligned = aligned_rows(s.cols, dy, x, dx, weight) && aligned_rows(s.cols, dresidual);
    const auto kernel =
        aligned ? backward_kernel<kRowThreads, kPacks, true> : backward_kernel<kRowThreads, kPacks, false>;
    blocks = backward_blocks(s, kThreadCount / kRowThreads);
    constexpr int bytes = BackwardRing<kRowThreads, kPacks>::bytes;
    static_assert(bytes <= kLeastSharedMemory - 1024);
    allow_shared_memory(kernel, bytes, "rms_norm_backward");
    kernel<<<static_cast<unsigned>(blocks), kThreadCount, bytes, stream>>>(s.rows, static_cast<int>(s.cols), dy, x, weight,
                                                                           rstd, dresidual, dx, partial);
  });
  check_launch("rms_norm_backward");
  column_sum(blocks, s.cols, partial, dweight, stream);
}

}  // namespace lmx::cuda
