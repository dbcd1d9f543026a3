// The backward of attention on Hopper for head_dim 128 (attention_wgmma.cu). Two warpgroups own 64 keys each and make everything of these;
// of dq, of 64 queries, either makes half the channels, from ds that both pass through shared memory.
//
// Per 64 queries: 10.5 MFLOP, 2560 cycles. Bytes of shared memory read and written, in KiB: sᵀ and dpᵀ 128 (K, V, Q and dO by both), dv
// and dk 64, dq 64 (ds and half of K by each), dsᵀ written 16, dq 32 + 32, loads 32, statistics 16: 3072 cycles at 128 bytes.
// 8 x 4096, 16 heads: 3.00 ms on an H200, 458 TFLOP/s; four heads to a kv head: 2.64 ms, 520 TFLOP/s.
#pragma once

#include "attention_wgmma_elements.cuh"

namespace lmx::cuda::attention {

struct alignas(1024) WideShared {
  bf16 k[kKeys * 128], v[kKeys * 128];  // panels of 128 rows
  bf16 q[kStages][64 * 128], dout[kStages][64 * 128];
  bf16 ds[kKeys * 64];  // [keys of a warpgroup]: panels [query][key] of 64 rows
  float dq[2][kPart];   // [warpgroup]
  float lse[kStages][64], delta[kStages][64];
  Barrier keys_full, full[kStages], empty[kStages], dq_full[2], dq_empty[2];
};

static_assert(sizeof(WideShared) <= 227 * 1024, "shared memory of a block");

// Numbers of barriers between the warpgroups, one for each that reads ds.
enum : int { kWritten = kOwn + 2, kRead = kWritten + 2 };

#if LMX_HOPPER

__device__ __forceinline__ void make_barriers(WideShared& shared) {
  hopper::make_barrier(shared.keys_full, 1);
  for (int i = 0; i < kStages; ++i) {
    hopper::make_barrier(shared.full[i], 1);
    hopper::make_barrier(shared.empty[i], 2 * kGroupThreads / 32);
  }
  for (int i = 0; i < 2; ++i) {
    hopper::make_barrier(shared.dq_full[i], kGroupThreads);
    hopper::make_barrier(shared.dq_empty[i], 1);
  }
  hopper::show_barriers();
}

// One warpgroup: dk and dv of its 64 keys, its half of every dq.
class WideConsumer {
  using T = Tiling<128>;
  static constexpr int kTileBytes = 64 * 128 * 2;

 public:
  __device__ __forceinline__ WideConsumer(WideShared& shared, const Problem& s, const Buffers& b, int group)
      : shared_(shared), s_(s), b_(b), group_(group), own_column_(first_column()) {
    own_ds_ = tile::shared_address(shared.ds) + group * kHalfBytes + transposed_place();
  }

  __device__ __forceinline__ void run() {
    float s[8][4], dp[8][4], dq[8][4], dk[16][4] = {}, dv[16][4] = {};
    Step<128> step(s_, Owner(s_).first_key), before = step;
    int stage = 0, parity = 0, done = 0;  // steps
    hopper::wait(shared_.keys_full, 0);
    hopper::wait(shared_.full[0], 0);
    hopper::settle(dk);  // zero here, not somewhere among products
    hopper::settle(dv);
    start_scores(s, 0);
    hopper::wait_products<0>();
    do {
      // No products are under way here. What lies between the start and the end of some needs registers of its own.
      const int next = stage + 1 == kStages ? 0 : stage + 1;
      Fragment p[4], ds[4];
      if (done > 0) finish_step(dq, before, stage, done - 1);
      hopper::start_products();
      start_product(dp, shared_.v, shared_.dout[0], stage);
      weigh(s, shared_.lse[stage] + own_column_, s_.scale * kLog2e, step.distance - group_ * 64);
      hopper::wait_products<0>();
      to_fragments(p, s);
      differentiate(s, dp, shared_.delta[stage] + own_column_);
      to_fragments(ds, dp);
      start_sum(dv, p, shared_.dout[0], stage);
      start_sum(dk, ds, shared_.q[0], stage);
      hopper::commit_products();
      write_ds(ds, done > 0);
      hopper::wait_products<0>();
      before = step;
      step.advance(s_);
      if (step.exists()) {
        hopper::wait(shared_.full[next], next == 0 ? parity ^ 1 : parity);
        start_scores(s, next);
        start_dq(dq);
        hopper::wait_products<0>();
      } else {
        hopper::start_products();
        start_dq(dq);
        hopper::wait_products<0>();
      }
      stage = next;
      if (next == 0) parity ^= 1;
      ++done;
    } while (step.exists());
    hopper::settle(dq);
    hopper::settle(dk);
    hopper::settle(dv);
    write_dq(dq, before, done - 1);
    write_keys<128>(shared_.v, dk, dv, s_, b_, group_);
  }

 private:
  // sum (64 keys, 64 queries) = own rows of K or V · queries of a stage, transposed.
  __device__ __forceinline__ void start_product(float (&sum)[8][4], const bf16* keys, const bf16* tiles, int stage) const {
    const std::uint32_t left = tile::shared_address(keys) + group_ * kHalfBytes;
    const std::uint32_t right = tile::shared_address(tiles) + stage * kTileBytes;
#pragma unroll
    for (int k = 0; k < 128 / 16; ++k) {
      const auto a = hopper::rows(left + k / 4 * T::key_panel_bytes + k % 4 * 32);
      const auto b = hopper::rows(right + k / 4 * T::query_panel_bytes + k % 4 * 32);
      k == 0 ? hopper::set_product<false, false>(sum, a, b) : hopper::add_product<false, false>(sum, a, b);
    }
    hopper::commit_products();
  }
  __device__ __forceinline__ void start_scores(float (&s)[8][4], int stage) const {
    hopper::start_products();
    start_product(s, shared_.k, shared_.q[0], stage);
  }
  // dv += pᵀ · dO, dk += dsᵀ · Q
  __device__ __forceinline__ void start_sum(float (&sum)[16][4], const Fragment (&weights)[4], const bf16* tiles, int stage) const {
    hopper::start_products();
    const std::uint32_t right = tile::shared_address(tiles) + stage * kTileBytes;
#pragma unroll
    for (int k = 0; k < 4; ++k) hopper::add_product<true>(sum, weights[k], hopper::columns(right + k * 2048, T::query_panel_bytes));
  }
  // dq (64 queries, 64 own channels) = ds · K. Waits for the other's part of ds.
  __device__ __forceinline__ void start_dq(float (&dq)[8][4]) const {
    hopper::sync_threads(kWritten + group_, 2 * kGroupThreads);
    const std::uint32_t left = tile::shared_address(shared_.ds);
    const std::uint32_t right = tile::shared_address(shared_.k) + group_ * T::key_panel_bytes;
#pragma unroll
    for (int k = 0; k < kKeys / 16; ++k) {
      const auto a = hopper::rows(left + k / 4 * kHalfBytes + k % 4 * 32);
      const auto b = hopper::columns(right + k * 2048, T::key_panel_bytes);
      k == 0 ? hopper::set_product<false, true>(dq, a, b) : hopper::add_product<false, true>(dq, a, b);
    }
    hopper::commit_products();
  }
  // dsᵀ, transposed, to shared memory, when nobody reads there any more (`used`: there was a step before).
  __device__ __forceinline__ void write_ds(const Fragment (&ds)[4], bool used) const {
    if (used) {
      hopper::sync_threads(kRead + 1 - group_, 2 * kGroupThreads);
      hopper::sync_threads(kOwn + group_, kGroupThreads);
    }
#pragma unroll
    for (int k = 0; k < 4; ++k) hopper::store_fragment<true>(own_ds_ + k * 2048, ds[k]);
    hopper::show_writes();
    hopper::tell_threads(kWritten + 1 - group_, 2 * kGroupThreads);
  }
  // All products of the step before are done: its stage and ds are free, its dq goes out. `number` is that step's.
  __device__ __forceinline__ void finish_step(float (&dq)[8][4], const Step<128>& before, int stage, int number) const {
    hopper::settle(dq);
    hopper::tell_threads(kRead + group_, 2 * kGroupThreads);
    hopper::arrive_as_warp(shared_.empty[stage == 0 ? kStages - 1 : stage - 1]);
    write_dq(dq, before, number);
  }
  // The part of dq of a step: to the thread that adds it up, or, from the last one, added up to the result.
  __device__ __forceinline__ void write_dq(float (&dq)[8][4], const Step<128>& step, int number) const {
    if (step.is_last()) return write_sum(dq, step);
    if (number > 0) hopper::wait(shared_.dq_empty[group_], (number - 1) & 1);
    pass_part(shared_.dq[group_], dq);
    hopper::arrive(shared_.dq_full[group_]);
  }
  // The steps that end in sums are a block's last, so shared_.dq is free for them once the copies of the others are done.
  __device__ __forceinline__ void write_sum(float (&dq)[8][4], const Step<128>& step) const {
    const Owner owner(s_);
    const Place<128> at(s_, owner, step);
    const int parts = (s_.time - owner.first_key - kKeys) / T::queries * s_.group;
    if (parts > 0) hopper::wait(shared_.dq_empty[group_], (parts - 1) & 1);
    take_part(dq, b_, at.part(s_, group_), owner.first_key);
    multiply(dq, s_.scale);
    bf16* const own = reinterpret_cast<bf16*>(shared_.dq[group_]) + warp() * 16 * 64;
    store<128>(own, dq, s_, b_, at.batch, at.query + warp() * 16, at.head * 128 + group_ * 64);
  }

  WideShared& shared_;
  const Problem& s_;
  const Buffers& b_;
  int group_, own_column_;
  std::uint32_t own_ds_;
};

#endif  // LMX_HOPPER

}  // namespace lmx::cuda::attention
