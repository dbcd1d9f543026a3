// Embedding forward gathers rows. Backward adds the rows of dx that share a token, without atomics on floats:
//   1. rank_kernel counts the rows of each token (integer atomics); what was counted before a row is its rank;
//   2. segment_kernel gives each token a segment of so many places, one behind the other in whatever order blocks come - so there is
//      no prefix sum over the vocabulary -, and lists the tokens with more than 32 rows as heavy; place_kernel puts row numbers there;
//   3. a warp owns a token with up to 32 rows and 256 columns: it ranks the row numbers by shuffles and adds the rows upwards;
//   4. a heavy token's row numbers are sorted by a block, in a bitmap; then a block owns 64 of its columns: each 8 lanes of 256
//      threads add every 32nd row, and the 32 sums are added in a fixed order.
// Ranks and the order of segments and heavy tokens vary from run to run; sums do not: equal inputs, equal bits.
// Bytes: dx once (2 per element), dweight read and written where a token occurs (65536 x 768 of 50304, tokens drawn evenly: 101 + 224 MB,
// floor 79 us at the 4.13 TB/s of a copy; drawn with frequencies 1 / rank: 101 + 96 MB, 48 us): 98 and 109 us on an H200.
#include <algorithm>

#include "check.h"
#include "embedding.cuh"
#include "embedding_product.cuh"
#include "launch.h"
#include "reduce.cuh"

namespace lmx::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kScanThreads = kWarp * kWarp;  // of a block that adds up its threads' numbers
constexpr int kLightThreads = 128, kLightColumns = kWarp * kPack;
constexpr int kWindow = 1 << 16;  // rows covered by one bitmap
// Blocks of 64 columns: lanes of a row, rows side by side; of each lane, rows loaded together.
constexpr int kHeavyLanes = 8, kHeavyColumns = kHeavyLanes * kPack, kHeavyRows = kThreads / kHeavyLanes, kHeavyTogether = 8;

struct HeavyToken {
  std::int32_t token, begin, count;  // of its segment
};

// Arrays of the workspace, in this order: counts (vocab), two totals, begins (vocab), ranks and segments (rows), heavy (most). Once row
// numbers are placed, those of heavy tokens come sorted to where the ranks were.
struct SegmentArrays {
  std::int32_t *counts, *placed, *heavy_count, *begins, *ranks, *segments;
  HeavyToken* heavy;

  SegmentArrays(void* workspace, index_t rows, index_t vocab)
      : counts(static_cast<std::int32_t*>(workspace)),
        placed(counts + vocab),
        heavy_count(placed + 1),
        begins(heavy_count + 1),
        ranks(begins + vocab),
        segments(ranks + rows),
        heavy(reinterpret_cast<HeavyToken*>(segments + rows)) {}

  static index_t most_heavy(index_t rows) { return rows / (kWarp + 1); }
  static index_t bytes(index_t rows, index_t vocab) {
    return (2 * vocab + 2 + 2 * rows) * index_t{sizeof(std::int32_t)} + most_heavy(rows) * index_t{sizeof(HeavyToken)};
  }
};

template <bool kAligned>
__global__ void __launch_bounds__(kThreads)
    gather_kernel(index_t rows, int cols, int packs_per_row, const std::int32_t* __restrict__ tokens,
                  const bf16* __restrict__ weight, bf16* __restrict__ x) {
  const index_t pack = blockIdx.x * index_t{kThreads} + threadIdx.x;
  const index_t row = pack / packs_per_row;
  if (row >= rows) return;
  const int column = static_cast<int>(pack % packs_per_row) * kPack;
  store_bits<kAligned>(x + row * cols, column, cols,
                       load_bits<kAligned>(weight + index_t{tokens[row]} * cols, column, cols));
}

// Rows of a warp that share a token are counted at once: the most frequent ones would wait for each other.
__global__ void __launch_bounds__(kThreads) rank_kernel(index_t rows, const std::int32_t* __restrict__ tokens, SegmentArrays at) {
  const index_t row = blockIdx.x * index_t{kThreads} + threadIdx.x;
  const int lane = threadIdx.x % kWarp, token = row < rows ? tokens[row] : -1;
  const unsigned same = __match_any_sync(~0u, token);
  const int first = __ffs(same) - 1;
  int before = 0;
  if (lane == first && token >= 0) before = atomicAdd(at.counts + token, __popc(same));
  before = __shfl_sync(~0u, before, first);
  if (row < rows) at.ranks[row] = before + __popc(same & ((1u << lane) - 1));
}

// Over the lanes up to this one.
__device__ __forceinline__ int inclusive_sum(int value) {
#pragma unroll
  for (int step = 1; step < kWarp; step *= 2) {
    const int before = __shfl_up_sync(~0u, value, step);
    if (static_cast<int>(threadIdx.x % kWarp) >= step) value += before;
  }
  return value;
}

// Over the threads of a block of kScanThreads before this one, and over all of them. Between two calls lies a barrier.
__device__ __forceinline__ int sum_before(int value, int& total) {
  __shared__ int warps[kScanThreads / kWarp];
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp, inclusive = inclusive_sum(value);
  if (lane == kWarp - 1) warps[warp] = inclusive;
  __syncthreads();
  const int of_warps = inclusive_sum(warps[lane]);
  total = __shfl_sync(~0u, of_warps, kWarp - 1);
  return __shfl_sync(~0u, of_warps, warp) - warps[warp] + inclusive - value;
}

__global__ void __launch_bounds__(kScanThreads) segment_kernel(index_t vocab, SegmentArrays at) {
  __shared__ int first;
  const index_t token = blockIdx.x * index_t{kScanThreads} + threadIdx.x;
  const int count = token < vocab ? at.counts[token] : 0;
  int total;
  const int before = sum_before(count, total);
  if (threadIdx.x == 0) first = atomicAdd(at.placed, total);
  __syncthreads();
  if (token >= vocab) return;
  const int begin = first + before;
  at.begins[token] = begin;
  if (count > kWarp) at.heavy[atomicAdd(at.heavy_count, 1)] = {static_cast<std::int32_t>(token), begin, count};
}

__global__ void __launch_bounds__(kThreads) place_kernel(index_t rows, const std::int32_t* __restrict__ tokens, SegmentArrays at) {
  const index_t row = blockIdx.x * index_t{kThreads} + threadIdx.x;
  if (row < rows) at.segments[at.begins[tokens[row]] + at.ranks[row]] = static_cast<std::int32_t>(row);
}

// One warp per token with 1 to 32 rows and kLightColumns columns, so that many tokens are under way at once: most have a row or two, and a
// warp waits for its segment, then for row numbers, then for rows. They are added upwards, kTogether of them loaded together.
template <bool kAligned>
__global__ void __launch_bounds__(kLightThreads, 12)
    light_kernel(index_t vocab, int cols, int column_blocks, const std::int32_t* __restrict__ counts,
                 const std::int32_t* __restrict__ begins, const std::int32_t* __restrict__ segments, const bf16* __restrict__ dx,
                 float* dweight) {
  constexpr int kTogether = 4;
  const index_t place = blockIdx.x * index_t{kLightThreads / kWarp} + threadIdx.x / kWarp, token = place / column_blocks;
  if (token >= vocab) return;
  const int count = counts[token], begin = begins[token], lane = threadIdx.x % kWarp;
  if (count == 0 || count > kWarp) return;
  const int column = (static_cast<int>(place - token * column_blocks) * kWarp + lane) * kPack;
  const std::int32_t unordered = lane < count ? segments[begin + lane] : INT32_MAX;
  float* const out = dweight + token * cols;
  Floats total = load<kAligned>(out, column, cols);
  std::int32_t row = unordered;  // of rank `lane`
  if (count > 1) {
    int rank = 0;
    for (int other = 0; other < count; ++other) rank += __shfl_sync(~0u, unordered, other) < unordered;
    for (int turn = 0; turn < count; ++turn) {
      const int holder = __ffs(__ballot_sync(~0u, lane < count && rank == turn)) - 1;
      const std::int32_t ranked = __shfl_sync(~0u, unordered, holder);
      if (lane == turn) row = ranked;
    }
  }
  for (int turn = 0; turn < count; turn += kTogether) {
    uint4 bits[kTogether];
#pragma unroll
    for (int t = 0; t < kTogether; ++t) {
      const index_t source = __shfl_sync(~0u, row, (turn + t) % kWarp);
      bits[t] = turn + t < count ? load_bits<kAligned>(dx + source * cols, column, cols) : uint4{0, 0, 0, 0};
    }
#pragma unroll
    for (int t = 0; t < kTogether; ++t) {
      const Floats f = unpack(bits[t]);
#pragma unroll
      for (int i = 0; i < kPack; ++i) total.v[i] += f.v[i];
    }
  }
  store<kAligned>(out, column, cols, total);
}

// A block takes every gridDim.x-th heavy token.
__global__ void __launch_bounds__(kScanThreads) sort_kernel(SegmentArrays at) {
  constexpr int kWords = kWindow / 32 / kScanThreads;  // of a thread
  __shared__ std::uint32_t bitmap[kWindow / 32];
  const int heavy_count = *at.heavy_count;
  for (int h = blockIdx.x; h < heavy_count; h += gridDim.x) {
    const HeavyToken heavy = at.heavy[h];
    const std::int32_t *const unordered = at.segments + heavy.begin;
    std::int32_t* const sorted = at.ranks + heavy.begin;
    int done = 0;
    for (int first = 0; done < heavy.count; first += kWindow) {
#pragma unroll
      for (int i = 0; i < kWords; ++i) bitmap[threadIdx.x + i * kScanThreads] = 0;
      __syncthreads();
      for (int i = threadIdx.x; i < heavy.count; i += kScanThreads) {
        const int bit = unordered[i] - first;
        if (bit >= 0 && bit < kWindow) atomicOr(bitmap + bit / 32, 1u << (bit % 32));
      }
      __syncthreads();
      std::uint32_t words[kWords];
      int count = 0, total;
#pragma unroll
      for (int i = 0; i < kWords; ++i) {
        words[i] = bitmap[threadIdx.x * kWords + i];
        count += __popc(words[i]);
      }
      int place = done + sum_before(count, total);
#pragma unroll
      for (int i = 0; i < kWords; ++i) {
        for (std::uint32_t bits = words[i]; bits != 0; bits &= bits - 1) {
          sorted[place++] = first + (static_cast<int>(threadIdx.x) * kWords + i) * 32 + __ffs(bits) - 1;
        }
      }
      done += total;
    }
  }
}

// A block takes every gridDim.x-th pair of a heavy token and kHeavyColumns columns.
template <bool kAligned>
__global__ void __launch_bounds__(kThreads, 4)
    heavy_kernel(int cols, int column_blocks, SegmentArrays at, const bf16* __restrict__ dx, float* dweight) {
  constexpr int kTurn = kHeavyRows * kHeavyTogether, kWarps = kThreads / kWarp;
  __shared__ __align__(16) float sums[2][kWarps][kHeavyColumns];  // of pairs in turn, so that one barrier each is enough
  const int lane = threadIdx.x % kHeavyLanes, row = threadIdx.x / kHeavyLanes, warp = threadIdx.x / kWarp;
  const int pairs = *at.heavy_count * column_blocks;
  int parity = 0;
  for (int pair = blockIdx.x; pair < pairs; pair += gridDim.x, parity ^= 1) {
    const HeavyToken heavy = at.heavy[pair / column_blocks];
    const int first_column = pair % column_blocks * kHeavyColumns, column = first_column + lane * kPack;
    const int own = first_column + threadIdx.x;  // of the first threads
    float* const out = threadIdx.x < kHeavyColumns && own < cols ? dweight + index_t{heavy.token} * cols + own : nullptr;
    float total = out ? *out : 0.f;  // on its way meanwhile
    // The row numbers of a turn lie with the lanes of a row.
    const auto number_at = [&](int turn) {
      const int place = turn + row + lane * kHeavyRows;
      return place < heavy.count ? at.ranks[heavy.begin + place] : -1;
    };
    Floats sum = {};
    int numbers = number_at(0);
    for (int turn = 0; turn < heavy.count; turn += kTurn) {
      const int next = number_at(turn + kTurn);
      uint4 bits[kHeavyTogether];
#pragma unroll
      for (int t = 0; t < kHeavyTogether; ++t) {
        const int source = __shfl_sync(~0u, numbers, t, kHeavyLanes);
        bits[t] = source >= 0 ? load_bits<kAligned>(dx + index_t{source} * cols, column, cols) : uint4{0, 0, 0, 0};
      }
#pragma unroll
      for (int t = 0; t < kHeavyTogether; ++t) {
        const Floats f = unpack(bits[t]);
#pragma unroll
        for (int i = 0; i < kPack; ++i) sum.v[i] += f.v[i];
      }
      numbers = next;
    }
#pragma unroll
    for (int i = 0; i < kPack; ++i) {  // over the rows of the warp
#pragma unroll
      for (int step = kHeavyLanes; step < kWarp; step *= 2) sum.v[i] += __shfl_xor_sync(~0u, sum.v[i], step);
    }
    if (threadIdx.x % kWarp < kHeavyLanes) store<true>(sums[parity][warp], lane * kPack, kHeavyColumns, sum);
    __syncthreads();
    if (out) {
#pragma unroll
      for (int w = 0; w < kWarps; ++w) total += sums[parity][w][threadIdx.x];
      *out = total;
    }
  }
}

// Steps 1 and 2.
void place_rows(index_t rows, index_t vocab, const std::int32_t* tokens, const SegmentArrays& at, cudaStream_t stream) {
  const auto blocks = static_cast<unsigned>(ceil_div(rows, kThreads));
  check(cudaMemsetAsync(at.counts, 0, (vocab + 2) * sizeof(std::int32_t), stream), "embedding_backward: cudaMemsetAsync");
  rank_kernel<<<blocks, kThreads, 0, stream>>>(rows, tokens, at);
  segment_kernel<<<static_cast<unsigned>(ceil_div(vocab, kScanThreads)), kScanThreads, 0, stream>>>(vocab, at);
  place_kernel<<<blocks, kThreads, 0, stream>>>(rows, tokens, at);
}

void add_light(index_t cols, index_t vocab, const SegmentArrays& at, const bf16* dx, float* dweight, cudaStream_t stream) {
  const auto kernel = aligned_rows(cols, dx, dweight) ? light_kernel<true> : light_kernel<false>;
  const index_t column_blocks = ceil_div(cols, kLightColumns), warps = vocab * column_blocks;
  kernel<<<static_cast<unsigned>(ceil_div(warps, kLightThreads / kWarp)), kLightThreads, 0, stream>>>(
      vocab, static_cast<int>(cols), static_cast<int>(column_blocks), at.counts, at.begins, at.segments, dx, dweight);
}

// How many tokens are heavy is known to the device alone, so as many blocks as are there at once look for them.
void add_heavy(index_t rows, index_t cols, const SegmentArrays& at, const bf16* dx, float* dweight, cudaStream_t stream) {
  const index_t most = SegmentArrays::most_heavy(rows), column_blocks = ceil_div(cols, kHeavyColumns);
  if (most == 0) return;
  sort_kernel<<<static_cast<unsigned>(std::min<index_t>(most, 2 * kMultiprocessors)), kScanThreads, 0, stream>>>(at);
  const auto kernel = aligned_rows(cols, dx) ? heavy_kernel<true> : heavy_kernel<false>;
  kernel<<<static_cast<unsigned>(std::min<index_t>(most * column_blocks, 4 * kMultiprocessors)), kThreads, 0, stream>>>(
      static_cast<int>(cols), static_cast<int>(column_blocks), at, dx, dweight);
}

}  // namespace

std::size_t embedding_workspace(const EmbeddingShape& s) {
  return embedding_product_takes(s) ? embedding_product_workspace(s) : static_cast<std::size_t>(SegmentArrays::bytes(s.rows, s.vocab));
}

void embedding_forward(index_t rows, index_t cols, const std::int32_t* tokens, const bf16* weight, bf16* x,
                       cudaStream_t stream) {
  if (rows == 0) return;
  const index_t packs_per_row = ceil_div(cols, kPack);
  const auto kernel = aligned_rows(cols, weight, x) ? gather_kernel<true> : gather_kernel<false>;
  kernel<<<static_cast<unsigned>(ceil_div(rows * packs_per_row, kThreads)), kThreads, 0, stream>>>(
      rows, static_cast<int>(cols), static_cast<int>(packs_per_row), tokens, weight, x);
  check_launch("embedding_forward");
}

void embedding_backward(index_t rows, index_t cols, index_t vocab, const std::int32_t* tokens, const bf16* dx,
                        float* dweight, void* workspace, cudaStream_t stream) {
  if (rows == 0) return;
  const SegmentArrays at(workspace, rows, vocab);
  place_rows(rows, vocab, tokens, at, stream);
  add_light(cols, vocab, at, dx, dweight, stream);
  add_heavy(rows, cols, at, dx, dweight, stream);
  check_launch("embedding_backward");
}

}  // namespace lmx::cuda
