// The warpgroups that multiply in the backward of attention on Hopper (attention_wgmma.cu).
#pragma once

#include "attention_wgmma_block.cuh"

#if LMX_HOPPER

namespace lmx::cuda::attention {

// One warpgroup: dk and dv of its 64 keys, its part of every dq.
template <int kDim>
class Consumer {
  using T = Tiling<kDim>;
  static constexpr bool kAhead = kDim == 64;        // scores, V·dOᵀ and weights are made half a step ahead
  static constexpr int kTileBytes = T::queries * kDim * 2;

 public:
  __device__ __forceinline__ Consumer(Shared<kDim>& shared, const Problem& s, const Buffers& b, int group)
      : shared_(shared), s_(s), b_(b), group_(group) {
    const int row = (lane() >> 4) * 8 + lane() % 8, unit = 2 * warp() + ((lane() >> 3) & 1);
    own_ds_ = tile::shared_address(shared.ds) + group * kHalfBytes + row * 128 + ((unit ^ (lane() % 8)) << 4);
    own_column_ = lane() % 4 * 2;
  }

  __device__ __forceinline__ void run() {
    float s[8][4], dp[8][4], dq[8][4], dk[kDim / 8][4] = {}, dv[kDim / 8][4] = {};
    Step<kDim> step(s_, Owner(s_).first_key), before = step;
    int stage = 0, parity = 0, done = 0;  // steps
    hopper::wait(shared_.keys_full, 0);
    hopper::wait(shared_.full[0], 0);
    hopper::settle(dk);  // zero here, not somewhere among products
    hopper::settle(dv);
    start_scores(s, dp, 0, 0);
    hopper::wait_products<0>();
    if constexpr (kAhead) weigh(s, step, 0, 0);
    do {
      const int next = stage + 1 == kStages ? 0 : stage + 1;
#pragma unroll
      for (int half = 0; half < T::halves; ++half) {
        // No products are under way here. What lies between the start and the end of some needs registers of its own.
        Fragment p[4], ds[4];
        if constexpr (kAhead) {
          to_fragments(p, s);
          start_dv(dv, p, stage, half);
          hopper::commit_products();
          if (half == 0 && done > 0) finish_step(dq, before, stage, done - 1);
        } else {
          if (done > 0) finish_step(dq, before, stage, done - 1);
          hopper::start_products();
          start_dp(dp, stage, half);
          weigh(s, step, stage, half);
          hopper::wait_products<0>();
          to_fragments(p, s);
        }
        differentiate(s, dp, stage, half);
        to_fragments(ds, dp);
        if constexpr (!kAhead) {
          start_dv(dv, p, stage, half);
          start_dk(dk, ds, stage, half);
          hopper::commit_products();
        }
        write_ds(ds, half, done > 0);
        hopper::wait_products<0>();
        if (half + 1 < T::halves) {
          start_scores(s, dp, stage, half + 1);
          start_dk(dk, ds, stage, half);
          hopper::commit_products();
          finish_scores(s, step, stage, half + 1);
        } else {
          before = step;
          step.advance(s_);
          if (step.exists()) {
            hopper::wait(shared_.full[next], next == 0 ? parity ^ 1 : parity);
            start_scores(s, dp, next, 0);
            if constexpr (kAhead) start_dk(dk, ds, stage, half);
            start_dq(dq);
            hopper::commit_products();
            finish_scores(s, step, next, 0);
          } else {
            hopper::start_products();
            if constexpr (kAhead) start_dk(dk, ds, stage, half);
            start_dq(dq);
            hopper::commit_products();
            hopper::wait_products<0>();
          }
        }
      }
      stage = next;
      if (next == 0) parity ^= 1;
      ++done;
    } while (step.exists());
    hopper::settle(dq);
    hopper::settle(dk);
    hopper::settle(dv);
    write_dq(dq, before, done - 1);
    write_keys(dk, dv);
  }

 private:
  static __device__ __forceinline__ int lane() { return tile::thread_here() % 32; }
  static __device__ __forceinline__ int warp() { return tile::thread_here() / 32 % 4; }

  // ---- products ---------------------------------------------------------------------------------------------------------------------

  // Queries 16k to 16k + 15 of a half as what a product sums over.
  __device__ __forceinline__ hopper::Operand query_columns(const bf16* tiles, int stage, int half, int k) const {
    return hopper::columns(tile::shared_address(tiles) + stage * kTileBytes + half * kHalfBytes + k * 2048, T::query_panel_bytes);
  }
  // sum (64 keys, 64 queries) = own rows of K or V · queries of a half, transposed.
  __device__ __forceinline__ void start_product(float (&sum)[8][4], const bf16* keys, const bf16* tiles, int stage, int half) const {
    const std::uint32_t left = tile::shared_address(keys) + group_ * kHalfBytes;
    const std::uint32_t right = tile::shared_address(tiles) + stage * kTileBytes + half * kHalfBytes;
#pragma unroll
    for (int k = 0; k < kDim / 16; ++k) {
      const auto a = hopper::rows(left + k / 4 * T::key_panel_bytes + k % 4 * 32);
      const auto b = hopper::rows(right + k / 4 * T::query_panel_bytes + k % 4 * 32);
      k == 0 ? hopper::set_product<false, false>(sum, a, b) : hopper::add_product<false, false>(sum, a, b);
    }
    hopper::commit_products();
  }
  __device__ __forceinline__ void start_dp(float (&dp)[8][4], int stage, int half) const {
    start_product(dp, shared_.v, shared_.dout[0], stage, half);
  }
  __device__ __forceinline__ void start_scores(float (&s)[8][4], float (&dp)[8][4], int stage, int half) const {
    hopper::start_products();
    start_product(s, shared_.k, shared_.q[0], stage, half);
    if constexpr (kAhead) start_dp(dp, stage, half);
  }
  // After these: all products are done, and where kAhead, s are weights, made while the last group was under way.
  __device__ __forceinline__ void finish_scores(float (&s)[8][4], const Step<kDim>& step, int stage, int half) const {
    if constexpr (kAhead) {
      hopper::wait_products<2>();
      weigh(s, step, stage, half);
    }
    hopper::wait_products<0>();
  }
  // dv += pᵀ · dO and dk += dsᵀ · Q of a half.
  __device__ __forceinline__ void start_dv(float (&dv)[kDim / 8][4], const Fragment (&p)[4], int stage, int half) const {
    hopper::start_products();
#pragma unroll
    for (int k = 0; k < 4; ++k) hopper::add_product<true>(dv, p[k], query_columns(shared_.dout[0], stage, half, k));
  }
  __device__ __forceinline__ void start_dk(float (&dk)[kDim / 8][4], const Fragment (&ds)[4], int stage, int half) const {
    hopper::start_products();
#pragma unroll
    for (int k = 0; k < 4; ++k) hopper::add_product<true>(dk, ds[k], query_columns(shared_.q[0], stage, half, k));
  }
  // dq (64, 64) = ds · K: this warpgroup's half of the queries, or of the channels. Waits for the other's part of ds.
  __device__ __forceinline__ void start_dq(float (&dq)[8][4]) const {
    hopper::sync_threads(kWritten + group_, 2 * kGroupThreads);
    const std::uint32_t left = tile::shared_address(shared_.ds) + (T::halves == 2 ? group_ * 2 * kHalfBytes : 0);
    const std::uint32_t right = tile::shared_address(shared_.k) + (T::halves == 2 ? 0 : group_ * T::key_panel_bytes);
#pragma unroll
    for (int k = 0; k < kKeys / 16; ++k) {
      const auto a = hopper::rows(left + k / 4 * kHalfBytes + k % 4 * 32);
      const auto b = hopper::columns(right + k * 2048, T::key_panel_bytes);
      k == 0 ? hopper::set_product<false, true>(dq, a, b) : hopper::add_product<false, true>(dq, a, b);
    }
  }

  // ---- elements ---------------------------------------------------------------------------------------------------------------------

  // s = 2^(s·scale - lse of the column), 0 for queries before the key.
  __device__ __forceinline__ void weigh(float (&s)[8][4], const Step<kDim>& step, int stage, int half) const {
    hopper::settle(s);
    const float scale = s_.scale * kLog2e;
    const float* const lse = shared_.lse[stage] + half * 64 + own_column_;
#pragma unroll
    for (int n = 0; n < 8; ++n) {
      const float2 l = *reinterpret_cast<const float2*>(lse + n * 8);
#pragma unroll
      for (int e = 0; e < 4; ++e) s[n][e] = tile::exp2_fast(s[n][e] * scale - (e % 2 == 0 ? l.x : l.y));
    }
    const int distance = step.distance + half * 64 - group_ * 64;  // of the first query from the first own key
    if (distance >= 64) return;
    const int first_key = warp() * 16 + lane() / 4;
#pragma unroll
    for (int n = 0; n < 8; ++n) {
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int query = distance + n * 8 + own_column_ + e % 2, key = first_key + e / 2 * 8;
        if (query < key) s[n][e] = 0;
      }
    }
  }
  // dp = p · (dp - delta of the column)
  __device__ __forceinline__ void differentiate(const float (&p)[8][4], float (&dp)[8][4], int stage, int half) const {
    hopper::settle(dp);
    const float* const delta = shared_.delta[stage] + half * 64 + own_column_;
#pragma unroll
    for (int n = 0; n < 8; ++n) {
      const float2 d = *reinterpret_cast<const float2*>(delta + n * 8);
#pragma unroll
      for (int e = 0; e < 4; ++e) dp[n][e] = p[n][e] * (dp[n][e] - (e % 2 == 0 ? d.x : d.y));
    }
  }
  static __device__ __forceinline__ void to_fragments(Fragment (&f)[4], const float (&sum)[8][4]) {
#pragma unroll
    for (int k = 0; k < 4; ++k) f[k] = tile::to_fragment(sum[2 * k], sum[2 * k + 1]);
  }
  // dsᵀ, transposed, to shared memory, when nobody reads there any more (`used`: there was a step before).
  __device__ __forceinline__ void write_ds(const Fragment (&ds)[4], int half, bool used) const {
    const bool other_reads = T::halves == 1 || half != group_, own_reads = T::halves == 1 || half == group_;
    if (used) {
      if (other_reads) hopper::sync_threads(kRead + 1 - group_, 2 * kGroupThreads);
      if (own_reads) hopper::sync_threads(kOwn + group_, kGroupThreads);
    }
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      asm volatile("stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [%0], {%1, %2, %3, %4};\n" ::"r"(own_ds_ + half * 2 * kHalfBytes +
                                                                                                      k * 2048),
                   "r"(ds[k].w[0]), "r"(ds[k].w[1]), "r"(ds[k].w[2]), "r"(ds[k].w[3])
                   : "memory");
    }
    hopper::show_writes();
    if (other_reads) hopper::tell_threads(kWritten + 1 - group_, 2 * kGroupThreads);
  }

  // ---- results ----------------------------------------------------------------------------------------------------------------------

  // All products of the step before are done: its stage and ds are free, its dq goes out. `number` is that step's.
  __device__ __forceinline__ void finish_step(float (&dq)[8][4], const Step<kDim>& before, int stage, int number) const {
    hopper::settle(dq);
    hopper::tell_threads(kRead + group_, 2 * kGroupThreads);
    __syncwarp();
    if (lane() == 0) hopper::arrive(shared_.empty[stage == 0 ? kStages - 1 : stage - 1]);
    write_dq(dq, before, number);
  }
  // The part of dq of a step: to the thread that adds it up, or, from the last one, added up to the result.
  __device__ __forceinline__ void write_dq(float (&dq)[8][4], const Step<kDim>& step, int number) const {
    if (step.is_last()) return write_sum(dq, step);
    if (number > 0) hopper::wait(shared_.dq_empty[group_], (number - 1) & 1);
    auto* const part = reinterpret_cast<float4*>(shared_.dq[group_]) + tile::thread_here() % kGroupThreads;
#pragma unroll
    for (int n = 0; n < 8; ++n) part[n * kGroupThreads] = {dq[n][0], dq[n][1], dq[n][2], dq[n][3]};
    hopper::show_writes();
    hopper::arrive(shared_.dq_full[group_]);
  }
  // The steps that end in sums are a block's last, so shared_.dq is free for them once the copies of the others are done.
  __device__ __forceinline__ void write_sum(float (&dq)[8][4], const Step<kDim>& step) const {
    const Owner owner(s_);
    const Place<kDim> at(s_, owner, step);
    const int thread = tile::thread_here() % kGroupThreads, parts = (s_.time - owner.first_key - kKeys) / T::queries * s_.group;
    if (parts > 0) hopper::wait(shared_.dq_empty[group_], (parts - 1) & 1);
    if (owner.first_key > 0) {
      const index_t tile_index = at.dq_tile(s_, group_);
      hopper::wait_for_turn(b_.turn + tile_index, owner.first_key / kKeys);
      const auto* const sum = reinterpret_cast<const float4*>(b_.dq + tile_index * (64 * 64)) + thread;
#pragma unroll
      for (int n = 0; n < 8; ++n) {
        const float4 others = __ldcg(sum + n * kGroupThreads);
        dq[n][0] += others.x;
        dq[n][1] += others.y;
        dq[n][2] += others.z;
        dq[n][3] += others.w;
      }
    }
    multiply(dq, s_.scale);
    const int query = at.query + (T::halves == 2 ? group_ * 64 : 0) + warp() * 16;
    const int column = at.head * kDim + (T::halves == 2 ? 0 : group_ * 64);
    store(reinterpret_cast<bf16*>(shared_.dq[group_]) + warp() * 16 * 64, dq, at.batch, query, column);
  }
  __device__ __forceinline__ void write_keys(float (&dk)[kDim / 8][4], float (&dv)[kDim / 8][4]) const {
    hopper::sync_threads(kOwn + group_, kGroupThreads);  // own rows of V were read by all
    const Owner owner(s_);
    const int row = group_ * 64 + warp() * 16;
    bf16* const own = shared_.v + row * 64;
#pragma unroll
    for (int p = 0; p < T::panels; ++p) {
      const int column = (s_.heads + owner.kv_head) * kDim + p * 64;
      auto& dk_part = *reinterpret_cast<float(*)[8][4]>(&dk[p * 8]);
      auto& dv_part = *reinterpret_cast<float(*)[8][4]>(&dv[p * 8]);
      multiply(dk_part, s_.scale);
      store(own, dk_part, owner.batch, owner.first_key + row, column);
      store(own, dv_part, owner.batch, owner.first_key + row, column + s_.kv_heads * kDim);
    }
  }
  static __device__ __forceinline__ void multiply(float (&sum)[8][4], float factor) {
#pragma unroll
    for (int n = 0; n < 8; ++n) {
#pragma unroll
      for (int e = 0; e < 4; ++e) sum[n][e] *= factor;
    }
  }
  // 16 x 64 of a warp into dqkv, from row and column on, by way of 2 KiB of the warp's own.
  __device__ __forceinline__ void store(bf16* own, const float (&sum)[8][4], int batch, int row, int column) const {
    const index_t width = index_t{s_.heads + 2 * s_.kv_heads} * kDim;
    tile::store_rows<64>(own, sum, b_.dqkv + (index_t{batch} * s_.time + row) * width + column, width, 16, 64);
  }

  Shared<kDim>& shared_;
  const Problem& s_;
  const Buffers& b_;
  int group_, own_column_;  // own_column_: the first of the thread's columns in 8 of an accumulator
  std::uint32_t own_ds_;
};

}  // namespace lmx::cuda::attention

#endif  // LMX_HOPPER
