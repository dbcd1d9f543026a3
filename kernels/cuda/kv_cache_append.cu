// A block owns one row: it works out the row's cosines and sines once for all heads - the angle in fp64, because position times
// frequency needs more than 24 bits at long contexts -, turns q and k in place, and copies k and v. Memory-bound in prompts: 4 bytes per
// rotated element and 4 per copied one.
#include <cmath>

#include "check.h"
#include "dependent_launch.cuh"
#include "kv_cache_append.cuh"
#include "launch.h"

namespace lmx::cuda {
namespace {

constexpr int kThreads = 256;

// kWide: 8 where heads and their halves can be moved 16 bytes at a time, else 1.
template <int kWide>
__global__ void __launch_bounds__(kThreads)
    append_kernel(CacheShape s, double log2_theta, bf16* qkv, bf16* keys, bf16* values, const std::int32_t* position) {
  extern __shared__ float2 angles[];  // (rotary_dim / 2): cosine, sine
  const index_t row = blockIdx.x;
  const int half = static_cast<int>(s.rotary_dim / 2), head_dim = static_cast<int>(s.head_dim);
  const int heads = static_cast<int>(s.heads), kv_heads = static_cast<int>(s.kv_heads);
  wait_for_previous();
  let_next_start();
  const index_t at = *position + row % s.time;
  bf16* const packed = qkv + row * (heads + 2 * kv_heads) * head_dim;
  if (half > 0) {
    for (int i = threadIdx.x; i < half; i += kThreads) {
      const double turns = static_cast<double>(at) * exp2(-i * log2_theta / half) * 0.15915494309189535;  // of 2 pi
      float sine, cosine;
      sincospif(static_cast<float>(2 * (turns - rint(turns))), &sine, &cosine);
      angles[i] = {cosine, sine};
    }
    __syncthreads();
    const int per_head = half / kWide;
    for (int i = threadIdx.x; i < (heads + kv_heads) * per_head; i += kThreads) {
      const int channel = i % per_head * kWide;
      bf16* const low = packed + i / per_head * head_dim + channel;
      bf16* const high = low + half;
      if constexpr (kWide == 8) {
        Floats a = load<true>(low, 0, kPack), b = load<true>(high, 0, kPack);
#pragma unroll
        for (int p = 0; p < kPack; ++p) {
          const float2 turn = angles[channel + p];
          const float x = a.v[p], y = b.v[p];
          a.v[p] = x * turn.x - y * turn.y;
          b.v[p] = y * turn.x + x * turn.y;
        }
        store<true>(low, 0, kPack, a);
        store<true>(high, 0, kPack, b);
      } else {
        const float2 turn = angles[channel];
        const float x = __bfloat162float(*low), y = __bfloat162float(*high);
        *low = __float2bfloat16(x * turn.x - y * turn.y);
        *high = __float2bfloat16(y * turn.x + x * turn.y);
      }
    }
    __syncthreads();
  }
  const int packs = head_dim / kWide, all = kv_heads * packs;
  for (int i = threadIdx.x; i < 2 * all; i += kThreads) {
    const int head = i % all / packs, channel = i % packs * kWide;
    const bf16* const from = packed + (heads + (i < all ? 0 : kv_heads) + head) * head_dim + channel;
    bf16* const to = (i < all ? keys : values) + ((row / s.time * kv_heads + head) * s.context + at) * head_dim + channel;
    if constexpr (kWide == 8) {
      *reinterpret_cast<uint4*>(to) = *reinterpret_cast<const uint4*>(from);
    } else {
      *to = *from;
    }
  }
}

}  // namespace

void kv_cache_append(const CacheShape& s, bf16* qkv, bf16* keys, bf16* values, const std::int32_t* position,
                     cudaStream_t stream) {
  const bool wide = aligned_rows(s.head_dim, qkv, keys, values) && s.rotary_dim / 2 % kPack == 0;
  check(launch_dependent(wide ? append_kernel<8> : append_kernel<1>, dim3(static_cast<unsigned>(s.batch * s.time)),
                         dim3(kThreads), static_cast<std::size_t>(s.rotary_dim / 2) * sizeof(float2), stream, s,
                         s.rotary_dim > 0 ? std::log2(s.rope_theta) : 0.0, qkv, keys, values, position),
        "kv_cache_append");
}

}  // namespace lmx::cuda
