// What the two kinds of blocks of ssd_gradient.cu share: 16 warps, two to each block of 16 steps; the heads
// and rows they own. In the walk over heads the half of the warps that has fewer pairs of steps to look at
// does the copying.
#pragma once

#include "ssd_gradient.cuh"
#include "ssd_head_walk.cuh"
#include "ssd_scores.cuh"

namespace lmx::cuda {

constexpr int kGradientShare = 2, kGradientThreads = kScoreThreads<kGradientShare>;
constexpr int kGradientWarps = kGradientThreads / 32;
constexpr int kCopyThreads = kGradientThreads / 2;

// What a block does: its role among kRoles, for one (sequence, chunk, group, split of the group's heads). The roles of one are
// neighbours, so that dy and x come from memory once and from L2 afterwards. Of two roles the first takes longer: among the last blocks
// to start it comes before the other, so that the multiprocessors end together.
struct GradientWork {
  int role, owner, chunk, b;  // owner: group and split
};
template <int kRoles>
__device__ __forceinline__ GradientWork gradient_work(int block, int blocks, int owners, int chunks) {
  constexpr int last = 2 * kMultiprocessors;
  const int all = blocks / kRoles, apart = kRoles == 2 ? min(all, last) : 0, together = all - apart;
  int role = block % kRoles, index = block / kRoles;
  if (index >= together) {
    const int late = block - kRoles * together;
    role = late >= apart ? 1 : 0;
    index = together + late - role * apart;
  }
  return {role, index % owners, index / owners % chunks, index / owners / chunks};
}

struct GradientBlock {
  int b, chunk, group, split;
  int first, last;               // virtual heads
  int length;                    // valid rows
  StepOwner mine;                // the warp's 16 steps, and its half of their columns
  index_t row;                   // first row of the chunk
  index_t states, steps, terms;  // first elements of head 0: states and G; vectors per head; per virtual head
  const bf16 *x, *B, *C, *dy;    // first row of the chunk, first column of each (x, dy: of virtual head 0)

  __device__ __forceinline__ GradientBlock(const SsdGradient& p, const GradientWork& work)
      : b(work.b),
        chunk(work.chunk),
        group(work.owner / p.splits),
        split(work.owner % p.splits),
        length(p.g.length(chunk)),
        mine(step_owner<kGradientShare>()),
        row(p.g.row(b, chunk)),
        states(p.g.states(b, chunk)),
        steps(p.g.steps(b, chunk, p.g.heads)),
        terms(p.g.steps(b, chunk, p.g.virtual_heads)),
        x(p.xbc + row * p.g.channels),
        B(x + p.g.inner + group * p.g.state),
        C(B + p.g.groups * p.g.state),
        dy(p.dy + row * p.g.inner) {
    const int share = (p.g.group_virtual_heads + p.splits - 1) / p.splits;
    first = group * p.g.group_virtual_heads + split * share;
    last = min(first + share, (group + 1) * p.g.group_virtual_heads);
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
