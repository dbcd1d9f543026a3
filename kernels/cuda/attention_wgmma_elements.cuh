// What the warpgroups of both backwards of attention on Hopper do with accumulators (attention_wgmma.cu): weights, gradients of scores,
// operands, parts of dq, results. A warpgroup holds 64 rows; of 64 columns a thread holds [n][e]: row lane/4 + 8(e/2) of its warp's 16,
// column 8n + 2(lane mod 4) + e mod 2.
#pragma once

#include "attention_wgmma_block.cuh"

#if LMX_HOPPER

namespace lmx::cuda::attention {

__device__ __forceinline__ int lane() { return tile::thread_here() % 32; }
__device__ __forceinline__ int warp() { return tile::thread_here() / 32 % 4; }  // of its warpgroup
__device__ __forceinline__ int first_column() { return lane() % 4 * 2; }  // of a thread's in 8

// Where in a panel, in bytes, store_fragment<true> puts 16 columns of an accumulator, as rows: this thread's address. The next 16 columns
// lie 2048 bytes on.
__device__ __forceinline__ int transposed_place() {
  const int row = (lane() >> 4) * 8 + lane() % 8, unit = 2 * warp() + ((lane() >> 3) & 1);
  return row * 128 + ((unit ^ (lane() % 8)) << 4);
}

// s (keys, queries) = 2^(s·scale - lse of the query), 0 for queries before the key. `lse` from the thread's first column on, `distance`
// of the first query from the first key.
__device__ __forceinline__ void weigh(float (&s)[8][4], const float* lse, float scale, int distance) {
  hopper::settle(s);
#pragma unroll
  for (int n = 0; n < 8; ++n) {
    const float2 l = *reinterpret_cast<const float2*>(lse + n * 8);
#pragma unroll
    for (int e = 0; e < 4; ++e) s[n][e] = tile::exp2_fast(s[n][e] * scale - (e % 2 == 0 ? l.x : l.y));
  }
  if (distance >= 64) return;
  const int first_key = warp() * 16 + lane() / 4, first_query = distance + first_column();
#pragma unroll
  for (int n = 0; n < 8; ++n) {
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      if (first_query + n * 8 + e % 2 < first_key + e / 2 * 8) s[n][e] = 0;
    }
  }
}

// dp = p · (dp - delta of the query). `delta` from the thread's first column on.
__device__ __forceinline__ void differentiate(const float (&p)[8][4], float (&dp)[8][4], const float* delta) {
  hopper::settle(dp);
#pragma unroll
  for (int n = 0; n < 8; ++n) {
    const float2 d = *reinterpret_cast<const float2*>(delta + n * 8);
#pragma unroll
    for (int e = 0; e < 4; ++e) dp[n][e] = p[n][e] * (dp[n][e] - (e % 2 == 0 ? d.x : d.y));
  }
}

__device__ __forceinline__ void to_fragments(Fragment (&f)[4], const float (&sum)[8][4]) {
#pragma unroll
  for (int k = 0; k < 4; ++k) f[k] = tile::to_fragment(sum[2 * k], sum[2 * k + 1]);
}

__device__ __forceinline__ void multiply(float (&sum)[8][4], float factor) {
#pragma unroll
  for (int n = 0; n < 8; ++n) {
#pragma unroll
    for (int e = 0; e < 4; ++e) sum[n][e] *= factor;
  }
}

// A warpgroup's part of dq to a slot, for add_parts().
__device__ __forceinline__ void pass_part(float* slot, const float (&dq)[8][4]) {
  auto* const own = reinterpret_cast<float4*>(slot) + tile::thread_here() % kGroupThreads;
#pragma unroll
  for (int n = 0; n < 8; ++n) own[n * kGroupThreads] = {dq[n][0], dq[n][1], dq[n][2], dq[n][3]};
  hopper::show_writes();
}
// dq += what all key blocks before `first_key` added.
__device__ __forceinline__ void take_part(float (&dq)[8][4], const Buffers& b, index_t part, int first_key) {
  if (first_key == 0) return;
  hopper::wait_for_turn(b.turn + part, first_key / kKeys);
  const auto* const sum = reinterpret_cast<const float4*>(b.dq + part * kPart) + tile::thread_here() % kGroupThreads;
#pragma unroll
  for (int n = 0; n < 8; ++n) {
    const float4 others = __ldcg(sum + n * kGroupThreads);
    dq[n][0] += others.x;
    dq[n][1] += others.y;
    dq[n][2] += others.z;
    dq[n][3] += others.w;
  }
}

// 16 x 64 of a warp into dqkv, from row and column on, by way of 2 KiB of the warp's own.
template <int kDim>
__device__ __forceinline__ void store(bf16* own, const float (&sum)[8][4], const Problem& s, const Buffers& b, int batch, int row,
                                      int column) {
  const index_t width = index_t{s.heads + 2 * s.kv_heads} * kDim;
  tile::store_rows<64>(own, sum, b.dqkv + (index_t{batch} * s.time + row) * width + column, width, 16, 64);
}

// dk and dv of the warpgroup's 64 keys, by way of its rows of V, which only it reads.
template <int kDim>
__device__ __forceinline__ void write_keys(bf16* v, float (&dk)[kDim / 8][4], float (&dv)[kDim / 8][4], const Problem& s,
                                           const Buffers& b, int group) {
  hopper::sync_threads(kOwn + group, kGroupThreads);  // all have read them
  const Owner owner(s);
  const int row = group * 64 + warp() * 16;
  bf16* const own = v + row * 64;
#pragma unroll
  for (int p = 0; p < Tiling<kDim>::panels; ++p) {
    const int column = (s.heads + owner.kv_head) * kDim + p * 64;
    auto& dk_part = *reinterpret_cast<float(*)[8][4]>(&dk[p * 8]);
    auto& dv_part = *reinterpret_cast<float(*)[8][4]>(&dv[p * 8]);
    multiply(dk_part, s.scale);
    store<kDim>(own, dk_part, s, b, owner.batch, owner.first_key + row, column);
    store<kDim>(own, dv_part, s, b, owner.batch, owner.first_key + row, column + s.kv_heads * kDim);
  }
}

}  // namespace lmx::cuda::attention

#endif  // LMX_HOPPER
