// Embedding forward gathers rows. Backward adds the rows of dx that share a token, without atomics on floats:
//   1. count the rows of each token (integer atomics), turn the counts into offsets, and drop every row number into its
//      token's segment, in whatever order the hardware runs;
//   2. a token with up to 32 rows belongs to a warp, which ranks the row numbers by shuffles and adds the rows upwards;
//   3. a token with more belongs to a block, which marks its rows in a bitmap - order disappears - and walks the set bits
//      upwards: warp w of 8 adds occurrences w, w + 8, ...; the 8 sums are added in warp order.
// Equal inputs, equal bits. Small vocabularies go straight to step 3: each block finds its rows by reading all tokens.
// Bytes: dx once (2 per element), dweight read and written where a token occurs (65536 x 768: 101 MB + up to 309 MB).
#include "check.h"
#include "embedding.cuh"
#include "embedding_product.cuh"
#include "launch.h"
#include "reduce.cuh"

namespace lmx::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarp;
constexpr int kColumns = kWarp * kPack;       // columns of one block
constexpr index_t kScanLimit = 1 << 25;       // rows * vocab up to which every block reads all tokens itself
constexpr index_t kWindow = 1 << 16;          // rows covered by one bitmap
constexpr int kScanThreads = 1024;

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

__global__ void count_kernel(index_t rows, const std::int32_t* __restrict__ tokens, std::int32_t* counts) {
  const index_t row = blockIdx.x * index_t{kThreads} + threadIdx.x;
  if (row < rows) atomicAdd(counts + tokens[row], 1);
}

// offsets[v] = Σ_{w<v} counts[w], offsets[vocab] = rows; one block, 16384 tokens a turn. counts become the segments' write cursors,
// and tokens with more than a warp of rows are listed in `heavy` (in no particular order; heavy[0], their number, was 0).
__global__ void __launch_bounds__(kScanThreads)
    offsets_kernel(index_t vocab, std::int32_t* counts, std::int32_t* __restrict__ offsets, std::int32_t* heavy) {
  constexpr int share = 16;
  __shared__ std::int32_t warp_totals[kScanThreads / kWarp];
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  std::int32_t base = 0;  // of this turn
  for (index_t begin = 0; begin < vocab; begin += kScanThreads * share) {
    const index_t first = begin + threadIdx.x * share;
    std::int32_t count[share], total = 0;
#pragma unroll
    for (int i = 0; i < share; ++i) {
      count[i] = first + i < vocab ? counts[first + i] : 0;
      total += count[i];
    }
    std::int32_t inclusive = total;  // over the lanes of this warp
#pragma unroll
    for (int step = 1; step < kWarp; step *= 2) {
      const std::int32_t before = __shfl_up_sync(~0u, inclusive, step);
      if (lane >= step) inclusive += before;
    }
    __syncthreads();
    if (lane == kWarp - 1) warp_totals[warp] = inclusive;
    __syncthreads();
    std::int32_t offset = base + inclusive - total;
    for (int w = 0; w < kScanThreads / kWarp; ++w) {
      if (w < warp) offset += warp_totals[w];
      base += warp_totals[w];
    }
#pragma unroll
    for (int i = 0; i < share; ++i) {
      if (first + i >= vocab) break;
      if (count[i] > kWarp) heavy[1 + atomicAdd(heavy, 1)] = static_cast<std::int32_t>(first + i);
      offsets[first + i] = counts[first + i] = offset;
      offset += count[i];
    }
  }
  if (threadIdx.x == 0) offsets[vocab] = base;
}

__global__ void segment_kernel(index_t rows, const std::int32_t* __restrict__ tokens, std::int32_t* cursors,
                               std::int32_t* __restrict__ segments) {
  const index_t row = blockIdx.x * index_t{kThreads} + threadIdx.x;
  if (row < rows) segments[atomicAdd(cursors + tokens[row], 1)] = static_cast<std::int32_t>(row);
}

// One warp per token with 1 to 32 rows. The rows are ranked once; then up to kColumnPacks packs of every lane go together, and
// rows are added upwards.
template <bool kAligned>
__global__ void __launch_bounds__(kThreads)
    scatter_light_kernel(index_t vocab, int cols, const std::int32_t* __restrict__ offsets,
                         const std::int32_t* __restrict__ segments, const bf16* __restrict__ dx, float* dweight) {
  constexpr int kColumnPacks = 3;
  const index_t token = blockIdx.x * index_t{kWarps} + threadIdx.x / kWarp;
  if (token >= vocab) return;
  const int begin = offsets[token], count = offsets[token + 1] - begin, lane = threadIdx.x % kWarp;
  if (count == 0 || count > kWarp) return;
  const std::int32_t unordered = lane < count ? segments[begin + lane] : INT32_MAX;
  int rank = 0;
  for (int other = 0; other < count; ++other) rank += __shfl_sync(~0u, unordered, other) < unordered;
  std::int32_t row = unordered;  // of rank `lane`
  for (int turn = 0; turn < count; ++turn) {
    const int holder = __ffs(__ballot_sync(~0u, lane < count && rank == turn)) - 1;
    const std::int32_t ranked = __shfl_sync(~0u, unordered, holder);
    if (lane == turn) row = ranked;
  }
  float* const out = dweight + token * cols;
  for (int base = 0; base < cols; base += kColumnPacks * kColumns) {
    const int first = base + lane * kPack;
    Floats total[kColumnPacks];
#pragma unroll
    for (int p = 0; p < kColumnPacks; ++p) total[p] = load<kAligned>(out, first + p * kColumns, cols);
    for (int turn = 0; turn < count; ++turn) {
      const bf16* const source = dx + index_t{__shfl_sync(~0u, row, turn)} * cols;
      uint4 bits[kColumnPacks];
#pragma unroll
      for (int p = 0; p < kColumnPacks; ++p) bits[p] = load_bits<kAligned>(source, first + p * kColumns, cols);
#pragma unroll
      for (int p = 0; p < kColumnPacks; ++p) {
        const Floats f = unpack(bits[p]);
#pragma unroll
        for (int i = 0; i < kPack; ++i) total[p].v[i] += f.v[i];
      }
    }
#pragma unroll
    for (int p = 0; p < kColumnPacks; ++p) store<kAligned>(out, first + p * kColumns, cols, total[p]);
  }
}

// Sets the bits of this token's rows in [first, first + kWindow); false where there are none.
__device__ bool mark_rows(index_t rows, int token, const std::int32_t* tokens, const std::int32_t* offsets,
                          const std::int32_t* segments, index_t first, std::uint32_t* bitmap, int words) {
  int found = 0;
  if (segments) {
    for (int w = threadIdx.x; w < words; w += kThreads) bitmap[w] = 0;
    __syncthreads();
    for (int i = offsets[token] + threadIdx.x; i < offsets[token + 1]; i += kThreads) {
      const index_t bit = segments[i] - first;
      if (bit < 0 || bit >= kWindow) continue;
      atomicOr(bitmap + bit / 32, 1u << (bit % 32));
      found = 1;
    }
  } else {
    // A warp reads 32 tokens at a time, which are one word of the bitmap.
    const int lane = threadIdx.x % kWarp;
#pragma unroll 8
    for (int w = threadIdx.x / kWarp; w < words; w += kWarps) {
      const index_t row = first + index_t{w} * 32 + lane;
      const std::uint32_t bits = __ballot_sync(~0u, row < rows && tokens[row] == token);
      if (lane == 0) bitmap[w] = bits;
      found |= bits != 0;
    }
  }
  return __syncthreads_or(found);
}

// One block per (token, column block). grid (most tokens that can be heavy, column blocks); without segments, grid (vocab,
// column blocks) and every token is treated so.
template <bool kAligned>
__global__ void __launch_bounds__(kThreads)
    scatter_heavy_kernel(index_t rows, int cols, const std::int32_t* __restrict__ tokens,
                   const std::int32_t* __restrict__ offsets, const std::int32_t* __restrict__ segments,
                   const std::int32_t* __restrict__ heavy, const bf16* __restrict__ dx, float* dweight) {
  extern __shared__ std::uint32_t bitmap[];
  __shared__ float sums[kWarps][kColumns];
  if (segments && blockIdx.x >= heavy[0]) return;
  const int token = segments ? heavy[1 + blockIdx.x] : blockIdx.x;
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const int column = blockIdx.y * kColumns + lane * kPack;
  Floats sum = {};
  bool any = false;
  int occurrence = 0;  // of the token, over all windows
  // Rows whose loads go out together: lane i holds the i-th, of waiting_count.
  constexpr int kTogether = 4;
  std::int32_t waiting = 0;
  int waiting_count = 0;
  const auto add_waiting = [&] {
    uint4 bits[kTogether];
#pragma unroll
    for (int w = 0; w < kTogether; ++w) {
      const index_t row = __shfl_sync(~0u, waiting, w);
      bits[w] = w < waiting_count ? load_bits<kAligned>(dx + row * cols, column, cols) : uint4{0, 0, 0, 0};
    }
#pragma unroll
    for (int w = 0; w < kTogether; ++w) {
      const Floats f = unpack(bits[w]);
#pragma unroll
      for (int i = 0; i < kPack; ++i) sum.v[i] += f.v[i];
    }
    waiting_count = 0;
  };
  for (index_t first = 0; first < rows; first += kWindow) {
    const index_t window = min(rows - first, kWindow);
    const int words = static_cast<int>((window + 31) / 32);
    if (mark_rows(rows, token, tokens, offsets, segments, first, bitmap, words)) {
      any = true;
      for (int base = 0; base < words; base += kWarp) {  // 32 words at a time, skipped together where empty
        const std::uint32_t mine = base + lane < words ? bitmap[base + lane] : 0;
        for (std::uint32_t filled = __ballot_sync(~0u, mine != 0); filled != 0; filled &= filled - 1) {
          const int source = __ffs(filled) - 1;
          for (std::uint32_t bits = __shfl_sync(~0u, mine, source); bits != 0; bits &= bits - 1, ++occurrence) {
            if (occurrence % kWarps != warp) continue;
            if (lane == waiting_count) {
              waiting = static_cast<std::int32_t>(first + (base + source) * 32 + __ffs(bits) - 1);
            }
            if (++waiting_count == kTogether) add_waiting();
          }
        }
      }
    }
    __syncthreads();
  }
  if (!any) return;
  if (waiting_count > 0) add_waiting();
#pragma unroll
  for (int i = 0; i < kPack; ++i) sums[warp][lane * kPack + i] = sum.v[i];
  __syncthreads();
  const int c = blockIdx.y * kColumns + threadIdx.x;
  static_assert(kThreads == kColumns, "one thread adds up one column");
  if (c >= cols) return;
  float total = dweight[index_t{token} * cols + c];
#pragma unroll
  for (int w = 0; w < kWarps; ++w) total += sums[w][threadIdx.x];
  dweight[index_t{token} * cols + c] = total;
}

// Arrays of the workspace, in this order: cursors (vocab), heavy (1 + most), offsets (vocab + 1), segments (rows).
struct SegmentArrays {
  std::int32_t *cursors, *heavy, *offsets, *segments;

  SegmentArrays(void* workspace, index_t rows, index_t vocab)
      : cursors(static_cast<std::int32_t*>(workspace)),
        heavy(cursors + vocab),
        offsets(heavy + 1 + most_heavy(rows)),
        segments(offsets + vocab + 1) {}

  static index_t most_heavy(index_t rows) { return rows / (kWarp + 1); }
  static index_t elements(index_t rows, index_t vocab) { return 2 * vocab + 2 + most_heavy(rows) + rows; }
};

bool scans(index_t rows, index_t vocab) { return rows * vocab <= kScanLimit; }

// Steps 1 and 2.
void scatter_light(index_t rows, index_t cols, index_t vocab, const std::int32_t* tokens, const bf16* dx,
                   float* dweight, const SegmentArrays& at, cudaStream_t stream) {
  const auto blocks = static_cast<unsigned>(ceil_div(rows, kThreads));
  check(cudaMemsetAsync(at.cursors, 0, (vocab + 1) * sizeof(std::int32_t), stream), "embedding_backward: cudaMemsetAsync");
  count_kernel<<<blocks, kThreads, 0, stream>>>(rows, tokens, at.cursors);
  offsets_kernel<<<1, kScanThreads, 0, stream>>>(vocab, at.cursors, at.offsets, at.heavy);
  segment_kernel<<<blocks, kThreads, 0, stream>>>(rows, tokens, at.cursors, at.segments);
  const auto kernel = aligned_rows(cols, dx, dweight) ? scatter_light_kernel<true> : scatter_light_kernel<false>;
  kernel<<<static_cast<unsigned>(ceil_div(vocab, kWarps)), kThreads, 0, stream>>>(vocab, static_cast<int>(cols), at.offsets, at.segments, dx, dweight);
}

}  // namespace

std::size_t embedding_workspace(const EmbeddingShape& s) {
  if (embedding_product_takes(s)) return embedding_product_workspace(s);
  return scans(s.rows, s.vocab) ? 0 : static_cast<std::size_t>(SegmentArrays::elements(s.rows, s.vocab)) * sizeof(std::int32_t);
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
  const bool scan = scans(rows, vocab);
  if (!scan) scatter_light(rows, cols, vocab, tokens, dx, dweight, at, stream);
  const index_t blocks = scan ? vocab : SegmentArrays::most_heavy(rows);
  if (blocks > 0) {
    const auto kernel = aligned_rows(cols, dx) ? scatter_heavy_kernel<true> : scatter_heavy_kernel<false>;
    const dim3 grid(static_cast<unsigned>(blocks), static_cast<unsigned>(ceil_div(cols, kColumns)));
    const index_t window = rows < kWindow ? rows : kWindow;
    kernel<<<grid, kThreads, static_cast<std::size_t>(ceil_div(window, 32)) * 4, stream>>>(
        rows, static_cast<int>(cols), tokens, at.offsets, scan ? nullptr : at.segments, at.heavy, dx, dweight);
  }
  check_launch("embedding_backward");
}

}  // namespace lmx::cuda
