// C·B inside one chunk: what every head of a group shares, computed once per block.
//
// A block of kScoreWarps warps covers a chunk; each warp owns 16 of its steps and keeps its scores against the 16-step blocks it
// can see, rounded to bf16, in operand order: those of its own steps in registers, the others in shared memory, where only it
// looks. Only the causal half exists: with kPast a warp's rows are the later steps (i, rows of C) and it sees the blocks
// before its own; otherwise they are the earlier ones (j, rows of B) and it sees the blocks after.
#pragma once

#include "mma_tile.cuh"
#include "ssd_geometry.cuh"

namespace lmx::cuda {

constexpr int kScoreWarps = 8, kScoreThreads = 32 * kScoreWarps;

// The 16-step block of a warp. Work grows with the block (or falls); warps w and w + 4 share a scheduler and get equal sums.
__device__ __forceinline__ int score_block(int warp) { return warp < 4 ? warp : 11 - warp; }

// A block against another one, by the thread that stores and loads it.
struct ScorePairs {
  static constexpr int pairs = kScoreWarps * (kScoreWarps - 1) / 2;
  uint4 fragment[pairs][32];

  __device__ __forceinline__ uint4& at(int earlier, int later) {
    return fragment[later * (later - 1) / 2 + earlier][threadIdx.x % 32];
  }
  __device__ __forceinline__ tile::Fragment load(int earlier, int later) {
    const uint4 f = at(earlier, later);
    return {{f.x, f.y, f.z, f.w}};
  }
};

// rows, columns: first rows of the chunk in the matrices of the warps' own and of the seen steps, `stride` elements apart, `length`
// of them valid, `state` columns. `shared` holds two tiles of kSsdChunk x kN. `own` receives the warp's rows as operands; the
// result is the scores of the warp's own steps, both triangles.
// Starts and ends with the block in step; the tiles may be overwritten on return.
template <int kN, int kTiles, bool kPast>
__device__ __forceinline__ tile::Fragment load_scores(ScorePairs& pairs, tile::Fragment (&own)[kTiles * kN / 16],
                                                      bf16* shared, const bf16* rows, const bf16* columns,
                                                      index_t stride, int length, int state, int mine) {
  bf16* const row_tile = shared;
  bf16* const column_tile = shared + kSsdChunk * kN;
  float sum[kScoreWarps][2][4] = {};
#pragma unroll
  for (int part = 0; part < kTiles; ++part) {
    const int n0 = part * kN;
    tile::load_tile<kSsdChunk, kN, kScoreThreads>(row_tile, rows + n0, stride, length, state - n0);
    tile::load_tile<kSsdChunk, kN, kScoreThreads>(column_tile, columns + n0, stride, length, state - n0);
    tile::commit_copies();
    tile::wait_copies<0>();
    __syncthreads();
#pragma unroll
    for (int k = 0; k < kN / 16; ++k) {
      const tile::Fragment a = tile::a_blocks<kN>(row_tile, k * 16).at(mine * 16);
      const auto seen = tile::b_blocks<kN>(column_tile, k * 16);
#pragma unroll
      for (int block = 0; block < kScoreWarps; ++block) {
        if (kPast ? block <= mine : block >= mine) tile::mma(sum[block][0], sum[block][1], a, seen.at(block * 16));
      }
      own[part * (kN / 16) + k] = a;
    }
    __syncthreads();
  }
  tile::Fragment diagonal;
#pragma unroll
  for (int block = 0; block < kScoreWarps; ++block) {
    const tile::Fragment f = tile::to_fragment(sum[block][0], sum[block][1]);
    if (block == mine) {
      diagonal = f;
    } else if (kPast ? block < mine : block > mine) {
      pairs.at(min(block, mine), max(block, mine)) = {f.w[0], f.w[1], f.w[2], f.w[3]};
    }
  }
  return diagonal;
}

// Row and column of the pair of elements in word w of a fragment, for this thread: (row, column), (row, column + 1).
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

// Row by row, the products of an operand's elements with those of two neighbouring accumulators, added to `sum`.
__device__ __forceinline__ void add_products(RowPair& sum, const tile::Fragment& a, const float (&left)[4],
                                             const float (&right)[4]) {
#pragma unroll
  for (int w = 0; w < 4; ++w) {
    const float* const v = w < 2 ? left : right;
    sum.of(w) += low_half(a.w[w]) * v[w % 2 * 2] + high_half(a.w[w]) * v[w % 2 * 2 + 1];
  }
}

}  // namespace lmx::cuda
