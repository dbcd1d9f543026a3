// A block walks rows, one at a time in shared memory, each thread with pieces of its own (cp.async). A row is read twice: maximum and sum
// of exponentials together while it arrives; then the gradient, and as soon as a thread has read a piece the next row's begins to arrive
// in its place, so that a block waits for memory once. Each logit crosses memory once in and once out, 4 bytes (65536 x 50304:
// 13.2 GB, floor 3.2 ms at the 4.13 TB/s of a copy; 3.60 ms on an H200); two rows of 50304 fit one SM. Ten instructions a logit, two of them
// exponentials, which take 1.8 ms of the special-function units. Rows that do not fit shared memory are read twice from memory
// instead.
#include <algorithm>

#include "check.h"
#include "cross_entropy_long.cuh"
#include "cross_entropy_row.cuh"
#include "launch.h"
#include "mma_tile.cuh"
#include "reduce.cuh"
#include "row_ring.cuh"

namespace lmx::cuda {
namespace {

constexpr index_t kMaxThreads = 512;
constexpr std::size_t kSharedLimit = 224 * 1024;  // of 227 KiB on Hopper; smaller cards are asked at launch

// Σ e^x over some logits as e^maximum · sum.
struct Exponentials {
  float maximum, sum;

  // Of no logits: the maximum is below any, and finite, so that differences are numbers.
  static __device__ __forceinline__ Exponentials none() { return {-1e38f, 0}; }

  // The sum for a maximum that is no smaller.
  __device__ __forceinline__ float sum_at(float larger) const { return sum * fast_exp2((maximum - larger) * kLog2e); }
};

// Over the warp, whose every lane receives the result.
__device__ __forceinline__ Exponentials over_warp(const Exponentials& own) {
  const float maximum = warp_max(own.maximum);
  return {maximum, warp_sum(own.sum_at(maximum))};
}

// The pieces of a thread: packs `threadIdx.x`, and every blockDim.x-th on. They are copied and waited for in kParts parts.
constexpr int kParts = 4, kTogether = 4;  // packs in registers at a time

// The row in shared memory, or in device memory where it does not fit.
template <bool kCached, bool kAligned>
struct Row {
  uint4* cache;
  bf16* logits;
  int vocab, packs, part;  // packs of a part: whole turns of all threads

  __device__ Row(uint4* cache, bf16* logits, int vocab)
      : cache(cache), logits(logits), vocab(vocab), packs((vocab + kPack - 1) / kPack) {
    const int turn = kTogether * blockDim.x;
    part = (packs + kParts * turn - 1) / (kParts * turn) * turn;
  }
  __device__ __forceinline__ uint4 bits(int pack) const {
    if constexpr (kCached) return cache[pack];
    return load_logits<kAligned>(logits, pack * kPack, vocab);
  }
  // Puts a pack of another row into this one's place, in the background where it can be.
  __device__ __forceinline__ void replace(int pack, const bf16* other) const {
    if constexpr (!kCached) return;
    if constexpr (kAligned) {
      tile::copy_async(cache + pack, other + pack * kPack);
    } else {
      cache[pack] = load_logits<false>(other, pack * kPack, vocab);
    }
  }
};

// Adds up to kTogether packs of this thread, from `first` on.
template <class Row>
__device__ __forceinline__ void add_packs(const Row& row, int first, Exponentials& total) {
  uint4 bits[kTogether];
  std::uint32_t largest = kLowestPair;
#pragma unroll
  for (int j = 0; j < kTogether; ++j) {
    const int pack = first + j * blockDim.x;
    bits[j] = pack < row.packs ? row.bits(pack) : uint4{kLowestPair, kLowestPair, kLowestPair, kLowestPair};
    largest = larger_of_pairs(largest, largest_pair(bits[j]));
  }
  const float maximum = fmaxf(total.maximum, fmaxf(low_half(largest), high_half(largest)));
  float sum = total.sum_at(maximum);
#pragma unroll
  for (int j = 0; j < kTogether; ++j) {
    if (first + j * static_cast<int>(blockDim.x) >= row.packs) break;
    Floats e = unpack(bits[j]);
#pragma unroll
    for (int i = 0; i < kPack; ++i) e.v[i] = fast_exp2(e.v[i] * kLog2e - maximum * kLog2e);
    sum += ((e.v[0] + e.v[1]) + (e.v[2] + e.v[3])) + ((e.v[4] + e.v[5]) + (e.v[6] + e.v[7]));
  }
  total = {maximum, sum};
}

// Whether a logit before the target is equal to it; over the block.
template <class Row>
__device__ bool equal_comes_first(const Row& row, int target, float x_target) {
  bool found = false;
  for (int pack = threadIdx.x; pack * kPack < target; pack += blockDim.x) {
    const Floats x = unpack(row.bits(pack));
#pragma unroll
    for (int i = 0; i < kPack; ++i) found |= pack * kPack + i < target && x.v[i] == x_target;
  }
  return __syncthreads_or(found);
}

// A block takes every gridDim.x-th row.
template <bool kCached, bool kAligned, bool kWriteGradient>
__global__ void __launch_bounds__(kMaxThreads, 2)
    long_rows_kernel(index_t rows, int vocab, bf16* logits, const std::int32_t* __restrict__ targets, float* __restrict__ row_loss,
                     std::uint8_t* __restrict__ row_correct, const StepScalars* __restrict__ scalars) {
  extern __shared__ uint4 cache[];
  __shared__ Exponentials of_warps[2][kMaxThreads / kWarp];  // of rows in turn, so that one barrier a row is enough
  __shared__ float logit_of_target[2];
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp, warps = blockDim.x / kWarp;
  Row<kCached, kAligned> row(cache, logits + blockIdx.x * index_t{vocab}, vocab);
  const float inverse_count = kWriteGradient ? static_cast<float>(scalars->inverse_target_count) : 0.f;
  int next_target = targets[blockIdx.x];
#pragma unroll 1
  for (int part = 0; part < kParts; ++part) {
    for (int pack = part * row.part + threadIdx.x; pack < min(row.packs, (part + 1) * row.part); pack += blockDim.x) {
      row.replace(pack, row.logits);
    }
    tile::commit_copies();
  }

  int parity = 0;
  for (index_t index = blockIdx.x; index < rows; index += gridDim.x, parity ^= 1) {
    const int target = next_target;
    const bool has_next = index + gridDim.x < rows;
    if (has_next) next_target = targets[index + gridDim.x];
    if (threadIdx.x == 0) logit_of_target[parity] = target < 0 ? 0.f : __bfloat162float(row.logits[target]);
    Exponentials total = Exponentials::none();
#pragma unroll 1
    for (int part = 0; part < kParts; ++part) {
      tile::wait_copies<kParts - 1>();
      tile::commit_copies();  // of nothing: so that the next part is the oldest but kParts - 1 as well
      for (int pack = part * row.part + threadIdx.x; pack < min(row.packs, (part + 1) * row.part); pack += kTogether * blockDim.x) {
        add_packs(row, pack, total);
      }
    }
    total = over_warp(total);
    if (lane == 0) of_warps[parity][warp] = total;
    __syncthreads();
    total = over_warp(lane < warps ? of_warps[parity][lane] : Exponentials::none());
    const float x_target = logit_of_target[parity];

    if (row_correct) {
      bool correct = target >= 0 && !(x_target < total.maximum);
      if (correct) correct = !equal_comes_first(row, target, x_target);
      if (threadIdx.x == 0) row_correct[index] = correct;
    }
    if (threadIdx.x == 0) row_loss[index] = target < 0 ? 0.f : total.maximum + logf(total.sum) - x_target;

    const float weight = target < 0 ? 0.f : inverse_count, shift = total.maximum * kLog2e - __log2f(weight / total.sum);
    bf16* const next = row.logits + gridDim.x * index_t{vocab};
#pragma unroll 1
    for (int part = 0; part < kParts; ++part) {
#pragma unroll 4
      for (int pack = part * row.part + threadIdx.x; pack < min(row.packs, (part + 1) * row.part); pack += blockDim.x) {
        Floats x = unpack(row.bits(pack));
        if (has_next) row.replace(pack, next);
        if constexpr (kWriteGradient) {
#pragma unroll
          for (int i = 0; i < kPack; ++i) x.v[i] = fast_exp2(x.v[i] * kLog2e - shift);
          store<kAligned>(row.logits, pack * kPack, vocab, x);
        }
      }
      tile::commit_copies();
    }
    if constexpr (kWriteGradient) {  // the target's own, by the thread that has just written the eight around it
      const int writer = target / kPack % blockDim.x;
      if (target >= 0 && writer == threadIdx.x) {
        row.logits[target] = __float2bfloat16_rn(fast_exp2(x_target * kLog2e - shift) - weight);
      }
    }
    row.logits = next;
  }
  tile::wait_copies<0>();
}

// As many blocks as are there at once, or as there are rows.
template <class Kernel>
index_t blocks_of(Kernel* kernel, index_t rows, int threads, std::size_t shared_bytes) {
  int blocks = 0;
  check(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, kernel, threads, shared_bytes), "cross_entropy");
  return std::min<index_t>(rows, std::max(blocks, 1) * index_t{device_attribute(cudaDevAttrMultiProcessorCount)});
}

template <bool kCached, bool kAligned>
void launch(const CrossEntropyShape& s, bf16* logits, const std::int32_t* targets, float* row_loss, std::uint8_t* row_correct,
            const StepScalars* scalars, bool write_gradient, std::size_t shared_bytes, cudaStream_t stream) {
  const index_t packs = ceil_div(s.vocab, kPack);
  index_t threads = kWarp;
  while (threads < kMaxThreads && threads * 8 < packs) threads *= 2;  // eight packs and more per thread
  const auto kernel = write_gradient ? long_rows_kernel<kCached, kAligned, true> : long_rows_kernel<kCached, kAligned, false>;
  allow_shared_memory(kernel, static_cast<int>(shared_bytes), "cross_entropy");
  const index_t blocks = blocks_of(kernel, s.rows, static_cast<int>(threads), shared_bytes);
  kernel<<<static_cast<unsigned>(blocks), static_cast<unsigned>(threads), shared_bytes, stream>>>(
      s.rows, static_cast<int>(s.vocab), logits, targets, row_loss, row_correct, scalars);
}

std::size_t shared_limit() {
  const auto bytes = static_cast<std::size_t>(device_attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin));
  const std::size_t usable = bytes - 1024;  // the reductions' own share
  return usable < kSharedLimit ? usable : kSharedLimit;
}

}  // namespace

void cross_entropy_long(const CrossEntropyShape& s, bf16* logits, const std::int32_t* targets, float* row_loss,
                        std::uint8_t* row_correct, const StepScalars* scalars, bool write_gradient, cudaStream_t stream) {
  const std::size_t row_bytes = static_cast<std::size_t>(ceil_div(s.vocab, kPack)) * sizeof(uint4);
  const bool cached = row_bytes <= shared_limit(), aligned = aligned_rows(s.vocab, logits);
  const auto run = cached ? (aligned ? launch<true, true> : launch<true, false>)
                          : (aligned ? launch<false, true> : launch<false, false>);
  run(s, logits, targets, row_loss, row_correct, scalars, write_gradient, cached ? row_bytes : 0, stream);
  check_launch("cross_entropy");
}

}  // namespace lmx::cuda
