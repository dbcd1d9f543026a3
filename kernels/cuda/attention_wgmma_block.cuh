// What both backwards of attention on Hopper share (attention_wgmma.cu): which keys a block of threads owns, which queries it walks, and
// the threads that load and that add up dq.
#pragma once

#include "tensor_map.h"
#include "wgmma.cuh"

namespace lmx::cuda::attention {

using hopper::Barrier;
using tile::Fragment;

constexpr int kKeys = 128, kStages = 3, kGroupThreads = 128;  // of a warpgroup
constexpr float kLog2e = 1.4426950408889634f;
constexpr int kHalfBytes = 64 * 128;  // 64 rows of a panel
constexpr int kPart = 64 * 64;        // numbers of dq that are added up at once

template <int kDim>
struct Tiling {
  static constexpr int queries = kDim == 64 ? 128 : 64, panels = kDim / 64;
  static constexpr int query_panel_bytes = queries * 128, key_panel_bytes = kKeys * 128;
};

struct Problem {
  int time, heads, kv_heads, group;  // heads that share a kv head
  int pairs, pairs_at_once;          // of a sequence and a kv head
  float scale;
};

// In the workspace, but for dqkv. Statistics are (batch, heads, time); `dq` holds two parts of 64 x 64 per query block and head, in the
// order of a warpgroup's registers, and `turn` the number of key blocks that were added to each.
struct Buffers {
  float *lse, *delta, *dq;
  int* turn;
  bf16* dqkv;
};

// Numbers of barriers among the threads of a warpgroup that multiplies: this and the next.
constexpr int kOwn = 1;

// The keys that a block of threads owns.
struct Owner {
  int batch, kv_head, first_key;

  __device__ __forceinline__ explicit Owner(const Problem& s) {
    unsigned block;
    asm volatile("mov.u32 %0, %ctaid.x;\n" : "=r"(block));  // made again where it stands, not kept
    const unsigned whole = s.pairs_at_once * (s.time / kKeys), first = block / whole * s.pairs_at_once;
    const unsigned together = min(s.pairs_at_once, s.pairs - first), index = block % whole, pair = first + index % together;
    first_key = index / together * kKeys;
    batch = pair / s.kv_heads;
    kv_head = pair % s.kv_heads;
  }
};

// The queries of a step: those of one block and head. The heads of the group for the last block, then for the one before, and so on.
template <int kDim>
struct Step {
  int distance;  // of the block's first query from the first key
  int head = 0;  // in its group

  __device__ __forceinline__ Step(const Problem& s, int first_key) : distance(s.time - Tiling<kDim>::queries - first_key) {}
  __device__ __forceinline__ void advance(const Problem& s) {
    if (++head == s.group) {
      head = 0;
      distance -= Tiling<kDim>::queries;
    }
  }
  __device__ __forceinline__ bool exists() const { return distance >= 0; }
  // Nobody adds to this dq after this block of threads.
  __device__ __forceinline__ bool is_last() const { return distance < kKeys; }
};

// Where a step lies, in rows and elements.
template <int kDim>
struct Place {
  int batch, head, query;

  __device__ __forceinline__ Place(const Problem& s, const Owner& owner, const Step<kDim>& step)
      : batch(owner.batch), head(owner.kv_head * s.group + step.head), query(owner.first_key + step.distance) {}
  __device__ __forceinline__ index_t statistic(const Problem& s) const { return (index_t{batch} * s.heads + head) * s.time + query; }
  // Of the step's two.
  __device__ __forceinline__ index_t part(const Problem& s, int index) const { return statistic(s) / Tiling<kDim>::queries * 2 + index; }
};

#if LMX_HOPPER

// One thread: everything the consumers read.
template <int kDim, class Shared>
__device__ __forceinline__ void load(Shared& shared, const CUtensorMap& qkv, const CUtensorMap& dout, const Problem& s,
                                     const Buffers& b) {
  using T = Tiling<kDim>;
  hopper::prefetch(qkv);
  hopper::prefetch(dout);
  const Owner owner(s);
  const int sequence = owner.batch * s.time;
  hopper::arrive_expecting(shared.keys_full, 2 * kKeys * kDim * 2);
#pragma unroll
  for (int p = 0; p < T::panels; ++p) {
#pragma unroll
    for (int part = 0; part < kKeys / T::queries; ++part) {
      const int row = sequence + owner.first_key + part * T::queries, place = p * kKeys * 64 + part * T::queries * 64;
      const int column = (s.heads + owner.kv_head) * kDim + p * 64;
      hopper::copy_box(shared.k + place, qkv, column, row, shared.keys_full);
      hopper::copy_box(shared.v + place, qkv, column + s.kv_heads * kDim, row, shared.keys_full);
    }
  }
  int stage = 0, parity = 1;
  for (Step<kDim> step(s, owner.first_key); step.exists(); step.advance(s)) {
    hopper::wait(shared.empty[stage], parity);  // at once in the first round: the phase before the first has parity 1
    hopper::arrive_expecting(shared.full[stage], 2 * T::queries * kDim * 2 + 2 * T::queries * 4);
    const Place<kDim> at(s, owner, step);
#pragma unroll
    for (int p = 0; p < T::panels; ++p) {
      const int column = at.head * kDim + p * 64;
      hopper::copy_box(shared.q[stage] + p * T::queries * 64, qkv, column, sequence + at.query, shared.full[stage]);
      hopper::copy_box(shared.dout[stage] + p * T::queries * 64, dout, column, sequence + at.query, shared.full[stage]);
    }
    hopper::copy_bytes(shared.lse[stage], b.lse + at.statistic(s), T::queries * 4, shared.full[stage]);
    hopper::copy_bytes(shared.delta[stage], b.delta + at.statistic(s), T::queries * 4, shared.full[stage]);
    if (++stage == kStages) {
      stage = 0;
      parity ^= 1;
    }
  }
}

// One thread of two: adds its part, `index`, of every dq when its turn comes. Parts come through slots, `full` and then `empty`, in the
// order of steps and indices.
template <int kDim, int kSlots>
__device__ __forceinline__ void add_parts(const float (&slots)[kSlots][kPart], Barrier (&full)[kSlots], Barrier (&empty)[kSlots],
                                          const Problem& s, const Buffers& b, int index) {
  const Owner owner(s);
  const int before = owner.first_key / kKeys;  // key blocks that add first
  hopper::Turn<kSlots> turn;
  if (index == 1) turn.advance();
  for (Step<kDim> step(s, owner.first_key); !step.is_last(); step.advance(s)) {
    hopper::wait(full[turn.slot], turn.parity);
    const index_t part = Place<kDim>(s, owner, step).part(s, index);
    float* const sum = b.dq + part * kPart;
    if (before == 0) {
      hopper::store_bytes(sum, slots[turn.slot], kPart * 4);
    } else {
      hopper::wait_for_turn(b.turn + part, before);
      hopper::add_floats(sum, slots[turn.slot], kPart * 4);
    }
    hopper::commit_stores();
    hopper::wait_stores_read();
    hopper::arrive(empty[turn.slot]);
    hopper::wait_stores();
    hopper::set_turn(b.turn + part, before + 1);
    turn.advance();
    turn.advance();
  }
}

#endif  // LMX_HOPPER

}  // namespace lmx::cuda::attention
