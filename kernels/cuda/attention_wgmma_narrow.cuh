// The backward of attention on Hopper for head_dim 64 (attention_wgmma.cu). Two warpgroups own 64 keys each and make scores, weights, ds,
// dk and dv; a third makes dq of the queries whose ds they pass to it, 64 at a time, through a ring in shared memory, and passes it to the
// threads that add it up. Those that make scores may be four units ahead of that, so they seldom wait for other blocks of threads.
//
// A unit is the 64 queries of half a step: 5.2 MFLOP, 1280 cycles. Bytes of shared memory read and written per unit, in KiB: sᵀ and dpᵀ 64
// (K, V, Q and dO by both), dv and dk 32, dsᵀ 16 + 16, dq 16 + 16, loads 16, statistics 16: 1536 cycles at 128 bytes. Kᵀ, the other operand
// of dq, is in registers. To and from the L2 cache: loads 16 KiB, dq 16 KiB.
//
// Milliseconds on an H200, in brackets with dq made by the two warpgroups that make scores, as for head_dim 128:
//   16 x 4096, 12 heads    2.41 (2.65), 429 TFLOP/s
//   4 x 16384, 12 heads    9.26 (9.86), 445 TFLOP/s
//   32 x 512, 4 heads      0.058 (0.063)
#pragma once

#include "attention_wgmma_elements.cuh"

namespace lmx::cuda::attention {

constexpr int kSlots = 4;  // units whose ds or dq is under way

struct alignas(1024) NarrowShared {
  bf16 k[kKeys * 64], v[kKeys * 64];
  bf16 q[kStages][128 * 64], dout[kStages][128 * 64];  // [query], panels
  union {
    bf16 ds[kSlots][kKeys * 64];  // [key][query of a unit], panels
    float dq[kSlots][kPart];      // of the unit, when its ds has been used
  };
  float lse[kStages][128], delta[kStages][128];
  Barrier keys_full, full[kStages], empty[kStages], ds_full[kSlots], dq_full[kSlots], slot_empty[kSlots];
};

static_assert(sizeof(NarrowShared) <= 227 * 1024, "shared memory of a block");

#if LMX_HOPPER

__device__ __forceinline__ void make_barriers(NarrowShared& shared) {
  constexpr int warps = kGroupThreads / 32;
  hopper::make_barrier(shared.keys_full, 1);
  for (int i = 0; i < kStages; ++i) {
    hopper::make_barrier(shared.full[i], 1);
    hopper::make_barrier(shared.empty[i], 2 * warps);
  }
  for (int i = 0; i < kSlots; ++i) {
    hopper::make_barrier(shared.ds_full[i], 2 * warps);
    hopper::make_barrier(shared.dq_full[i], warps);
    hopper::make_barrier(shared.slot_empty[i], 1);
  }
  hopper::show_barriers();
}

// dk and dv of 64 keys.
class KeyOwner {
 public:
  __device__ __forceinline__ KeyOwner(NarrowShared& shared, const Problem& s, const Buffers& b, int group)
      : shared_(shared), s_(s), b_(b), group_(group), own_column_(first_column()) {
    const int row = group * 64 + warp() * 16 + lane() % 16, unit = (lane() >> 4) ^ (lane() % 8);
    own_ds_ = row * 128 + (unit << 4);
  }

  __device__ __forceinline__ void run() {
    float s[8][4], dp[8][4], dk[8][4] = {}, dv[8][4] = {};
    Step<64> step(s_, Owner(s_).first_key);
    hopper::Turn<kStages> stage;
    hopper::Turn<kSlots> turn;
    hopper::wait(shared_.keys_full, 0);
    hopper::wait(shared_.full[0], 0);
    hopper::settle(dk);  // zero here, not somewhere among products
    hopper::settle(dv);
    hopper::start_products();
    start_scores(s, 0, 0);
    start_dp(dp, 0, 0);
    hopper::wait_products<0>();
    weigh_unit(s, step, 0, 0);
    Fragment ds[4];
    for (;;) {
      // Where a unit begins, no products are under way and s are weights.
      start_dv(dv, s, stage.slot, 0);
      make_ds(ds, s, dp, stage.slot, 0);
      start_unit(s, dp, dk, ds, turn, stage.slot, 0, stage.slot, 1);
      weigh_unit(s, step, stage.slot, 1);
      hopper::wait_products<0>();
      turn.advance();

      start_dv(dv, s, stage.slot, 1);
      make_ds(ds, s, dp, stage.slot, 1);
      step.advance(s_);
      if (!step.exists()) break;
      hopper::Turn<kStages> next = stage;
      next.advance();
      hopper::wait(shared_.full[next.slot], next.parity);
      start_unit(s, dp, dk, ds, turn, stage.slot, 1, next.slot, 0);
      weigh_unit(s, step, next.slot, 0);
      hopper::wait_products<0>();
      turn.advance();
      hopper::arrive_as_warp(shared_.empty[stage.slot]);
      stage = next;
    }
    write_ds(ds, turn);
    start_dk(dk, ds, stage.slot, 1);
    hopper::wait_products<0>();
    hopper::settle(dk);
    hopper::settle(dv);
    write_keys<64>(shared_.v, dk, dv, s_, b_, group_);
  }

 private:
  // Passes ds on, and starts dk of a unit and the next unit's scores and dp; until these scores are there.
  __device__ __forceinline__ void start_unit(float (&s)[8][4], float (&dp)[8][4], float (&dk)[8][4], const Fragment (&ds)[4],
                                             const hopper::Turn<kSlots>& turn, int stage, int half, int next_stage, int next_half) const {
    hopper::start_products();
    start_scores(s, next_stage, next_half);
    write_ds(ds, turn);
    hopper::start_products();
    start_dp(dp, next_stage, next_half);
    start_dk(dk, ds, stage, half);
    hopper::wait_products<2>();
  }
  static __device__ __forceinline__ std::uint32_t queries(const bf16* tiles, int stage, int half) {
    return tile::shared_address(tiles) + stage * kStageBytes + half * kHalfBytes;
  }
  // sum (64 keys, 64 queries) = own rows of K or V · queries of a half, transposed. Each of these is a group.
  __device__ __forceinline__ void start_product(float (&sum)[8][4], const bf16* keys, const bf16* tiles, int stage, int half) const {
    const std::uint32_t left = tile::shared_address(keys) + group_ * kHalfBytes, right = queries(tiles, stage, half);
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      const auto a = hopper::rows(left + k * 32), b = hopper::rows(right + k * 32);
      k == 0 ? hopper::set_product<false, false>(sum, a, b) : hopper::add_product<false, false>(sum, a, b);
    }
    hopper::commit_products();
  }
  __device__ __forceinline__ void start_scores(float (&s)[8][4], int stage, int half) const {
    start_product(s, shared_.k, shared_.q[0], stage, half);
  }
  __device__ __forceinline__ void start_dp(float (&dp)[8][4], int stage, int half) const {
    start_product(dp, shared_.v, shared_.dout[0], stage, half);
  }
  // dv += pᵀ · dO and dk += dsᵀ · Q of a half.
  __device__ __forceinline__ void start_sum(float (&sum)[8][4], const Fragment (&weights)[4], const bf16* tiles, int stage,
                                            int half) const {
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      hopper::add_product<true>(sum, weights[k], hopper::columns(queries(tiles, stage, half) + k * 2048, kStageBytes));
    }
    hopper::commit_products();
  }
  __device__ __forceinline__ void start_dv(float (&dv)[8][4], const float (&weights)[8][4], int stage, int half) const {
    Fragment p[4];
    to_fragments(p, weights);
    hopper::start_products();
    start_sum(dv, p, shared_.dout[0], stage, half);
  }
  __device__ __forceinline__ void start_dk(float (&dk)[8][4], const Fragment (&ds)[4], int stage, int half) const {
    hopper::start_products();
    start_sum(dk, ds, shared_.q[0], stage, half);
  }
  __device__ __forceinline__ void make_ds(Fragment (&ds)[4], const float (&p)[8][4], float (&dp)[8][4], int stage, int half) const {
    differentiate(p, dp, shared_.delta[stage] + half * 64 + own_column_);
    to_fragments(ds, dp);
  }
  __device__ __forceinline__ void weigh_unit(float (&s)[8][4], const Step<64>& step, int stage, int half) const {
    weigh(s, shared_.lse[stage] + half * 64 + own_column_, s_.scale * kLog2e, step.distance + half * 64 - group_ * 64);
  }
  __device__ __forceinline__ void write_ds(const Fragment (&ds)[4], const hopper::Turn<kSlots>& turn) const {
    hopper::wait(shared_.slot_empty[turn.slot], turn.parity ^ 1);
    const std::uint32_t own = tile::shared_address(shared_.ds[turn.slot]) + own_ds_;
#pragma unroll
    for (int k = 0; k < 4; ++k) hopper::store_fragment(own ^ (k * 32), ds[k]);
    hopper::show_writes();
    hopper::arrive_as_warp(shared_.ds_full[turn.slot]);
  }

  static constexpr int kStageBytes = 128 * 128;
  NarrowShared& shared_;
  const Problem& s_;
  const Buffers& b_;
  int group_, own_column_;
  std::uint32_t own_ds_;
};

// dq, transposed: (64 channels, 64 queries) = Kᵀ · dsᵀ, with Kᵀ in registers.
class QueryOwner {
 public:
  __device__ __forceinline__ QueryOwner(NarrowShared& shared, const Problem& s, const Buffers& b) : shared_(shared), s_(s), b_(b) {}

  __device__ __forceinline__ void run() const {
    const Owner owner(s_);
    Fragment keys[kKeys / 16];
    hopper::wait(shared_.keys_full, 0);
    const auto column = tile::Operands<64>().a_trans(shared_.k, warp() * 16);
#pragma unroll
    for (int k = 0; k < kKeys / 16; ++k) keys[k] = column.at(k * 16);
    hopper::Turn<kSlots> turn;
    for (Step<64> step(s_, owner.first_key); step.exists(); step.advance(s_)) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        float dq[8][4];
        hopper::wait(shared_.ds_full[turn.slot], turn.parity);
        make_dq(dq, keys, turn.slot);
        wait_for_all();  // their products have read ds: the slot can take what comes out
        step.is_last() ? write(dq, owner, step, half, turn.slot) : pass(dq, turn.slot);
        turn.advance();
      }
    }
  }

 private:
  static __device__ __forceinline__ void wait_for_all() { hopper::sync_threads(kOwn + 2, kGroupThreads); }

  __device__ __forceinline__ void make_dq(float (&dq)[8][4], const Fragment (&keys)[kKeys / 16], int slot) const {
    const std::uint32_t ds = tile::shared_address(shared_.ds[slot]);
    hopper::start_products();
#pragma unroll
    for (int k = 0; k < kKeys / 16; ++k) {
      const auto b = hopper::columns(ds + k * 2048, sizeof shared_.ds[0]);
      k == 0 ? hopper::set_product<true>(dq, keys[k], b) : hopper::add_product<true>(dq, keys[k], b);
    }
    hopper::commit_products();
    hopper::wait_products<0>();
    hopper::settle(dq);
  }
  __device__ __forceinline__ void pass(const float (&dq)[8][4], int slot) const {
    pass_part(shared_.dq[slot], dq);
    hopper::arrive_as_warp(shared_.dq_full[slot]);
  }
  // This block of threads is the last to add: adds in registers, and transposes by way of the slot.
  __device__ __forceinline__ void write(float (&dq)[8][4], const Owner& owner, const Step<64>& step, int half, int slot) const {
    const Place<64> at(s_, owner, step);
    take_part(dq, b_, at.part(s_, half), owner.first_key);
    multiply(dq, s_.scale);
    Fragment values[4];
    to_fragments(values, dq);
    bf16* const rows = shared_.ds[slot];  // [query][channel], a panel
    const std::uint32_t own = tile::shared_address(rows) + transposed_place();
#pragma unroll
    for (int k = 0; k < 4; ++k) hopper::store_fragment<true>(own + k * 2048, values[k]);
    wait_for_all();
    const index_t width = index_t{s_.heads + 2 * s_.kv_heads} * 64;
    bf16* const target = b_.dqkv + (index_t{at.batch} * s_.time + at.query + half * 64) * width + at.head * 64;
    const int thread = tile::thread_here() % kGroupThreads, unit = thread % 8;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int row = thread / 8 + i * 16;
      *reinterpret_cast<uint4*>(target + row * width + unit * 8) = *reinterpret_cast<const uint4*>(rows + tile::place<64>(row, unit));
    }
    wait_for_all();
    if (thread == 0) hopper::arrive(shared_.slot_empty[slot]);
  }

  NarrowShared& shared_;
  const Problem& s_;
  const Buffers& b_;
};

#endif  // LMX_HOPPER

}  // namespace lmx::cuda::attention
