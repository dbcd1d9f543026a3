// The gated RMSNorm's backward for groups of 513 to 2048 columns (equations: gated_rms_norm.cu): a block per row, eight columns of it to a
// thread, the next row on its way to registers while one is worked on. Blocks walk the rows with a fixed grid; a thread's columns are
// its own, so dweight stays in its registers until the end.
//
// 10 bytes an element: 65536 x 1536 takes 257 us on an H200 (1007 MB, 244 us at the 4.13 TB/s of a copy). 24 warps a multiprocessor with up to 3 KB
// of loads each are as much as memory wants: with 32 warps it took 277 us, with rows that arrive further ahead in shared memory 288.
#pragma once

#include "../backend.h"
#include "launch.h"
#include "mma_tile.cuh"
#include "pack.cuh"
#include "reduce.cuh"

namespace lmx::cuda {

constexpr index_t kLeastWideGroup = 513, kMostWideGroup = 2048;
constexpr int kWideWarps = 24;  // of a multiprocessor

// Warps of a block: as many as hold a group's columns.
constexpr int wide_warps(index_t width) { return static_cast<int>(ceil_div(width, kPack * kWarp)); }
constexpr index_t wide_blocks(index_t width) { return index_t{kMultiprocessors} * (kWideWarps / wide_warps(width)); }

// One element, where g = dout weight.
struct GatedGradient {
  float dy, dz;
};
__device__ __forceinline__ GatedGradient gated_gradient(float y, float z, float sigmoid, float g, float scale, float slope) {
  const float silu = z * sigmoid, v = y * silu, dv = scale * fmaf(v, -slope, g);
  return {dv * silu, dv * fmaf(y, sigmoid, fmaf(-v, sigmoid, v))};  // y silu' = y sigmoid + v (1 - sigmoid)
}

// grid (blocks, groups), wide_warps(width) warps; partial (blocks, cols).
template <int kWarps, bool kAligned>
__global__ void __launch_bounds__(kWarps* kWarp, kWideWarps / kWarps)
    wide_backward_kernel(GatedNormShape s, const bf16* __restrict__ dout, const bf16* __restrict__ y, StridedOf<const bf16*> z,
                         const float* __restrict__ weight, const float* __restrict__ rstd, bf16* __restrict__ dy, StridedOf<bf16*> dz,
                         float* __restrict__ partial) {
  __shared__ float scratch[2][kWarps];  // of rows in turn, so that one barrier a row is enough
  const int rows = static_cast<int>(s.rows), step = gridDim.x, warp = threadIdx.x / kWarp, warps = blockDim.x / kWarp;
  const int width = static_cast<int>(s.cols / s.groups), first = blockIdx.y * width, column = threadIdx.x * kPack;
  const auto of_row = [&](auto* base, int row, index_t stride) { return base + (row * stride + first); };
  struct Row {
    uint4 z, y, dout;
    float scale;
  };
  const auto row_at = [&](int row) {
    if (row >= rows) return Row{};
    return Row{load_bits<kAligned>(of_row(z.data, row, z.stride), column, width), load_bits<kAligned>(of_row(y, row, s.cols), column, width),
               load_bits<kAligned>(of_row(dout, row, s.cols), column, width), rstd[row * s.groups + blockIdx.y]};
  };
  Row next = row_at(blockIdx.x);
  const Floats w = load<kAligned>(weight + first, column, width);
  const float inverse_width = 1.0f / static_cast<float>(width);
  Floats dweight = {};
  int parity = 0;
  for (int row = blockIdx.x; row < rows; row += step, parity ^= 1) {
    const Row own = next;
    next = row_at(row + step);
    const Floats zs = unpack(own.z), ys = unpack(own.y), ds = unpack(own.dout);
    Floats sigmoids, dys, dzs;
    float dot = 0;
#pragma unroll
    for (int i = 0; i < kPack; ++i) {
      sigmoids.v[i] = tile::sigmoid_fast(zs.v[i]);
      const float dv = ds.v[i] * (ys.v[i] * (zs.v[i] * sigmoids.v[i]));  // dout · v
      dweight.v[i] = fmaf(dv, own.scale, dweight.v[i]);
      dot = fmaf(dv, w.v[i], dot);
    }
    dot = warp_sum(dot);
    if (threadIdx.x % kWarp == 0) scratch[parity][warp] = dot;
    __syncthreads();
    dot = 0;
    for (int i = 0; i < warps; ++i) dot += scratch[parity][i];
    const float slope = dot * inverse_width * own.scale * own.scale;
#pragma unroll
    for (int i = 0; i < kPack; ++i) {
      const GatedGradient d = gated_gradient(ys.v[i], zs.v[i], sigmoids.v[i], ds.v[i] * w.v[i], own.scale, slope);
      dys.v[i] = d.dy;
      dzs.v[i] = d.dz;
    }
    store<kAligned>(of_row(dy, row, s.cols), column, width, dys);
    store<kAligned>(of_row(dz.data, row, dz.stride), column, width, dzs);
  }
  store<kAligned>(of_row(partial, blockIdx.x, s.cols), column, width, dweight);
}

}  // namespace lmx::cuda
