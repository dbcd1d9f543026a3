// What the threads of a block share in the backward of attention on Hopper (attention_wgmma.cu): which keys it owns, which queries it
// walks, its shared memory; and the threads that load and that add up dq.
#pragma once

#include "tensor_map.h"
#include "wgmma.cuh"

namespace lmx::cuda::attention {

using hopper::Barrier;
using tile::Fragment;

constexpr int kKeys = 128, kStages = 3, kGroupThreads = 128;  // of a warpgroup
constexpr float kLog2e = 1.4426950408889634f;
constexpr int kHalfBytes = 64 * 128;  // 64 rows of a panel

template <int kDim>
struct Tiling {
  static constexpr int queries = kDim == 64 ? 128 : 64, halves = queries / 64, panels = kDim / 64;
  static constexpr int query_panel_bytes = queries * 128, key_panel_bytes = kKeys * 128;
};

struct Problem {
  int time, heads, kv_heads, group;  // heads that share a kv head
  int pairs, pairs_at_once;          // of a sequence and a kv head
  float scale;
};

// In the workspace, but for dqkv. Statistics are (batch, heads, time); `dq` holds a tile of 64 x 64 per query block, head and warpgroup,
// in the order of its threads' registers, and `turn` the number of key blocks that were added to it.
struct Buffers {
  float *lse, *delta, *dq;
  int* turn;
  bf16* dqkv;
};

template <int kDim>
struct alignas(1024) Shared {
  bf16 k[kKeys * kDim], v[kKeys * kDim];  // panels of 128 rows
  bf16 q[kStages][Tiling<kDim>::queries * kDim], dout[kStages][Tiling<kDim>::queries * kDim];
  bf16 ds[kKeys * Tiling<kDim>::queries];  // [half][keys of a warpgroup]: panels [query][key] of 64 rows
  float dq[2][64 * 64];
  float lse[kStages][Tiling<kDim>::queries], delta[kStages][Tiling<kDim>::queries];
  Barrier keys_full, full[kStages], empty[kStages], dq_full[2], dq_empty[2];
};

static_assert(sizeof(Shared<64>) <= 227 * 1024 && sizeof(Shared<128>) <= 227 * 1024, "shared memory of a block");

// Numbers of barriers among the warpgroups, for the one that reads ds; see Consumer.
enum : int { kWritten = 1, kRead = 3, kOwn = 5 };

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
  __device__ __forceinline__ index_t dq_tile(const Problem& s, int group) const {
    return statistic(s) / Tiling<kDim>::queries * 2 + group;
  }
};

#if LMX_HOPPER

// One thread: everything the consumers read.
template <int kDim>
__device__ __forceinline__ void load(Shared<kDim>& shared, const CUtensorMap& qkv, const CUtensorMap& dout, const Problem& s,
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

// One thread for each warpgroup: adds its parts of dq when their turn comes.
template <int kDim>
__device__ __forceinline__ void add_queries(Shared<kDim>& shared, const Problem& s, const Buffers& b, int group) {
  const Owner owner(s);
  const int before = owner.first_key / kKeys;  // key blocks that add first
  int parity = 0;
  for (Step<kDim> step(s, owner.first_key); !step.is_last(); step.advance(s)) {
    hopper::wait(shared.dq_full[group], parity);
    parity ^= 1;
    const index_t tile_index = Place<kDim>(s, owner, step).dq_tile(s, group);
    float* const sum = b.dq + tile_index * (64 * 64);
    if (before == 0) {
      hopper::store_bytes(sum, shared.dq[group], sizeof shared.dq[group]);
    } else {
      hopper::wait_for_turn(b.turn + tile_index, before);
      hopper::add_floats(sum, shared.dq[group], sizeof shared.dq[group]);
    }
    hopper::commit_stores();
    hopper::wait_stores_read();
    hopper::arrive(shared.dq_empty[group]);
    hopper::wait_stores();
    hopper::set_turn(b.turn + tile_index, before + 1);
  }
}

#endif  // LMX_HOPPER

}  // namespace lmx::cuda::attention
