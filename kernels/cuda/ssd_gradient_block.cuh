// What the two kinds of blocks of ssd_gradient.cu share: which heads and rows a block owns.
#pragma once

#include "ssd_gradient.cuh"
#include "ssd_scores.cuh"

namespace lmx::cuda {

struct GradientBlock {
  int b, chunk, group, split;
  int first, last;   // virtual heads
  int length;        // valid rows
  int mine;          // the warp's block of 16 steps
  index_t row;       // first row of the chunk
  const bf16 *x, *B, *C, *dy;  // first row of the chunk, first column of each (x, dy: of virtual head 0)

  __device__ __forceinline__ GradientBlock(const SsdGradient& p, int group_and_split)
      : b(blockIdx.z),
        chunk(blockIdx.y),
        group(group_and_split / p.splits),
        split(group_and_split % p.splits),
        length(p.g.length(chunk)),
        mine(score_block(threadIdx.x / 32)),
        row(p.g.row(b, chunk)),
        x(p.xbc + row * p.g.channels),
        B(x + p.g.inner + group * p.g.state),
        C(B + p.g.groups * p.g.state),
        dy(p.dy + row * p.g.inner) {
    const int share = (p.g.group_virtual_heads + p.splits - 1) / p.splits;
    first = group * p.g.group_virtual_heads + split * share;
    last = min(first + share, (group + 1) * p.g.group_virtual_heads);
  }

  // First element of a chunk in the vectors of terms per step of a virtual head.
  __device__ __forceinline__ index_t term(const SsdGeometry& g, int vh) const {
    return g.steps(b, vh, chunk, g.virtual_heads);
  }
};

// Accumulators of one warp (16 rows x kCols) to fp32 rows.
template <int kCols>
__device__ __forceinline__ void store_partial(const float (&sum)[kCols / 8][4], float* target, index_t stride,
                                              int valid_cols) {
  const int lane = threadIdx.x % 32;
#pragma unroll
  for (int q = 0; q < kCols / 8; ++q) {
    const int column = q * 8 + lane % 4 * 2;
    if (column >= valid_cols) continue;
    float* const at = target + lane / 4 * stride + column;
    *reinterpret_cast<float2*>(at) = {sum[q][0], sum[q][1]};
    *reinterpret_cast<float2*>(at + 8 * stride) = {sum[q][2], sum[q][3]};
  }
}

}  // namespace lmx::cuda
