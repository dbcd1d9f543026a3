// H <- e^S H + (w·u)ᵀ v over the chunks of a sequence, writing H before each chunk (ssd_state_pass.cuh), by wgmma.
//
// A block of threads walks one sequence after the other with kHeads heads of a group, which share v, and kN columns of their states. One
// warp loads (copy engine, a ring of halves of chunks), up to three turn times into weights, and a warpgroup for each head keeps 64 x kN of
// its state in fp32 accumulators. u is turned by ldmatrix and multiplied by its weights (two bf16 each, so that only the product is
// rounded) in registers, v goes into the products as it lies; the copy engine writes the states out. While products are under way, the
// next half of u is made ready.
//
// 65536 tokens, 24 heads x 64, state 128 (batch 16): 25.8 GFLOP, 33 us; u 201 MB + v 17 MB + states 201 MB = 0.42 GB, 100 us at 4.2 TB/s;
// three heads at a time, v is 134 MB from L2. A chunk and head is 512 clocks of products and 350 instructions of each of 4 warps. Measured on an
// H200: 131 us; batch 4 with four times the steps, 96 walks, the same. (One head a block, three blocks a multiprocessor: 139 and 360 us.)
#include "ssd_state_pass_wgmma.cuh"

#include "check.h"
#include "hopper_device.h"
#include "launch.h"
#include "ssd_chunk_weights.cuh"
#include "tensor_map.h"
#include "wgmma.cuh"

namespace lmx::cuda {
namespace {

using hopper::Barrier;
using hopper::Turn;
using tile::Fragment;

constexpr int kWidth = 64;                // channels of a virtual head
constexpr int kRows = 64;                 // steps of a stage
constexpr int kPanelBytes = kRows * 128;  // 64 steps x 64 columns
constexpr int kGroupThreads = 128;        // of a warpgroup

template <int kHeads, int kN>
struct Layout {
  static constexpr int panels = kN / 64, stage_bytes = (kHeads + panels) * kPanelBytes;
  static constexpr int out_bytes = kHeads * kWidth * kN * 2;
  static constexpr int weighers = 3 / kHeads, weight_slots = 2 * weighers;  // warps, and chunks ready, of each head
  static constexpr int fit = (216 * 1024 - out_bytes) / stage_bytes, stages = fit < 6 ? fit : 6;
};

template <int kHeads, int kN>
struct alignas(1024) Shared {
  using L = Layout<kHeads, kN>;
  struct Stage {
    bf16 u[kHeads][kRows * 64], v[L::panels][kRows * 64];
  };
  Stage stages[L::stages];
  bf16 out[kHeads][kGroupThreads / 32][L::panels][16 * 64];  // a warp's rows
  uint2 weight[kHeads][L::weight_slots][kSsdChunk / 2];      // see prepare_chunk
  float total[kHeads][L::weight_slots];
  Barrier full[L::stages], empty[L::stages], weighed[kHeads][L::weight_slots], used[kHeads][L::weight_slots];
};

// What a block walks at a time: `count` of a group's heads, from `vh` on, and columns of the states from `n0` on.
template <int kHeads, int kN>
struct Walk {
  int b, vh, n0;

  static __host__ __device__ __forceinline__ int count(const SsdGeometry& g) {
    return g.batch * (g.virtual_heads / kHeads) * ((g.state + kN - 1) / kN);
  }
  __device__ __forceinline__ Walk(const SsdGeometry& g, int index) {
    const int pieces = (g.state + kN - 1) / kN, sets = g.virtual_heads / kHeads;
    n0 = index % pieces * kN;
    vh = index / pieces % sets * kHeads;
    b = index / (pieces * sets);
  }
};

struct Maps {
  CUtensorMap u, v, states;
};

#if LMX_HOPPER

template <bool kReverse>
__device__ __forceinline__ int chunk_at(const SsdGeometry& g, int position) {
  return kReverse ? g.chunks - 1 - position : position;
}

// One thread: u and v, half a chunk at a time.
template <int kHeads, int kN, bool kReverse>
__device__ __forceinline__ void load(Shared<kHeads, kN>& shared, const Maps& maps, const SsdGeometry& g) {
  using L = Layout<kHeads, kN>;
  hopper::prefetch(maps.u);
  hopper::prefetch(maps.v);
  hopper::prefetch(maps.states);
  Turn<L::stages> turn;
  for (int index = blockIdx.x; index < Walk<kHeads, kN>::count(g); index += gridDim.x) {
    const Walk<kHeads, kN> walk(g, index);
    const int column = walk.vh / g.group_virtual_heads * g.state + walk.n0;
    for (int position = 0; position < g.chunks; ++position) {
      const int chunk_row = chunk_at<kReverse>(g, position) * static_cast<int>(kSsdChunk);
#pragma unroll 1
      for (int row = chunk_row; row < chunk_row + kSsdChunk; row += kRows) {
        auto& stage = shared.stages[turn.slot];
        Barrier& full = shared.full[turn.slot];
        hopper::wait(shared.empty[turn.slot], turn.parity ^ 1);  // at once in the first round
        hopper::arrive_expecting(full, L::stage_bytes);
#pragma unroll
        for (int h = 0; h < kHeads; ++h) hopper::copy_box(stage.u[h], maps.u, (walk.vh + h) * kWidth, row, walk.b, full);
#pragma unroll
        for (int panel = 0; panel < L::panels; ++panel) {
          hopper::copy_box(stage.v[panel], maps.v, column + panel * 64, row, walk.b, full);
        }
        turn.advance();
      }
    }
  }
}

// One of a head's warps: every weighers-th chunk.
template <int kHeads, int kN, bool kReverse>
__device__ __forceinline__ void weigh_steps(Shared<kHeads, kN>& shared, const SsdStatePass& p, int weigher) {
  constexpr int weighers = Layout<kHeads, kN>::weighers;
  const SsdGeometry& g = p.g;
  const int lane = threadIdx.x % 32, h = weigher / weighers, first = weigher % weighers;
  Turn<2> turn;
  int position = first;
  for (int index = blockIdx.x; index < Walk<kHeads, kN>::count(g); index += gridDim.x) {
    const Walk<kHeads, kN> walk(g, index);
    const int vh = walk.vh + h, head = g.head_of(vh);
    const float a_log2 = -expf(p.a_log[head]) * kLog2E, bias = p.dt_bias[head];
    const bool publish = walk.n0 == 0 && (vh == 0 || g.head_of(vh - 1) != head);
    const auto times_at = [&](int position) {
      return load_times(p, walk.b, head, position < g.chunks ? chunk_at<kReverse>(g, position) : -1, lane);
    };
    Times times = times_at(position);
    for (; position < g.chunks; position += weighers) {
      const Times next = times_at(position + weighers);
      const int slot = turn.slot * weighers + first;
      hopper::wait(shared.used[h][slot], turn.parity ^ 1);  // at once in the first round
      prepare_chunk<kReverse>(p, times, walk.b, head, chunk_at<kReverse>(g, position), lane, bias, a_log2, publish,
                              shared.weight[h][slot], &shared.total[h][slot]);
      __syncwarp();
      if (lane == 0) hopper::arrive(shared.weighed[h][slot]);
      times = next;
      turn.advance();
    }
    position -= g.chunks;  // in the next walk
  }
}

// The warpgroup of the block's h-th head.
template <int kHeads, int kN, bool kReverse>
class Consumer {
  using L = Layout<kHeads, kN>;

 public:
  __device__ __forceinline__ Consumer(Shared<kHeads, kN>& shared, const CUtensorMap& states, const SsdStatePass& p, int h)
      : shared_(shared), states_(states), p_(p), h_(h), warp_(__shfl_sync(~0u, static_cast<int>(threadIdx.x) / 32 % 4, 0)) {
    const int row = lane() % 16;
    own_out_ = tile::shared_address(shared.out[h][warp_]) + row * 128 + ((lane() / 16 ^ row % 8) << 4);
  }

  __device__ __forceinline__ void run() {
    const SsdGeometry& g = p_.g;
    Turn<L::stages> turn;
    Turn<L::weight_slots> weights;
    for (int index = blockIdx.x; index < Walk<kHeads, kN>::count(g); index += gridDim.x) {
      const Walk<kHeads, kN> walk(g, index);
      float sum[kN / 8][4];
      read_initial(sum, walk);
      hopper::settle(sum);
      Fragment first[kRows / 16], second[kRows / 16];
      weigh(first, turn, weights, 0);
      for (int position = 0; position < g.chunks; ++position) {
        write(sum, walk, chunk_at<kReverse>(g, position));
        const float keep = tile::exp2_fast(shared_.total[h_][weights.slot]);
#pragma unroll
        for (int q = 0; q < kN / 8; ++q) {
#pragma unroll
          for (int e = 0; e < 4; ++e) sum[q][e] *= keep;
        }
        start(sum, first, turn.slot);
        const int begun = turn.slot;
        turn.advance();
        weigh(second, turn, weights, 1);
        start(sum, second, turn.slot);
        if (lane() == 0) hopper::arrive(shared_.used[h_][weights.slot]);
        weights.advance();
        hopper::wait_products<1>();
        release(begun);
        const int ended = turn.slot;
        turn.advance();
        if (position + 1 < g.chunks) weigh(first, turn, weights, 0);
        hopper::wait_products<0>();
        hopper::settle(sum);
        release(ended);
      }
      if (p_.final != nullptr) write_final(sum, walk);
    }
    if (lane() == 0) hopper::wait_stores();
  }

 private:
  static __device__ __forceinline__ int lane() { return tile::thread_here() % 32; }

  // A half's u, transposed, times its weights, when they are there.
  __device__ __forceinline__ void weigh(Fragment (&f)[kRows / 16], const Turn<L::stages>& turn, const Turn<L::weight_slots>& weights,
                                        int half) const {
    if (half == 0) hopper::wait(shared_.weighed[h_][weights.slot], weights.parity);
    hopper::wait(shared_.full[turn.slot], turn.parity);
    const tile::Operands<64> operands;
    const auto u = operands.a_trans(shared_.stages[turn.slot].u[h_], warp_ * 16);
    const uint2* const weight = shared_.weight[h_][weights.slot] + half * kRows / 2 + lane() % 4;
#pragma unroll
    for (int k = 0; k < kRows / 16; ++k) {
      const uint2 low = weight[k * 8], high = weight[k * 8 + 4];
      f[k] = u.at(k * 16);
#pragma unroll
      for (int w = 0; w < 4; ++w) {
        const uint2 factor = w < 2 ? low : high;
        f[k].w[w] = tile::multiply_pairs(f[k].w[w], factor.x, factor.y);
      }
    }
    __syncwarp();
  }
  __device__ __forceinline__ void start(float (&sum)[kN / 8][4], const Fragment (&f)[kRows / 16], int stage) const {
    const auto v = hopper::columns(tile::shared_address(shared_.stages[stage].v), kPanelBytes);
    hopper::start_products();
#pragma unroll
    for (int k = 0; k < kRows / 16; ++k) hopper::add_product<true>(sum, f[k], hopper::moved(v, k * 2048));
    hopper::commit_products();
  }
  // This warp is done with a stage.
  __device__ __forceinline__ void release(int stage) const {
    if (lane() == 0) hopper::arrive(shared_.empty[stage]);
  }
  // The state before a chunk, when the copies of the one before have left shared memory.
  __device__ __forceinline__ void write(const float (&sum)[kN / 8][4], const Walk<kHeads, kN>& walk, int chunk) const {
    if (lane() == 0) hopper::wait_stores_read();
    __syncwarp();
#pragma unroll
    for (int q = 0; q < kN / 8; q += 2) {
      hopper::store_fragment((own_out_ ^ (q % 8 << 4)) + q / 8 * 2048, tile::to_fragment(sum[q], sum[q + 1]));
    }
    hopper::show_writes();
    __syncwarp();
    if (lane() == 0) {
      const SsdGeometry& g = p_.g;
      const int row = ((walk.b * g.chunks + chunk) * g.virtual_heads + walk.vh + h_) * kWidth + warp_ * 16;
#pragma unroll
      for (int panel = 0; panel < L::panels; ++panel) {
        hopper::store_box(states_, shared_.out[h_][warp_][panel], walk.n0 + panel * 64, row);
      }
      hopper::commit_stores();
    }
    __syncwarp();
  }

  // f(element of the boundary states, accumulator) for all that exist.
  template <class F>
  __device__ __forceinline__ void for_boundary(float (&sum)[kN / 8][4], const Walk<kHeads, kN>& walk, F f) const {
    const SsdGeometry& g = p_.g;
    const int row = warp_ * 16 + lane() / 4, column = walk.n0 + lane() % 4 * 2;
    const index_t first = ((index_t{walk.b} * g.virtual_heads + walk.vh + h_) * kWidth + row) * g.state + column;
#pragma unroll
    for (int q = 0; q < kN / 8; ++q) {
      if (column + q * 8 >= g.state) continue;
#pragma unroll
      for (int e = 0; e < 4; ++e) f(first + e / 2 * 8 * g.state + q * 8 + e % 2, sum[q][e]);
    }
  }
  __device__ __forceinline__ void read_initial(float (&sum)[kN / 8][4], const Walk<kHeads, kN>& walk) const {
#pragma unroll
    for (int q = 0; q < kN / 8; ++q) {
#pragma unroll
      for (int e = 0; e < 4; ++e) sum[q][e] = 0;
    }
    if (p_.initial != nullptr) for_boundary(sum, walk, [&](index_t at, float& h) { h = p_.initial[at]; });
  }
  __device__ __forceinline__ void write_final(float (&sum)[kN / 8][4], const Walk<kHeads, kN>& walk) const {
    for_boundary(sum, walk, [&](index_t at, float& h) { p_.final[at] = h; });
  }

  Shared<kHeads, kN>& shared_;
  const CUtensorMap& states_;
  const SsdStatePass& p_;
  int h_, warp_;
  std::uint32_t own_out_;  // where this thread's part of a state goes
};

#endif  // LMX_HOPPER

template <int kHeads, int kN, bool kReverse>
__global__ void __launch_bounds__((kHeads + 1) * kGroupThreads, 1)
    state_pass_engine_kernel(const __grid_constant__ Maps maps, const __grid_constant__ SsdStatePass p) {
#if LMX_HOPPER
  extern __shared__ __align__(1024) unsigned char memory[];
  auto& shared = *reinterpret_cast<Shared<kHeads, kN>*>(memory);
  if (threadIdx.x == 0) {
    for (int i = 0; i < Layout<kHeads, kN>::stages; ++i) {
      hopper::make_barrier(shared.full[i], 1);
      hopper::make_barrier(shared.empty[i], kHeads * kGroupThreads / 32);
    }
    for (int i = 0; i < kHeads * Layout<kHeads, kN>::weight_slots; ++i) {
      hopper::make_barrier(shared.weighed[0][i], 1);
      hopper::make_barrier(shared.used[0][i], kGroupThreads / 32);
    }
    hopper::show_barriers();
  }
  __syncthreads();
  const int warp = __shfl_sync(~0u, static_cast<int>(threadIdx.x) / 32, 0);
  if (warp == 0) {
    if (threadIdx.x == 0) load<kHeads, kN, kReverse>(shared, maps, p.g);
  } else if (warp < 4) {
    if (warp <= kHeads * Layout<kHeads, kN>::weighers) weigh_steps<kHeads, kN, kReverse>(shared, p, warp - 1);
  } else {
    Consumer<kHeads, kN, kReverse>(shared, maps.states, p, warp / 4 - 1).run();
  }
#endif
}

template <int kHeads, int kN, bool kReverse>
void launch(const SsdStatePass& p, cudaStream_t stream) {
  const SsdGeometry& g = p.g;
  constexpr std::size_t bytes = sizeof(Shared<kHeads, kN>);
  static_assert(bytes <= 227 * 1024, "shared memory of a block");
  const auto kernel = state_pass_engine_kernel<kHeads, kN, kReverse>;
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)),
        "ssd_state_pass_wgmma: cudaFuncSetAttribute");
  const Maps maps{tensor_map(p.outer, g.batch, g.time, g.inner, p.outer_stride, kRows),
                  tensor_map(p.inner, g.batch, g.time, index_t{g.groups} * g.state, g.channels, kRows),
                  tensor_map(p.states, g.state_rows(), g.state, 16)};
  const int walks = Walk<kHeads, kN>::count(g);
  kernel<<<walks < kMultiprocessors ? walks : kMultiprocessors, (kHeads + 1) * kGroupThreads, bytes, stream>>>(maps, p);
  check_launch("ssd_state_pass_wgmma");
}

// Heads and columns of a walk.
struct Cut {
  int heads, columns;
};

// The cut with the fewest bytes through the busiest multiprocessor.
Cut best_cut(const SsdGeometry& g) {
  Cut best{};
  index_t fewest = 0;
  for (const Cut cut : {Cut{3, 128}, Cut{2, 128}, Cut{1, 128}, Cut{3, 64}, Cut{2, 64}, Cut{1, 64}}) {
    const bool padded = cut.columns == 128 && (g.state - 1) % 128 < 64;
    if (padded || g.group_virtual_heads % cut.heads != 0) continue;
    const index_t walks = index_t{g.batch} * (g.virtual_heads / cut.heads) * ceil_div(g.state, cut.columns);
    const index_t chunk = cut.heads * (kSsdChunk * kWidth + kWidth * cut.columns) + kSsdChunk * cut.columns;
    const index_t busiest = ceil_div(walks, kMultiprocessors) * chunk;
    if (best.heads == 0 || busiest < fewest) {
      best = cut;
      fewest = busiest;
    }
  }
  return best;
}

template <int kHeads, bool kReverse>
void launch(const SsdStatePass& p, int columns, cudaStream_t stream) {
  if (columns == 128) return launch<kHeads, 128, kReverse>(p, stream);
  launch<kHeads, 64, kReverse>(p, stream);
}

template <bool kReverse>
void dispatch(const SsdStatePass& p, cudaStream_t stream) {
  const Cut cut = best_cut(p.g);
  if (cut.heads == 3) return launch<3, kReverse>(p, cut.columns, stream);
  if (cut.heads == 2) return launch<2, kReverse>(p, cut.columns, stream);
  launch<1, kReverse>(p, cut.columns, stream);
}

}  // namespace

bool ssd_state_pass_wgmma_takes(const SsdGeometry& g) { return g.width == kWidth && g.state > 32; }

bool ssd_state_pass_wgmma_runs() { return runs_on_hopper(state_pass_engine_kernel<1, 64, false>); }

void ssd_state_pass_wgmma_forward(const SsdStatePass& p, cudaStream_t stream) { dispatch<false>(p, stream); }
void ssd_state_pass_wgmma_backward(const SsdStatePass& p, cudaStream_t stream) { dispatch<true>(p, stream); }

}  // namespace lmx::cuda
