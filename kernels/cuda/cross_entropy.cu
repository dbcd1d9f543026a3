// Softmax cross-entropy that overwrites the logits with their gradient: loss = logsumexp(x) - x[target],
// dx = (softmax(x) - onehot) · inverse_target_count. Each logit crosses memory once in and once out, 4 bytes.
//
// Up to 1024 logits, a row in the registers of 8 to 32 lanes: several rows side by side in a warp, 32 logits to a lane, because with
// one row to a warp most instructions would be those of its sums (16384 x 256: 17 MB, floor 4.1 us at the 4.13 TB/s of a copy, 5.45 us on an
// H200). Up to 8192, one block per row. The row is copied to shared memory while it arrives (cp.async) and read from there three
// times: maximum, sum of exponentials, gradient; a multiprocessor has so many rows that one's arithmetic hides the others' traffic
// (65536 x 8192: 2.15 GB, floor 520 us, 649 us on an H200). Beyond, a multiprocessor has too few rows for that: cross_entropy_long.cuh.
#include <cuda_pipeline.h>

#include "check.h"
#include "cross_entropy.cuh"
#include "cross_entropy_long.cuh"
#include "cross_entropy_row.cuh"
#include "launch.h"
#include "reduce.cuh"

namespace lmx::cuda {
namespace {

constexpr float kLowest = -INFINITY;
constexpr int kShortThreads = 128;  // of a block where lanes of a warp hold a row
constexpr index_t kMiddleRow = 8192;
constexpr int kMiddleThreads = kMiddleRow / kPack / 8;

template <bool kAligned>
__device__ __forceinline__ void fill_cache(uint4* cache, const bf16* logits, int packs, int vocab) {
  for (int p = threadIdx.x; p < packs; p += blockDim.x) {
    if constexpr (kAligned) {
      __pipeline_memcpy_async(cache + p, logits + index_t{p} * kPack, sizeof(uint4));
    } else {
      cache[p] = load_bits<false>(logits, p * kPack, vocab);
    }
  }
  __pipeline_commit();
  __pipeline_wait_prior(0);
  __syncthreads();
}

// Is element `index` (value x) before the target in the order "larger first, then earlier first"?
__device__ __forceinline__ bool comes_first(float x, int index, float x_target, int target) {
  return x > x_target || (x == x_target && index < target);
}

// A block has a row.
template <bool kAligned, bool kWriteGradient>
__global__ void __launch_bounds__(kMiddleThreads, 13)
    middle_rows_kernel(int vocab, bf16* logits, const std::int32_t* __restrict__ targets, float* __restrict__ row_loss,
                       std::uint8_t* __restrict__ row_correct, const StepScalars* __restrict__ scalars) {
  extern __shared__ uint4 cache[];
  __shared__ float scratch[3][kMiddleThreads / kWarp];
  const index_t row_index = blockIdx.x;
  const int target = targets[row_index], packs = (vocab + kPack - 1) / kPack;
  logits += row_index * vocab;
  if (target < 0) {
    if constexpr (kWriteGradient) {
      for (int p = threadIdx.x; p < packs; p += blockDim.x) {
        store_bits<kAligned>(logits, p * kPack, vocab, uint4{0, 0, 0, 0});
      }
    }
    if (threadIdx.x == 0) {
      row_loss[row_index] = 0;
      if (row_correct) row_correct[row_index] = 0;
    }
    return;
  }
  fill_cache<kAligned>(cache, logits, packs, vocab);
  const float x_target = __bfloat162float(reinterpret_cast<const bf16*>(cache)[target]);

  float maximum = kLowest;
  float earlier = 0;  // elements that come before the target
#pragma unroll 4
  for (int p = threadIdx.x; p < packs; p += blockDim.x) {
    const Floats x = unpack(cache[p]);
#pragma unroll
    for (int i = 0; i < kPack; ++i) {
      const int index = p * kPack + i;
      if (!kAligned && index >= vocab) break;
      maximum = fmaxf(maximum, x.v[i]);
      if (row_correct && comes_first(x.v[i], index, x_target, target)) earlier = 1;
    }
  }
  maximum = block_max(maximum, scratch[0]);
  if (row_correct) {
    earlier = block_max(earlier, scratch[1]);
    if (threadIdx.x == 0) row_correct[row_index] = earlier == 0;
  }

  const float shift = maximum * kLog2e;
  float sum = 0;
#pragma unroll 4
  for (int p = threadIdx.x; p < packs; p += blockDim.x) {
    const Floats x = unpack(cache[p]);
#pragma unroll
    for (int i = 0; i < kPack; ++i) {
      if (!kAligned && p * kPack + i >= vocab) break;
      sum += fast_exp2(x.v[i] * kLog2e - shift);
    }
  }
  sum = block_sum(sum, scratch[2]);
  if (threadIdx.x == 0) row_loss[row_index] = maximum + logf(sum) - x_target;

  if constexpr (kWriteGradient) {
    const float weight = static_cast<float>(scalars->inverse_target_count), scale = weight / sum;
#pragma unroll 4
    for (int p = threadIdx.x; p < packs; p += blockDim.x) {
      Floats x = unpack(cache[p]);
#pragma unroll
      for (int i = 0; i < kPack; ++i) {
        x.v[i] = fast_exp2(x.v[i] * kLog2e - shift) * scale - (p * kPack + i == target ? weight : 0.f);
      }
      store<kAligned>(logits, p * kPack, vocab, x);
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
  for (int p = 0; p < kPacks; ++p) {
    largest = larger_of_pairs(largest, larger_of_pairs(larger_of_pairs(bits[p].x, bits[p].y),
                                                       larger_of_pairs(bits[p].z, bits[p].w)));
  }
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
  const index_t packs = ceil_div(s.vocab, kPack);
  index_t threads = kWarp;
  while (threads * 8 < packs) threads *= 2;  // four packs of a thread and more
  const bool aligned = aligned_rows(s.vocab, logits);
  const auto kernel = write_gradient ? (aligned ? middle_rows_kernel<true, true> : middle_rows_kernel<false, true>)
                                     : (aligned ? middle_rows_kernel<true, false> : middle_rows_kernel<false, false>);
  kernel<<<static_cast<unsigned>(s.rows), static_cast<unsigned>(threads), static_cast<std::size_t>(packs) * sizeof(uint4), stream>>>(
      static_cast<int>(s.vocab), logits, targets, row_loss, row_correct, scalars);
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
