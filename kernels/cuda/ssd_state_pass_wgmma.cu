// H <- e^S H + (w·u)ᵀ v over the chunks of a sequence, writing H before each chunk (ssd_state_pass.cuh), by wgmma.
//
// A block of threads walks the chunks of one sequence for a virtual head and kN columns of its state. One warp loads (copy engine, a ring
// of halves of chunks) and turns times into weights, and a warpgroup keeps 64 x kN of the state in fp32 accumulators. u is turned by
// ldmatrix and multiplied by its weights (two bf16 each, so that only the product is rounded) in registers, v goes into the products as it
// lies; the copy engine writes the states out. While products are under way, the next half of u is made ready. A block that has a
// multiprocessor to itself needs 1740 clocks a chunk, as long as memory takes to feed 132 of them: three share one, to hide that.
//
// 65536 tokens, 24 heads x 64, state 128 (batch 16): 25.8 GFLOP, 33 us; u 201 MB + v 17 MB (403 MB from L2) + states 201 MB = 0.42 GB,
// 100 us at 4.2 TB/s. A chunk and head is 512 clocks of products and 350 instructions of each of 4 warps.
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

constexpr int kWidth = 64;          // channels of a virtual head
constexpr int kRows = 64;           // steps of a stage
constexpr int kGroupThreads = 128;  // of a warpgroup

constexpr int kThreads = kGroupThreads + 32;
constexpr int kBlocks = 3;       // of a multiprocessor: what 128 registers a thread allow
constexpr int kWeightSlots = 2;  // chunks whose weights are ready

template <int kN>
struct Layout {
  static constexpr int panels = kN / 64;
  static constexpr int stages = kN == 128 ? 2 : 4;  // what the shared memory of a third of a multiprocessor holds
};

template <int kN>
struct alignas(1024) Shared {
  using L = Layout<kN>;
  struct Stage {
    bf16 u[kRows * 64], v[L::panels][kRows * 64];
  };
  Stage stages[L::stages];
  bf16 out[kGroupThreads / 32][L::panels][16 * 64];  // a warp's rows
  uint2 weight[kWeightSlots][kSsdChunk / 2];         // see prepare_chunk
  float total[kWeightSlots];
  Barrier full[L::stages], empty[L::stages], weighed[kWeightSlots], used[kWeightSlots];
};

// What a block walks: columns from `n0` on of a virtual head's states. grid (pieces of kN columns * virtual heads, batch)
template <int kN>
struct Walk {
  int b, vh, n0;

  __device__ __forceinline__ explicit Walk(const SsdGeometry& g) {
    const int pieces = (g.state + kN - 1) / kN;
    n0 = blockIdx.x % pieces * kN;
    vh = blockIdx.x / pieces;
    b = blockIdx.y;
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

// One warp: loads u and v, half a chunk at a time, and makes the weights.
template <int kN, bool kReverse>
class Feeder {
  using L = Layout<kN>;

 public:
  __device__ __forceinline__ Feeder(Shared<kN>& shared, const Maps& maps, const SsdStatePass& p, const Walk<kN>& walk)
      : shared_(shared), maps_(maps), p_(p), walk_(walk), lane_(threadIdx.x % 32), head_(p.g.head_of(walk.vh)) {}

  // A chunk's weights come before its steps, which may wait for room longer; only the first one's steps are on their way already.
  __device__ __forceinline__ void run() {
    const float a_log2 = -expf(p_.a_log[head_]) * kLog2E, bias = p_.dt_bias[head_];
    load(0);
    Turn<kWeightSlots> turn;
    Times times = times_at(0);
    for (int position = 0; position < p_.g.chunks; ++position) {
      const Times next = times_at(position + 1);
      weigh(position, times, bias, a_log2, turn);
      if (position > 0) load(position);
      times = next;
      turn.advance();
    }
  }

 private:
  __device__ __forceinline__ int chunk(int position) const { return chunk_at<kReverse>(p_.g, position); }
  __device__ __forceinline__ Times times_at(int position) const {
    return load_times(p_, walk_.b, head_, position < p_.g.chunks ? chunk(position) : -1, lane_);
  }

  __device__ __forceinline__ void load(int position) {
    const int column = walk_.vh / p_.g.group_virtual_heads * p_.g.state + walk_.n0;
#pragma unroll 1
    for (int row = 0; row < kSsdChunk; row += kRows) {
      if (lane_ == 0) {
        const int first = chunk(position) * static_cast<int>(kSsdChunk) + row;
        auto& stage = shared_.stages[turn_.slot];
        Barrier& full = shared_.full[turn_.slot];
        hopper::wait(shared_.empty[turn_.slot], turn_.parity ^ 1);  // at once in the first round
        hopper::arrive_expecting(full, sizeof stage);
        hopper::copy_box(stage.u, maps_.u, walk_.vh * kWidth, first, walk_.b, full);
#pragma unroll
        for (int panel = 0; panel < L::panels; ++panel) {
          hopper::copy_box(stage.v[panel], maps_.v, column + panel * 64, first, walk_.b, full);
        }
      }
      turn_.advance();
    }
    __syncwarp();
  }

  __device__ __forceinline__ void weigh(int position, const Times& times, float bias, float a_log2, const Turn<kWeightSlots>& turn) {
    const bool publish = walk_.n0 == 0 && (walk_.vh == 0 || p_.g.head_of(walk_.vh - 1) != head_);
    hopper::wait(shared_.used[turn.slot], turn.parity ^ 1);  // at once in the first round
    prepare_chunk<kReverse>(p_, times, walk_.b, head_, chunk(position), lane_, bias, a_log2, publish, shared_.weight[turn.slot],
                            &shared_.total[turn.slot]);
    __syncwarp();
    if (lane_ == 0) hopper::arrive(shared_.weighed[turn.slot]);
  }

  Shared<kN>& shared_;
  const Maps& maps_;
  const SsdStatePass& p_;
  const Walk<kN>& walk_;
  int lane_, head_;
  Turn<L::stages> turn_;
};

// The warpgroup that keeps the state.
template <int kN, bool kReverse>
class Consumer {
  using L = Layout<kN>;

 public:
  __device__ __forceinline__ Consumer(Shared<kN>& shared, const CUtensorMap& states, const SsdStatePass& p, const Walk<kN>& walk)
      : shared_(shared), states_(states), p_(p), walk_(walk), warp_(__shfl_sync(~0u, static_cast<int>(threadIdx.x) / 32, 0)) {
    const int row = lane() % 16;
    own_out_ = tile::shared_address(shared.out[warp_]) + row * 128 + ((lane() / 16 ^ row % 8) << 4);
  }

  __device__ __forceinline__ void run() {
    const SsdGeometry& g = p_.g;
    Turn<L::stages> turn;
    Turn<kWeightSlots> weights;
    float sum[kN / 8][4];
    read_initial(sum);
    hopper::settle(sum);
    Fragment first[kRows / 16], second[kRows / 16];
    weigh(first, turn, weights, 0);
    for (int position = 0; position < g.chunks; ++position) {
      write(sum, chunk_at<kReverse>(g, position));
      const float keep = tile::exp2_fast(shared_.total[weights.slot]);
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
      if (lane() == 0) hopper::arrive(shared_.used[weights.slot]);
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
    if (p_.final != nullptr) write_final(sum);
    if (lane() == 0) hopper::wait_stores();
  }

 private:
  static __device__ __forceinline__ int lane() { return tile::thread_here() % 32; }

  // A half's u, transposed, times its weights, when they are there.
  __device__ __forceinline__ void weigh(Fragment (&f)[kRows / 16], const Turn<L::stages>& turn, const Turn<kWeightSlots>& weights,
                                        int half) const {
    if (half == 0) hopper::wait(shared_.weighed[weights.slot], weights.parity);
    hopper::wait(shared_.full[turn.slot], turn.parity);
    const tile::Operands<64> operands;
    const auto u = operands.a_trans(shared_.stages[turn.slot].u, warp_ * 16);
    const uint2* const weight = shared_.weight[weights.slot] + half * kRows / 2 + lane() % 4;
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
    const auto v = hopper::columns(tile::shared_address(shared_.stages[stage].v), kRows * 128);
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
  __device__ __forceinline__ void write(const float (&sum)[kN / 8][4], int chunk) const {
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
      const int row = ((walk_.b * g.chunks + chunk) * g.virtual_heads + walk_.vh) * kWidth + warp_ * 16;
#pragma unroll
      for (int panel = 0; panel < L::panels; ++panel) {
        hopper::store_box(states_, shared_.out[warp_][panel], walk_.n0 + panel * 64, row);
      }
      hopper::commit_stores();
    }
    __syncwarp();
  }

  // f(element of the boundary states, accumulator) for all that exist.
  template <class F>
  __device__ __forceinline__ void for_boundary(float (&sum)[kN / 8][4], F f) const {
    const SsdGeometry& g = p_.g;
    const int row = warp_ * 16 + lane() / 4, column = walk_.n0 + lane() % 4 * 2;
    const index_t first = ((index_t{walk_.b} * g.virtual_heads + walk_.vh) * kWidth + row) * g.state + column;
#pragma unroll
    for (int q = 0; q < kN / 8; ++q) {
      if (column + q * 8 >= g.state) continue;
#pragma unroll
      for (int e = 0; e < 4; ++e) f(first + e / 2 * 8 * g.state + q * 8 + e % 2, sum[q][e]);
    }
  }
  __device__ __forceinline__ void read_initial(float (&sum)[kN / 8][4]) const {
#pragma unroll
    for (int q = 0; q < kN / 8; ++q) {
#pragma unroll
      for (int e = 0; e < 4; ++e) sum[q][e] = 0;
    }
    if (p_.initial != nullptr) for_boundary(sum, [&](index_t at, float& h) { h = p_.initial[at]; });
  }
  __device__ __forceinline__ void write_final(float (&sum)[kN / 8][4]) const {
    for_boundary(sum, [&](index_t at, float& h) { p_.final[at] = h; });
  }

  Shared<kN>& shared_;
  const CUtensorMap& states_;
  const SsdStatePass& p_;
  const Walk<kN>& walk_;
  int warp_;
  std::uint32_t own_out_;  // where this thread's part of a state goes
};

#endif  // LMX_HOPPER

template <int kN, bool kReverse>
__global__ void __launch_bounds__(kThreads, kBlocks)
    state_pass_kernel(const __grid_constant__ Maps maps, const __grid_constant__ SsdStatePass p) {
#if LMX_HOPPER
  extern __shared__ __align__(1024) unsigned char memory[];
  auto& shared = *reinterpret_cast<Shared<kN>*>(memory);
  if (threadIdx.x == 0) {
    for (int i = 0; i < Layout<kN>::stages; ++i) {
      hopper::make_barrier(shared.full[i], 1);
      hopper::make_barrier(shared.empty[i], kGroupThreads / 32);
    }
    for (int i = 0; i < kWeightSlots; ++i) {
      hopper::make_barrier(shared.weighed[i], 1);
      hopper::make_barrier(shared.used[i], kGroupThreads / 32);
    }
    hopper::show_barriers();
  }
  __syncthreads();
  const Walk<kN> walk(p.g);
  if (threadIdx.x < kGroupThreads) {
    Consumer<kN, kReverse>(shared, maps.states, p, walk).run();
  } else {
    Feeder<kN, kReverse>(shared, maps, p, walk).run();
  }
#endif
}

template <int kN, bool kReverse>
void launch(const SsdStatePass& p, cudaStream_t stream) {
  const SsdGeometry& g = p.g;
  constexpr std::size_t bytes = sizeof(Shared<kN>);
  static_assert(kBlocks * (bytes + 1024) <= 228 * 1024, "shared memory of a multiprocessor");
  const auto kernel = state_pass_kernel<kN, kReverse>;
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)),
        "ssd_state_pass_wgmma: cudaFuncSetAttribute");
  const index_t state_rows = index_t{g.batch} * g.chunks * g.virtual_heads * kWidth;
  const Maps maps{tensor_map(p.outer, g.batch, g.time, g.inner, p.outer_stride, kRows),
                  tensor_map(p.inner, g.batch, g.time, index_t{g.groups} * g.state, g.channels, kRows),
                  tensor_map(p.states, state_rows, g.state, 16)};
  const dim3 grid(static_cast<unsigned>(ceil_div(g.state, kN)) * g.virtual_heads, g.batch);
  kernel<<<grid, kThreads, bytes, stream>>>(maps, p);
  check_launch("ssd_state_pass_wgmma");
}

// 128 columns of a state where it has them: u is then read once. 64 where that many walks more still find idle multiprocessors, for a
// chunk takes them less long.
template <bool kReverse>
void dispatch(const SsdStatePass& p, cudaStream_t stream) {
  const index_t walks = index_t{p.g.batch} * p.g.virtual_heads * ceil_div(p.g.state, 128);
  if (p.g.state <= 64 || 2 * walks <= kMultiprocessors) return launch<64, kReverse>(p, stream);
  launch<128, kReverse>(p, stream);
}

}  // namespace

bool ssd_state_pass_wgmma_takes(const SsdGeometry& g) { return g.width == kWidth && g.state > 32; }

bool ssd_state_pass_wgmma_runs() { return runs_on_hopper(state_pass_kernel<64, false>); }

void ssd_state_pass_wgmma_forward(const SsdStatePass& p, cudaStream_t stream) { dispatch<false>(p, stream); }
void ssd_state_pass_wgmma_backward(const SsdStatePass& p, cudaStream_t stream) { dispatch<true>(p, stream); }

}  // namespace lmx::cuda
