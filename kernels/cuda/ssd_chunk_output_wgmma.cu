// y from xbc and the states (ssd_chunk_output.cuh), by wgmma: one block of two warpgroups per (sequence, chunk, group, split of the
// group's heads).
//
// The warps make C·B once, keep their rows of C in registers and walk the heads; the copy engine brings x, h and the decays (two stages)
// and takes y away. The last warp to be done with a stage has it filled again, so that none waits for another but at the products. A warp
// owns 16 steps i; with r = s at the end of the step before them,
//   y_i = e^{s_i - r} (e^r h C_i + Σ_{j before} (C_i·B_j) e^{r - s_j} Δ_j x_j) + own steps + D x_i
// so that a score costs one multiplication of bf16 pairs. The first two terms are wgmma's: A out of registers, zero where a warp of the
// four has no earlier steps, h and x as they lie. The own steps are each warp's alone: mma.sync. D rides on the diagonal.
//
// 65536 tokens, 24 heads x 64, state 128: 42 GFLOP; x 201 + states 201 + y 201 + B, C 34 MB = 0.64 GB, 152 us at 4.2 TB/s. A chunk and
// head: 830 clocks of products, 90 KB of operands from shared memory (700 clocks), 1630 clocks at that bandwidth. Measured on an
// H200: 185 us (8 groups: 214 of 211 at the speed of a copy).
#include "ssd_chunk_output_wgmma.cuh"

#include "check.h"
#include "hopper_device.h"
#include "launch.h"
#include "ssd_scores.cuh"
#include "tensor_map.h"
#include "wgmma.cuh"

namespace lmx::cuda {
namespace {

using hopper::Barrier;
using hopper::Turn;
using tile::Fragment;

constexpr int kWidth = 64;               // channels of a virtual head
constexpr int kChunk = static_cast<int>(kSsdChunk);
constexpr int kThreads = kScoreThreads<1>;
constexpr int kStages = 2, kBlocks = 2;  // heads; of a multiprocessor

template <int kN>
struct alignas(1024) Shared {
  struct Stage {
    bf16 x[kChunk * kWidth], h[kN / 64][kWidth * 64];
    float decay[kChunk], decay_weight[kChunk];
  };
  Stage stages[kStages];
  bf16 out[kStepBlocks][16 * kWidth];
  Scores scores;
  ColumnDecays decays[kStepBlocks];
  Barrier full[kStages];
  unsigned done[kStages];  // warps
};

struct Maps {
  CUtensorMap x, states, y;
};

// The heads and steps of a block. grid (groups * splits, chunks, batch)
struct Place {
  int group, chunk, b, first, last;  // virtual heads

  __device__ __forceinline__ Place(const SsdGeometry& g, int splits)
      : group(blockIdx.x / splits), chunk(blockIdx.y), b(blockIdx.z) {
    const int share = (g.group_virtual_heads + splits - 1) / splits;
    first = group * g.group_virtual_heads + blockIdx.x % splits * share;
    last = min(first + share, (group + 1) * g.group_virtual_heads);
  }
};

#if LMX_HOPPER

// One thread: fills a stage with what a head needs.
template <int kN>
__device__ __forceinline__ void load(Shared<kN>& shared, int slot, const Maps& maps, const SsdChunkOutput& p, const Place& place,
                                     int vh) {
  if (vh >= place.last) return;
  const SsdGeometry& g = p.g;
  auto& stage = shared.stages[slot];
  Barrier& full = shared.full[slot];
  const int state_row = ((place.b * g.chunks + place.chunk) * g.virtual_heads + vh) * kWidth;
  const index_t steps = g.steps(place.b, place.chunk, g.heads) + g.head_of(vh) * g.steps_per_head();
  hopper::arrive_expecting(full, sizeof stage);
  hopper::copy_box(stage.x, maps.x, vh * kWidth, place.chunk * kChunk, place.b, full);
#pragma unroll
  for (int panel = 0; panel < kN / 64; ++panel) hopper::copy_box(stage.h[panel], maps.states, panel * 64, state_row, full);
  hopper::copy_bytes(stage.decay, p.steps.decay + steps, sizeof stage.decay, full);
  hopper::copy_bytes(stage.decay_weight, p.steps.decay_weight + steps, sizeof stage.decay_weight, full);
}

// All threads of a warp, done with a stage: the last of the block's warps fills it again.
template <int kN>
__device__ __forceinline__ void release(Shared<kN>& shared, int slot, const Maps& maps, const SsdChunkOutput& p, const Place& place,
                                        int next) {
  __syncwarp();
  if (tile::thread_here() % 32 != 0) return;
  if (hopper::count_round(shared.done[slot], kThreads / 32) == kThreads / 32 - 1) load(shared, slot, maps, p, place, next);
}

// A warp of the two warpgroups: of the one that owns the earlier steps of the chunk, or (kLate) the later ones.
template <int kN, bool kLate>
class Consumer {
 public:
  __device__ __forceinline__ Consumer(Shared<kN>& shared, const Maps& maps, const SsdChunkOutput& p, const Place& place, int own)
      : shared_(shared), maps_(maps), p_(p), place_(place), own_(own) {
    const int row = lane() % 16;
    own_out_ = tile::shared_address(shared.out[own]) + row * 128 + ((lane() / 16 ^ row % 8) << 4);
  }

  // `c`: the warp's rows of C.
  __device__ __forceinline__ void run(const Fragment (&c)[kN / 16]) {
    Turn<kStages> turn;
    for (int vh = place_.first; vh < place_.last; ++vh) {
      const auto& stage = shared_.stages[turn.slot];
      hopper::wait(shared_.full[turn.slot], turn.parity);
      float sum[kWidth / 8][4];
      start_carried(sum, c, stage);
      const float reference = own_ == 0 ? 0.0f : stage.decay[own_ * 16 - 1];
      shared_.decays[own_].template fill<false>(stage.decay_weight, reference);
      Fragment early[kLate ? 4 : 3];
      weigh(early, 0);
      hopper::wait_products<0>();
      hopper::settle(sum);
      const float carried = tile::exp2_fast(reference);
      multiply(sum, {carried, carried});
      start_earlier(sum, early, stage, 0);
      Fragment late[kLate ? 3 : 1];
      if constexpr (kLate) {
        weigh(late, 4);
        start_earlier(sum, late, stage, 4);
      }
      const RowPair decay = row_values(stage.decay + own_ * 16);
      const Fragment own = own_steps(shared_.scores.load(own_, own_), decay, column_values(stage.decay_weight + own_ * 16),
                                     p_.d[p_.g.head_of(vh)]);
      hopper::wait_products<0>();
      hopper::settle(sum);
      multiply(sum, {tile::exp2_fast(decay.top - reference), tile::exp2_fast(decay.bottom - reference)});
      const tile::Operands<kWidth> on_x;
#pragma unroll
      for (int q = 0; q < kWidth / 8; q += 2) {
        tile::mma(sum[q], sum[q + 1], own, on_x.b_trans(stage.x, q * 8).at(own_ * 16));
      }
      release(shared_, turn.slot, maps_, p_, place_, vh + kStages);
      write(sum, vh);
      turn.advance();
    }
    if (lane() == 0) hopper::wait_stores();
  }

 private:
  using Stage = typename Shared<kN>::Stage;
  static __device__ __forceinline__ int lane() { return tile::thread_here() % 32; }

  // sum (64 steps, 64 channels) = C · h
  __device__ __forceinline__ void start_carried(float (&sum)[kWidth / 8][4], const Fragment (&c)[kN / 16], const Stage& stage) const {
    const auto h = hopper::rows(tile::shared_address(stage.h));
    hopper::start_products();
#pragma unroll
    for (int k = 0; k < kN / 16; ++k) {
      const auto rows = hopper::moved(h, k / 4 * kWidth * 128 + k % 4 * 32);
      k == 0 ? hopper::set_product<false>(sum, c[k], rows) : hopper::add_product<false>(sum, c[k], rows);
    }
    hopper::commit_products();
  }
  // Scores with blocks of steps from `first` on, times decays; 0 where those are not earlier ones.
  template <int kCount>
  __device__ __forceinline__ void weigh(Fragment (&f)[kCount], int first) const {
#pragma unroll
    for (int k = 0; k < kCount; ++k) {
      const int block = first + k;
      f[k] = {};
      if (block < own_) f[k] = shared_.decays[own_].apply(shared_.scores.load(block, own_), block);
    }
    hopper::settle(f);
  }
  // sum += f · x of those blocks.
  template <int kCount>
  __device__ __forceinline__ void start_earlier(float (&sum)[kWidth / 8][4], const Fragment (&f)[kCount], const Stage& stage,
                                                int first) const {
    const auto x = hopper::columns(tile::shared_address(stage.x), kChunk * 128);
    hopper::start_products();
#pragma unroll
    for (int k = 0; k < kCount; ++k) hopper::add_product<true>(sum, f[k], hopper::moved(x, (first + k) * 2048));
    hopper::commit_products();
  }
  static __device__ __forceinline__ void multiply(float (&sum)[kWidth / 8][4], RowPair factor) {
#pragma unroll
    for (int q = 0; q < kWidth / 8; ++q) {
#pragma unroll
      for (int e = 0; e < 4; ++e) sum[q][e] *= factor.of(e / 2);
    }
  }
  // To y, when the copy of the head before has left shared memory.
  __device__ __forceinline__ void write(const float (&sum)[kWidth / 8][4], int vh) const {
    if (lane() == 0) hopper::wait_stores_read();
    __syncwarp();
#pragma unroll
    for (int q = 0; q < kWidth / 8; q += 2) hopper::store_fragment(own_out_ ^ (q << 4), tile::to_fragment(sum[q], sum[q + 1]));
    hopper::show_writes();
    __syncwarp();
    if (lane() == 0) {
      hopper::store_box(maps_.y, shared_.out[own_], vh * kWidth, place_.chunk * kChunk + own_ * 16, place_.b);
      hopper::commit_stores();
    }
    __syncwarp();
  }

  Shared<kN>& shared_;
  const Maps& maps_;
  const SsdChunkOutput& p_;
  const Place& place_;
  int own_;                // the warp's block of steps
  std::uint32_t own_out_;  // where this thread's part of y goes
};

#endif  // LMX_HOPPER

template <int kN>
__global__ void __launch_bounds__(kThreads, kBlocks)
    chunk_output_engine_kernel(const __grid_constant__ Maps maps, const __grid_constant__ SsdChunkOutput p, int splits) {
#if LMX_HOPPER
  extern __shared__ __align__(1024) unsigned char memory[];
  auto& shared = *reinterpret_cast<Shared<kN>*>(memory);
  const SsdGeometry& g = p.g;
  const Place place(g, splits);
  if (threadIdx.x == 0) {
    for (int i = 0; i < kStages; ++i) {
      hopper::make_barrier(shared.full[i], 1);
      shared.done[i] = 0;
    }
    hopper::show_barriers();
    load(shared, 0, maps, p, place, place.first);
  }
  // The second stage and y's place hold tiles of C and B first.
  Fragment c[kN / 16];
  const int mine = step_owner<1>().block;
  const bf16* const b = p.xbc + g.row(place.b, place.chunk) * g.channels + g.inner + place.group * g.state;
  make_scores<1, 64, kN / 64, true>(shared.scores, c, shared.stages[1].x, shared.out[0], b + g.groups * g.state, b, g.channels,
                                    g.length(place.chunk), g.state, {mine, 0});
  hopper::settle(c);
  hopper::show_writes();
  release(shared, 1, maps, p, place, place.first + 1);
  if (mine < kStepBlocks / 2) {
    Consumer<kN, false>(shared, maps, p, place, mine).run(c);
  } else {
    Consumer<kN, true>(shared, maps, p, place, mine).run(c);
  }
#endif
}

template <int kN>
void launch(const SsdChunkOutput& p, cudaStream_t stream) {
  const SsdGeometry& g = p.g;
  constexpr std::size_t bytes = sizeof(Shared<kN>);
  static_assert(kBlocks * (bytes + 1024) <= 228 * 1024, "shared memory of a multiprocessor");
  const auto kernel = chunk_output_engine_kernel<kN>;
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)),
        "ssd_chunk_output_wgmma: cudaFuncSetAttribute");
  const Maps maps{tensor_map(p.xbc, g.batch, g.time, g.inner, g.channels, kChunk), tensor_map(p.states, g.state_rows(), g.state, kWidth),
                  tensor_map(p.y, g.batch, g.time, g.inner, g.inner, 16)};
  const int splits = best_split(index_t{g.batch} * g.chunks * g.groups, g.group_virtual_heads, kBlocks * kMultiprocessors);
  kernel<<<dim3(g.groups * splits, g.chunks, g.batch), kThreads, bytes, stream>>>(maps, p, splits);
  check_launch("ssd_chunk_output_wgmma");
}

}  // namespace

bool ssd_chunk_output_wgmma_takes(const SsdGeometry& g) { return g.width == kWidth && g.state > 32 && g.state <= 128; }

bool ssd_chunk_output_wgmma_runs() { return runs_on_hopper(chunk_output_engine_kernel<64>); }

void ssd_chunk_output_wgmma(const SsdChunkOutput& p, cudaStream_t stream) {
  if (p.g.state <= 64) return launch<64>(p, stream);
  launch<128>(p, stream);
}

}  // namespace lmx::cuda
