// C·B inside one chunk: what every head of a group shares, computed once per block of threads and kept in
// shared memory.
//
// A chunk is eight blocks of 16 steps; each belongs to one warp (kShare = 1) or to two neighbours on one
// scheduler (kShare = 2). Scores are rounded to bf16 and lie in operand order, one tile of 16 x 16 per pair
// of blocks (earlier, later), 36 in all. With kPast rows are the later steps (i, rows of C) and columns the
// earlier ones (j, rows of B); otherwise the other way round.
#pragma once

#include "mma_tile.cuh"
#include "ssd_geometry.cuh"

namespace lmx::cuda {

constexpr int kStepBlocks = static_cast<int>(kSsdChunk) / 16;

template <int kShare>
constexpr int kScoreThreads = 32 * kShare * kStepBlocks;

// The 16 steps of a warp, and which of their owners it is. Work grows with the block (or falls): every
// scheduler (warp mod 4) gets blocks k and 7 - k.
struct StepOwner {
  int block, share;
};
template <int kShare>
__device__ __forceinline__ StepOwner step_owner() {
  const int warp = __shfl_sync(~0u, threadIdx.x / 32, 0);  // so that the compiler knows it to be the same for all lanes
  const int scheduler = warp % 4, round = warp / 4;
  return {round < kShare ? scheduler : kStepBlocks - 1 - scheduler, round % kShare};
}

struct Scores {
  uint4 tiles[kStepBlocks * (kStepBlocks + 1) / 2][32];

  static __device__ __forceinline__ int index(int earlier, int later) {
    return later * (later + 1) / 2 + earlier;
  }
  __device__ __forceinline__ tile::Fragment load(int earlier, int later) const {
    const uint4 f = tiles[index(earlier, later)][threadIdx.x % 32];
    return {{f.x, f.y, f.z, f.w}};
  }
  __device__ __forceinline__ void store(int earlier, int later, const tile::Fragment& f) {
    tiles[index(earlier, later)][threadIdx.x % 32] = {f.w[0], f.w[1], f.w[2], f.w[3]};
  }
};

// Barriers of the block that make_scores meets.
template <int kTiles>
constexpr int kScoreBarriers = 2 * kTiles;

// rows, columns: first rows of the chunk in the two matrices, `stride` elements apart, `length` of them
// valid, `state` columns; kTiles * kN in all, by way of two tiles of kSsdChunk x kN, which hold the last ones
// in the end. `own` receives the warp's rows as operands. Starts and ends with the block in step: on return the
// scores can be read and the tiles overwritten.
template <int kShare, int kN, int kTiles, bool kPast>
__device__ __forceinline__ void make_scores(Scores& scores, tile::Fragment (&own)[kTiles * kN / 16],
                                            bf16* row_tile, bf16* column_tile, const bf16* rows, const bf16* columns,
                                            index_t stride, int length, int state, StepOwner mine) {
  constexpr int seen_blocks = kStepBlocks / kShare;  // of the warp: every kShare-th
  float sum[seen_blocks][2][4] = {};
#pragma unroll
  for (int part = 0; part < kTiles; ++part) {
    const int n0 = part * kN;
    tile::load_tile<kSsdChunk, kN, kScoreThreads<kShare>>(row_tile, rows + n0, stride, length, state - n0);
    tile::load_tile<kSsdChunk, kN, kScoreThreads<kShare>>(column_tile, columns + n0, stride, length,
                                                          state - n0);
    tile::commit_copies();
    tile::wait_copies<0>();
    __syncthreads();
    const tile::Operands<kN> operands;
#pragma unroll
    for (int k = 0; k < kN / 16; ++k) {
      const tile::Fragment a = operands.a(row_tile, k * 16).at(mine.block * 16);
      const auto seen = operands.b(column_tile, k * 16);
#pragma unroll
      for (int s = 0; s < seen_blocks; ++s) {
        const int block = s * kShare + mine.share;
        if (kPast ? block <= mine.block : block >= mine.block)
          tile::mma(sum[s][0], sum[s][1], a, seen.at(block * 16));
      }
      own[part * (kN / 16) + k] = a;
    }
    if (part < kTiles - 1) __syncthreads();
  }
#pragma unroll
  for (int s = 0; s < seen_blocks; ++s) {
    const int block = s * kShare + mine.share;
    if (kPast ? block <= mine.block : block >= mine.block) {
      scores.store(min(block, mine.block), max(block, mine.block), tile::to_fragment(sum[s][0], sum[s][1]));
    }
  }
  __syncthreads();
}

// Decays between a warp's block and all steps, relative to a step `reference` between the two, as bf16 pairs
// in shared memory: e^{s_i - s_j} = e^{s_i - reference} e^{reference - s_j}, both at most 1, and one of the
// factors is the warp's own.
struct ColumnDecays {
  std::uint32_t pairs[kSsdChunk / 2];

  // kAfter: 2^(vector - reference), for later steps; otherwise 2^(reference - vector), for earlier ones. What
  // lies on the other side of the reference may overflow and is not used. One warp's work.
  template <bool kAfter>
  __device__ __forceinline__ void fill(const float* vector, float reference) {
    const int lane = threadIdx.x % 32;
    const float4 v = *reinterpret_cast<const float4*>(vector + lane * 4);
    const auto factor = [&](float x) { return tile::exp2_fast(kAfter ? x - reference : reference - x); };
    *reinterpret_cast<uint2*>(pairs + lane * 2) = {to_pair(factor(v.x), factor(v.y)),
                                                   to_pair(factor(v.z), factor(v.w))};
    __syncwarp();
  }
  // The scores of one pair of blocks times their columns' decays.
  __device__ __forceinline__ tile::Fragment apply(const tile::Fragment& score, int column_block) const {
    const std::uint32_t* const at = pairs + column_block * 8 + threadIdx.x % 4;
    const std::uint32_t low = at[0], high = at[4];
    return {{tile::multiply_pairs(score.w[0], low), tile::multiply_pairs(score.w[1], low),
             tile::multiply_pairs(score.w[2], high), tile::multiply_pairs(score.w[3], high)}};
  }
};

// Row and column of the pair of elements in word w of a fragment, for this thread: (row, column), (row,
// column + 1).
__device__ __forceinline__ int fragment_row(int w) { return threadIdx.x % 32 / 4 + w % 2 * 8; }
__device__ __forceinline__ int fragment_column(int w) { return threadIdx.x % 4 * 2 + w / 2 * 8; }

// The 16 columns' values of a per-step vector in fragment order.
struct ColumnValues {
  float2 low, high;
};
__device__ __forceinline__ ColumnValues column_values(const float* vector) {
  const float* at = vector + threadIdx.x % 4 * 2;
  return {*reinterpret_cast<const float2*>(at), *reinterpret_cast<const float2*>(at + 8)};
}
__device__ __forceinline__ float2 pick(const ColumnValues& c, int w) { return w < 2 ? c.low : c.high; }

// A value for each of the thread's two rows of a block.
struct RowPair {
  float top, bottom;
  __device__ __forceinline__ float& of(int w) { return w % 2 == 0 ? top : bottom; }
  __device__ __forceinline__ float of(int w) const { return w % 2 == 0 ? top : bottom; }
};
__device__ __forceinline__ RowPair row_values(const float* vector) {
  const float* at = vector + threadIdx.x % 32 / 4;
  return {at[0], at[8]};
}

// The scores of a warp's own steps, where the decays are exact: causal, `skip` (D) added on the diagonal.
__device__ __forceinline__ tile::Fragment own_steps(const tile::Fragment& score, RowPair row_decay,
                                                    const ColumnValues& columns, float skip) {
  tile::Fragment m;
#pragma unroll
  for (int w = 0; w < 4; ++w) {
    const float2 column = pick(columns, w);
    const int i = fragment_row(w), j = fragment_column(w);
    const float left = low_half(score.w[w]) * tile::exp2_fast(row_decay.of(w) - column.x);
    const float right = high_half(score.w[w]) * tile::exp2_fast(row_decay.of(w) - column.y);
    m.w[w] = to_pair(j < i    ? left
                     : j == i ? left + skip
                              : 0.0f,
                     j + 1 < i    ? right
                     : j + 1 == i ? right + skip
                                  : 0.0f);
  }
  return m;
}

// Row by row, the products of an operand's elements with those of two neighbouring accumulators, added to
// `sum`.
__device__ __forceinline__ void add_products(RowPair& sum, const tile::Fragment& a, const float* left,
                                             const float* right) {
#pragma unroll
  for (int w = 0; w < 4; ++w) {
    const float* const v = w < 2 ? left : right;
    sum.of(w) += low_half(a.w[w]) * v[w % 2 * 2];
    sum.of(w) += high_half(a.w[w]) * v[w % 2 * 2 + 1];
  }
}

}  // namespace lmx::cuda
