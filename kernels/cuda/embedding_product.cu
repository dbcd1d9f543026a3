// A block takes 64 columns and a share of the rows, 64 at a time: the next three tiles are on their way to shared memory (cp.async) while one
// is multiplied, because a tile takes half a microsecond and memory a whole one. A warp owns 32 tokens. Its operand onehotᵀ (32 tokens, 16 rows)
// is never stored: a thread compares the tokens of its rows with those of its fragment. Ones and bf16 gradients multiply exactly, sums
// are fp32; the shares are added by ColumnSums.
// 16384 rows x 256 columns, 256 tokens: dx is 8.4 MB, 2.0 us; 32 shares of 262 KB are written, 2.0 us; 2.1 GFLOP, of which a multiprocessor has 8
// tiles of 512 products m16n8k16, at best 2.4 us. One after the other, with a launch and a first tile's way, some 8 us; 12.4 us on an H200.
#include "check.h"
#include "embedding_product.cuh"
#include "launch.h"
#include "mma_tile.cuh"
#include "reduce.cuh"

namespace lmx::cuda {
namespace {

constexpr index_t kMostTokens = 256;
constexpr int kColumns = 64, kRows = 64;  // of a tile
constexpr int kWarpTokens = 32;
constexpr index_t kLeastRows = 128;  // of a share
constexpr int kStages = 4;           // tiles on their way or in use

index_t shares(const EmbeddingShape& s) {
  const index_t wanted = ceil_div(kMultiprocessors, ceil_div(s.cols, kColumns));
  const index_t most = ceil_div(s.rows, kLeastRows);
  return wanted < most ? wanted : most;
}

// Two neighbouring elements of a fragment of onehotᵀ: 1 where the row's token is `token`.
__device__ __forceinline__ std::uint32_t one_hot(int token, int2 of_rows) {
  constexpr std::uint32_t one = 0x3f80;  // in bf16
  return (of_rows.x == token ? one : 0u) | (of_rows.y == token ? one << 16 : 0u);
}

// Copies kBytes to shared memory in the background; zeros where `exists` is false.
template <int kBytes>
__device__ __forceinline__ void copy_or_clear(void* shared, const void* global, bool exists) {
  const int bytes = exists ? kBytes : 0;
  asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;\n" ::"r"(tile::shared_address(shared)), "l"(global), "n"(kBytes), "r"(bytes)
               : "memory");
}

struct Tile {
  bf16 dx[kRows * kColumns];
  int tokens[kRows];
};

// The rows [first, end) of a tile, zeros beyond.
template <bool kAligned>
__device__ __forceinline__ void load_tile(Tile& tile, const bf16* dx, const std::int32_t* tokens, index_t first, index_t end, int first_column,
                                          int cols) {
  constexpr int kUnits = kColumns / kPack;  // of a row
  const int valid = static_cast<int>(min(end - first, index_t{kRows}));
  for (int i = threadIdx.x; i < kRows * kUnits; i += blockDim.x) {
    const int row = i / kUnits, unit = i % kUnits, column = first_column + unit * kPack;
    const bf16* const source = dx + (first + row) * cols;
    bf16* const target = tile.dx + tile::place<kColumns>(row, unit);
    if constexpr (kAligned) {
      copy_or_clear<16>(target, source + column, row < valid && column < cols);
    } else {
      *reinterpret_cast<uint4*>(target) = row < valid ? load_bits<false>(source, column, cols) : uint4{0, 0, 0, 0};
    }
  }
  for (int i = threadIdx.x; i < kRows; i += blockDim.x) copy_or_clear<4>(tile.tokens + i, tokens + first + i, i < valid);
}

// grid (column blocks, shares), 32 * ceil(vocab / 32) threads; partial (shares, vocab, cols).
template <bool kAligned>
__global__ void __launch_bounds__(static_cast<int>(kMostTokens))
    embedding_product_kernel(index_t rows, int cols, int vocab, index_t share, const std::int32_t* __restrict__ tokens,
                             const bf16* __restrict__ dx, float* __restrict__ partial) {
  __shared__ __align__(128) Tile tiles[kStages];
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const int first_column = blockIdx.x * kColumns, first_token = warp * kWarpTokens + lane / 4;
  const index_t begin = blockIdx.y * share, end = min(begin + share, rows);
  float sums[2][kColumns / 8][4] = {};
  const tile::Operands<kColumns> operands;

  const auto fetch = [&](index_t first, int stage) {
    if (first < end) load_tile<kAligned>(tiles[stage], dx, tokens, first, end, first_column, cols);
    tile::commit_copies();
  };
#pragma unroll
  for (int i = 0; i < kStages - 1; ++i) fetch(begin + i * kRows, i);
  int stage = 0;
  for (index_t first = begin; first < end; first += kRows) {
    tile::wait_copies<kStages - 2>();
    __syncthreads();  // everybody's copies of this tile are there, and the tile before has been multiplied
    fetch(first + (kStages - 1) * kRows, stage == 0 ? kStages - 1 : stage - 1);
    const Tile& current = tiles[stage];
    stage = stage == kStages - 1 ? 0 : stage + 1;
#pragma unroll
    for (int k = 0; k < kRows; k += 16) {
      const int2 early = *reinterpret_cast<const int2*>(current.tokens + k + lane % 4 * 2);
      const int2 late = *reinterpret_cast<const int2*>(current.tokens + k + 8 + lane % 4 * 2);
      tile::Fragment a[2];
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int token = first_token + half * 16;
        a[half] = {{one_hot(token, early), one_hot(token + 8, early), one_hot(token, late), one_hot(token + 8, late)}};
      }
#pragma unroll
      for (int n = 0; n < kColumns; n += 16) {
        const tile::Fragment b = operands.b_trans(current.dx, n).at(k);
#pragma unroll
        for (int half = 0; half < 2; ++half) tile::mma(sums[half][n / 8], sums[half][n / 8 + 1], a[half], b);
      }
    }
  }

  partial += blockIdx.y * index_t{vocab} * cols;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
#pragma unroll
    for (int lower = 0; lower < 2; ++lower) {
      const int token = first_token + half * 16 + lower * 8;
      if (token >= vocab) continue;
#pragma unroll
      for (int n = 0; n < kColumns / 8; ++n) {
        const int column = first_column + n * 8 + lane % 4 * 2;
        float* const out = partial + index_t{token} * cols + column;
        const float left = sums[half][n][lower * 2], right = sums[half][n][lower * 2 + 1];
        if (kAligned && column < cols) *reinterpret_cast<float2*>(out) = {left, right};
        if (!kAligned && column < cols) out[0] = left;
        if (!kAligned && column + 1 < cols) out[1] = right;
      }
    }
  }
}

}  // namespace

bool embedding_product_takes(const EmbeddingShape& s) { return s.vocab <= kMostTokens; }

std::size_t embedding_product_workspace(const EmbeddingShape& s) {
  return static_cast<std::size_t>(shares(s) * s.vocab * s.cols) * sizeof(float);
}

void embedding_product(const EmbeddingShape& s, const std::int32_t* tokens, const bf16* dx, float* dweight, ColumnSums& sums,
                       cudaStream_t stream) {
  if (s.rows == 0) return;
  const index_t share = ceil_div(ceil_div(s.rows, shares(s)), kRows) * kRows, count = ceil_div(s.rows, share);
  float* const partial = sums.room(count * s.vocab * s.cols, stream);
  const auto kernel = aligned_rows(s.cols, dx, partial) ? embedding_product_kernel<true> : embedding_product_kernel<false>;
  const dim3 grid(static_cast<unsigned>(ceil_div(s.cols, kColumns)), static_cast<unsigned>(count));
  // A power of two of warps, so that they share a tile's units evenly.
  unsigned threads = kWarp;
  while (static_cast<index_t>(threads) < s.vocab) threads *= 2;
  kernel<<<grid, threads, 0, stream>>>(s.rows, static_cast<int>(s.cols), static_cast<int>(s.vocab), share, tokens, dx, partial);
  check_launch("embedding_backward");
  sums.add(count, s.vocab * s.cols, partial, dweight, stream);
}

}  // namespace lmx::cuda
