// A block takes 64 columns and a share of the rows, 64 at a time: each thread's part of the next 64 is on its way in registers while
// one tile is multiplied. A warp owns 32 tokens. Its operand onehotᵀ (32 tokens, 16 rows) is never stored: a thread compares the tokens of its
// rows with those of its fragment. Ones and bf16 gradients multiply exactly, sums are fp32; the shares are added by ColumnSums.
// 16384 rows x 256 columns, 256 tokens: dx is 8.4 MB, 33 shares of 262 KB each way, 2.1 GFLOP: some 6 us.
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

// grid (column blocks, shares), 32 * ceil(vocab / 32) threads; partial (shares, vocab, cols).
template <bool kAligned>
__global__ void __launch_bounds__(static_cast<int>(kMostTokens))
    embedding_product_kernel(index_t rows, int cols, int vocab, index_t share, const std::int32_t* __restrict__ tokens,
                             const bf16* __restrict__ dx, float* __restrict__ partial) {
  constexpr int kUnits = kColumns / kPack;  // of a tile's row
  constexpr int kMostLoads = kRows * kUnits / kWarp;
  __shared__ __align__(128) bf16 tile[kRows * kColumns];
  __shared__ int tile_tokens[kRows];
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp, threads = blockDim.x;
  const int first_column = blockIdx.x * kColumns, first_token = warp * kWarpTokens + lane / 4;
  const index_t begin = blockIdx.y * share, end = min(begin + share, rows);
  float sums[2][kColumns / 8][4] = {};
  const tile::Operands<kColumns> operands;

  // A block of one warp has 16 units a thread to load, one of eight has two.
  const int loads = kRows * kUnits / threads;
  uint4 next[kMostLoads];
  const auto load_tile = [&](index_t first) {
#pragma unroll
    for (int i = 0; i < kMostLoads; ++i) {
      if (i >= loads) break;
      const int unit = threadIdx.x + i * threads;
      const index_t row = first + unit / kUnits;
      next[i] = row < end ? load_bits<kAligned>(dx + row * cols, first_column + unit % kUnits * kPack, cols) : uint4{0, 0, 0, 0};
    }
  };
  load_tile(begin);
  for (index_t first = begin; first < end; first += kRows) {
    __syncthreads();  // the tile before has been multiplied
#pragma unroll
    for (int i = 0; i < kMostLoads; ++i) {
      if (i >= loads) break;
      const int unit = threadIdx.x + i * threads;
      *reinterpret_cast<uint4*>(tile + tile::place<kColumns>(unit / kUnits, unit % kUnits)) = next[i];
    }
    for (int i = threadIdx.x; i < kRows; i += threads) tile_tokens[i] = first + i < end ? tokens[first + i] : -1;
    __syncthreads();
    if (first + kRows < end) load_tile(first + kRows);
#pragma unroll
    for (int k = 0; k < kRows; k += 16) {
      const int2 early = *reinterpret_cast<const int2*>(tile_tokens + k + lane % 4 * 2);
      const int2 late = *reinterpret_cast<const int2*>(tile_tokens + k + 8 + lane % 4 * 2);
      tile::Fragment a[2];
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int token = first_token + half * 16;
        a[half] = {{one_hot(token, early), one_hot(token + 8, early), one_hot(token, late), one_hot(token + 8, late)}};
      }
#pragma unroll
      for (int n = 0; n < kColumns; n += 16) {
        const tile::Fragment b = operands.b_trans(tile, n).at(k);
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
