// Softmax cross-entropy that overwrites the logits with their gradient: loss = logsumexp(x) - x[target],
// dx = (softmax(x) - onehot) · inverse_target_count. Each logit crosses memory once in and once out, 4 bytes.
//
// Up to 1024 logits, a row in the registers of 8 to 32 lanes: several rows side by side in a warp, 32 logits to a lane, because with
// one row to a warp most instructions would be those of its sums (16384 x 256: 17 MB, floor 4.1 us at the 4.13 TB/s of a copy, 5.3 us on an
// H200, of which a copy of as many bytes takes 4.4). Up to 8192, a warp with its row in shared memory, read from there three times: maximum, sum of
// exponentials, gradient. A multiprocessor has 13 such warps and more, each at another point, so that one's arithmetic hides the others' traffic,
// and nobody waits at a barrier (65536 x 8192: 2.15 GB, floor 520 us, 523 us; with 128 threads a row 588). Beyond, a multiprocessor has too few
// rows for that: cross_entropy_long.cuh.
#include "check.h"
#include "cross_entropy.cuh"
#include "cross_entropy_long.cuh"
#include "cross_entropy_row.cuh"
#include "launch.h"
#include "mma_tile.cuh"
#include "reduce.cuh"
#include "row_ring.cuh"

namespace lmx::cuda {
namespace {

constexpr int kShortThreads = 128;  // of a block where lanes of a warp hold a row
constexpr index_t kMiddleRow = 8192;

// A block is a warp and has a row; one of whose target is negative has no loss and no gradient.
template <bool kAligned, bool kWriteGradient>
__global__ void __launch_bounds__(kWarp)
    middle_rows_kernel(int vocab, bf16* logits, const std::int32_t* __restrict__ targets, float* __restrict__ row_loss,
                       std::uint8_t* __restrict__ row_correct, const StepScalars* __restrict__ scalars) {
  extern __shared__ uint4 cache[];
  constexpr int kSums = 4;  // added side by side
  const int lane = threadIdx.x, packs = (vocab + kPack - 1) / kPack;
  const index_t row = blockIdx.x;
  logits += row * vocab;
#pragma unroll 8
  for (int p = lane; p < packs; p += kWarp) {
    if constexpr (kAligned) {
      tile::copy_async(cache + p, logits + p * kPack);
    } else {
      cache[p] = load_logits<false>(logits, p * kPack, vocab);
    }
  }
  tile::commit_copies();
  const int target = targets[row];
  const float inverse_count = kWriteGradient ? static_cast<float>(scalars->inverse_target_count) : 0.f;
  tile::wait_copies<0>();
  __syncwarp();
  const bf16* const cached = reinterpret_cast<const bf16*>(cache);
  const float x_target = target < 0 ? 0.f : __bfloat162float(cached[target]);

  std::uint32_t largest = kLowestPair;
#pragma unroll 8
  for (int p = lane; p < packs; p += kWarp) largest = larger_of_pairs(largest, largest_pair(cache[p]));
  const float maximum = warp_max(fmaxf(low_half(largest), high_half(largest)));

  if (row_correct) {
    bool correct = target >= 0 && !(x_target < maximum);
    if (correct) {  // unless an equal one comes first
      bool earlier = false;
      for (int i = lane; i < target; i += kWarp) earlier |= __bfloat162float(cached[i]) == maximum;
      correct = !__any_sync(~0u, earlier);
    }
    if (lane == 0) row_correct[row] = correct;
  }

  const float shift = maximum * kLog2e;
  float sums[kSums] = {};
#pragma unroll 4
  for (int p = lane; p < packs; p += kWarp) {
    const Floats x = unpack(cache[p]);
#pragma unroll
    for (int i = 0; i < kPack; ++i) sums[i % kSums] += fast_exp2(fmaf(x.v[i], kLog2e, -shift));
  }
  const float sum = warp_sum((sums[0] + sums[1]) + (sums[2] + sums[3]));
  if (lane == 0) row_loss[row] = target < 0 ? 0.f : maximum + logf(sum) - x_target;

  if constexpr (kWriteGradient) {
    // weight / sum as a power of two, so that a logit takes one multiplication; of weight 0 it is 2^-inf.
    const float weight = target < 0 ? 0.f : inverse_count, offset = log2f(weight / sum) - shift;
#pragma unroll 4
    for (int p = lane; p < packs; p += kWarp) {
      Floats x = unpack(cache[p]);
#pragma unroll
      for (int i = 0; i < kPack; ++i) x.v[i] = fast_exp2(fmaf(x.v[i], kLog2e, offset));
      store<kAligned>(logits, p * kPack, vocab, x);
    }
    // The target's own, by the lane that has just written the eight around it.
    if (target >= 0 && target / kPack % kWarp == lane) {
      logits[target] = __float2bfloat16_rn(fast_exp2(fmaf(x_target, kLog2e, offset)) - weight);
    }
  }
}

// A row of at most kLanes * kPacks * 8 logits in the registers of kLanes lanes, 32 / kLanes rows side by side in a warp.
template <int kLanes, int kPacks, bool kAligned, bool kWriteGradient>
__global__ void __launch_bounds__(kShortThreads)
    short_rows_kernel(index_t rows, int vocab, bf16* logits, const std::int32_t* __restrict__ targets,
                      float* __restrict__ row_loss, std::uint8_t* __restrict__ row_correct,
                      const StepScalars* __restrict__ scalars) {
  const index_t row = (blockIdx.x * index_t{kShortThreads} + threadIdx.x) / kLanes;
  const int lane = threadIdx.x % kLanes, columns = row < rows ? vocab : 0;  // rows that do not exist are empty
  logits += row * vocab;
  const int target = columns > 0 ? targets[row] : -1;
  uint4 bits[kPacks];
#pragma unroll
  for (int p = 0; p < kPacks; ++p) bits[p] = load_logits<kAligned>(logits, (p * kLanes + lane) * kPack, columns);
  const float inverse_count = kWriteGradient ? static_cast<float>(scalars->inverse_target_count) : 0.f;
  const float x_target = target < 0 ? 0.f : __bfloat162float(logits[target]);  // on its way already

  std::uint32_t largest = bits[0].x;
#pragma unroll
  for (int p = 0; p < kPacks; ++p) largest = larger_of_pairs(largest, largest_pair(bits[p]));
  const float maximum = warp_max<kLanes>(fmaxf(low_half(largest), high_half(largest)));

  if (row_correct) {
    bool correct = target >= 0 && !(x_target < maximum);
    if (__any_sync(~0u, correct)) {  // unless an equal one comes first
      bool earlier = false;
#pragma unroll
      for (int p = 0; p < kPacks; ++p) {
        const Floats x = unpack(bits[p]);
        const int before = target - (p * kLanes + lane) * kPack;
#pragma unroll
        for (int i = 0; i < kPack; ++i) earlier |= i < before && x.v[i] == maximum;
      }
      const unsigned of_row = (~0u >> (kWarp - kLanes)) << (threadIdx.x % kWarp / kLanes * kLanes);
      const unsigned equal_before = __ballot_sync(~0u, earlier);  // by all lanes, also those whose target is not the largest
      correct = correct && (equal_before & of_row) == 0;
    }
    if (lane == 0 && columns > 0) row_correct[row] = correct;
  }

  const float shift = maximum * kLog2e;
  Floats e[kPacks];
  float sum = 0;
#pragma unroll
  for (int p = 0; p < kPacks; ++p) {
    e[p] = unpack(bits[p]);
#pragma unroll
    for (int i = 0; i < kPack; ++i) {
      e[p].v[i] = fast_exp2(e[p].v[i] * kLog2e - shift);
      sum += e[p].v[i];
    }
  }
  sum = warp_sum<kLanes>(sum);
  if (lane == 0 && columns > 0) row_loss[row] = target < 0 ? 0.f : maximum + logf(sum) - x_target;

  if constexpr (kWriteGradient) {
    const float weight = target < 0 ? 0.f : inverse_count, scale = weight / sum;
    __syncwarp();  // all lanes have read the target's logit
#pragma unroll
    for (int p = 0; p < kPacks; ++p) {
#pragma unroll
      for (int i = 0; i < kPack; ++i) e[p].v[i] *= scale;
      store<kAligned>(logits, (p * kLanes + lane) * kPack, columns, e[p]);
    }
    // The target's own, by the lane that has just written the eight around it.
    if (target >= 0 && target / kPack % kLanes == lane) {
      logits[target] = __float2bfloat16_rn(fast_exp2(x_target * kLog2e - shift) * scale - weight);
    }
  }
}

template <int kLanes, int kPacks>
void launch_short_rows(const CrossEntropyShape& s, bf16* logits, const std::int32_t* targets, float* row_loss,
                       std::uint8_t* row_correct, const StepScalars* scalars, bool write_gradient,
                       cudaStream_t stream) {
  const bool aligned = aligned_rows(s.vocab, logits);
  const auto kernel = write_gradient ? (aligned ? short_rows_kernel<kLanes, kPacks, true, true>
                                                : short_rows_kernel<kLanes, kPacks, false, true>)
                                     : (aligned ? short_rows_kernel<kLanes, kPacks, true, false>
                                                : short_rows_kernel<kLanes, kPacks, false, false>);
  kernel<<<static_cast<unsigned>(ceil_div(s.rows, kShortThreads / kLanes)), kShortThreads, 0, stream>>>(
      s.rows, static_cast<int>(s.vocab), logits, targets, row_loss, row_correct, scalars);
}

void launch_middle_rows(const CrossEntropyShape& s, bf16* logits, const std::int32_t* targets, float* row_loss,
                        std::uint8_t* row_correct, const StepScalars* scalars, bool write_gradient, cudaStream_t stream) {
  const int bytes = static_cast<int>(ceil_div(s.vocab, kPack)) * static_cast<int>(sizeof(uint4));
  const bool aligned = aligned_rows(s.vocab, logits);
  const auto kernel = write_gradient ? (aligned ? middle_rows_kernel<true, true> : middle_rows_kernel<false, true>)
                                     : (aligned ? middle_rows_kernel<true, false> : middle_rows_kernel<false, false>);
  allow_shared_memory(kernel, bytes, "cross_entropy");
  kernel<<<static_cast<unsigned>(s.rows), kWarp, static_cast<std::size_t>(bytes), stream>>>(static_cast<int>(s.vocab), logits, targets, row_loss,
                                                                                           row_correct, scalars);
}

}  // namespace

void cross_entropy(const CrossEntropyShape& s, bf16* logits, const std::int32_t* targets, float* row_loss,
                   std::uint8_t* row_correct, const StepScalars* scalars, bool write_gradient, cudaStream_t stream) {
  if (s.rows == 0) return;
  const auto run = s.vocab <= 64           ? launch_short_rows<8, 1>
                   : s.vocab <= 128        ? launch_short_rows<8, 2>
                   : s.vocab <= 256        ? launch_short_rows<8, 4>
                   : s.vocab <= 512        ? launch_short_rows<16, 4>
                   : s.vocab <= 1024       ? launch_short_rows<32, 4>
                   : s.vocab <= kMiddleRow ? launch_middle_rows
                                           : cross_entropy_long;
  run(s, logits, targets, row_loss, row_correct, scalars, write_gradient, stream);
  check_launch("cross_entropy");
}

}  // namespace lmx::cuda
