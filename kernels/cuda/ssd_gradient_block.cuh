// What the two kinds of blocks of ssd_gradient.cu share: 16 warps, two to each block of 16 steps; the heads
// and rows they own. In the walk over heads half of the warps does the copying: among those that write, the half
// with fewer later steps.
#pragma once

#include "reduce.cuh"
#include "ssd_gradient.cuh"
#include "ssd_head_ring.cuh"
#include "ssd_head_walk.cuh"
#include "ssd_scores.cuh"

namespace lmx::cuda {

constexpr int kGradientShare = 2, kGradientThreads = kScoreThreads<kGradientShare>;
constexpr int kGradientWarps = kGradientThreads / 32;
constexpr int kCopyThreads = kGradientThreads / 2;
constexpr int kEngineThreads = kGradientThreads + 128;  // on Hopper: and a warpgroup that helps (ssd_head_ring.cuh)

// On Hopper: what the copy engine moves, a head at a time. Of x and dy 128 steps x 64 channels, of states 64 channels x 64 columns, of
// dx 16 steps x 32 channels.
struct GradientMaps {
  CUtensorMap x, dy, states, grads, dx;
};

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

using hopper::Barrier;

// Values of neighbouring steps.
template <int kSteps>
struct Steps {
  float v[kSteps];

  __device__ __forceinline__ void add(const float* at) {
    if constexpr (kSteps == 4) {
      const float4 other = *reinterpret_cast<const float4*>(at);
      v[0] += other.x, v[1] += other.y, v[2] += other.z, v[3] += other.w;
    } else {
      static_assert(kSteps == 1);
      v[0] += *at;
    }
  }
  __device__ __forceinline__ void store(float* at) const {
    if constexpr (kSteps == 4) {
      *reinterpret_cast<float4*>(at) = {v[0], v[1], v[2], v[3]};
    } else {
      *at = v[0];
    }
  }
};

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

#if LMX_HOPPER

// The warps that help.
enum class Helper : int { supplier, state_supplier };
__device__ __forceinline__ Helper helper() {
  return static_cast<Helper>(__shfl_sync(~0u, static_cast<int>(threadIdx.x) / 32 - kGradientWarps, 0));
}

// Between the computing warps, which call show_scores() after make_scores(), and the helper: that memory is the copy engine's now.
__device__ __forceinline__ void show_scores() {
  hopper::show_writes();
  __syncthreads();
}
template <int kTiles>
__device__ __forceinline__ void wait_for_scores() {
#pragma unroll
  for (int i = 0; i < kScoreBarriers<kTiles> + 1; ++i) __syncthreads();
}

// Starts copies of one head's x and dy, or of its 64 x kN of states, and of a vector of the chunk's steps.
__device__ __forceinline__ void copy_steps(bf16* x, bf16* dy, const GradientMaps& maps, const GradientBlock& k, int vh, Barrier& full) {
  const int step = k.chunk * static_cast<int>(kSsdChunk);
  hopper::copy_box(x, maps.x, vh * 64, step, k.b, full);
  hopper::copy_box(dy, maps.dy, vh * 64, step, k.b, full);
}
__device__ __forceinline__ int state_row(const SsdGeometry& g, const GradientBlock& k, int vh) {
  return ((k.b * g.chunks + k.chunk) * g.virtual_heads + vh) * 64;
}
template <int kN>
__device__ __forceinline__ void copy_state(tile::Panels<64, kN>& state, const CUtensorMap& map, const SsdGeometry& g,
                                           const GradientBlock& k, int vh, Barrier& full) {
  const int row = state_row(g, k, vh);
#pragma unroll
  for (int c = 0; c < kN / 64; ++c) hopper::copy_box(state.cells + c * state.panel_cells, map, c * 64, row, full);
}
__device__ __forceinline__ void copy_vector(float* target, const float* source, Barrier& full) {
  hopper::copy_bytes(target, source, kSsdChunk * sizeof(float), full);
}

// The same into L2, a head before its stage is free: a copy out of memory takes as long as a head.
__device__ __forceinline__ void prefetch_steps(const GradientMaps& maps, const GradientBlock& k, int vh) {
  const int step = k.chunk * static_cast<int>(kSsdChunk);
  hopper::prefetch_box(maps.x, vh * 64, step, k.b);
  hopper::prefetch_box(maps.dy, vh * 64, step, k.b);
}
template <int kN>
__device__ __forceinline__ void prefetch_state(const CUtensorMap& map, const SsdGeometry& g, const GradientBlock& k, int vh) {
  const int row = state_row(g, k, vh);
#pragma unroll
  for (int c = 0; c < kN / 64; ++c) hopper::prefetch_box(map, c * 64, row);
}

// a · b of 16 rows in two matrices, summed over kBlocks blocks of 16 columns from `column` on: the diagonal of a product of 16 rows with
// 16. Eight of the lanes hold it, two rows each; see keep_diagonal. Rows of 64 elements.
template <int kBlocks>
__device__ __forceinline__ float diagonal_of_product(const tile::Operands<64>& operands, const bf16* a, const bf16* b, int column) {
  float top[4] = {}, bottom[4] = {};
#pragma unroll
  for (int k = 0; k < kBlocks; ++k) {
    const tile::Fragment f = operands.a(a, column + k * 16).at(0), h = operands.b(b, column + k * 16).at(0);
    tile::mma(top, f, h.w[0], h.w[1]);
    tile::mma(bottom, f, h.w[2], h.w[3]);
  }
  return threadIdx.x / 4 % 2 == 0 ? top[0] + bottom[2] : top[1] + bottom[3];
}
// One value for each of 8 rows r: those of lanes 4 r + r / 2.
__device__ __forceinline__ void keep_diagonal(float* target, float value) {
  const int lane = threadIdx.x % 32, row = lane / 4;
  if (lane % 4 == row / 2) target[row] = value;
}

#endif  // LMX_HOPPER

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
