// H <- e^S H + Σ_k w_k u_k ⊗ v_k over the chunks of a sequence, writing H before each chunk
// (ssd_state_pass.cuh).
//
// One block of 4 warps owns a kP x kN piece of the state of one (sequence, virtual head) in fp32 accumulators
// and walks time in order; u and v stream through a ring of kStages buffers (cp.async, one barrier a buffer).
// The weights w_k, two bf16 each so that only the product is rounded, multiply u in operand registers. Each
// warp turns one chunk of four into Δ, s and w, four chunks ahead.
//
// 65536 tokens, 24 heads x 64, state 128 (batch 16): 25.8 GFLOP; u 201 MB + v 17 MB (403 MB from L2) + states
// 201 MB = 0.42 GB, 100 us at 4.2 TB/s. Measured on an H200: 151 us (142 with weights of one bf16, whose rounding
// shows in the states).
#include "check.h"
#include "mma_tile.cuh"
#include "ssd_chunk_weights.cuh"
#include "ssd_state_pass.cuh"
#include "ssd_state_pass_wgmma.cuh"

namespace lmx::cuda {
namespace {

constexpr int kThreads = 128, kWarps = kThreads / 32, kStages = 4;

template <int kP, int kN>
struct StatePassTile {
  static constexpr int warps_p = kP / 32, warps_n = kWarps / warps_p,
                       cols = kN / warps_n;  // a warp: 32 x cols
  static constexpr int rows = kN == 128 ? 32 : 64,
                       parts = static_cast<int>(kSsdChunk) / rows;  // steps of a buffer
  struct Stage {
    bf16 u[rows * kP];
    bf16 v[rows * kN];
  };
  struct Shared {
    Stage stages[kStages];
    bf16 out[kWarps][16 * cols];
    uint2 weight[2][kWarps][kSsdChunk / 2];  // two groups of chunks, pairs of steps: w in bf16, and what that leaves
    float total[2][kWarps];                          // S log2(e)
  };
};

// grid (n pieces * p pieces * virtual heads, batch)
template <int kP, int kN, bool kReverse>
__global__ void __launch_bounds__(kThreads, kN == 128 || kP == 32 ? 3 : 2) ssd_state_pass_kernel(const SsdStatePass p) {
  using Tile = StatePassTile<kP, kN>;
  extern __shared__ __align__(128) unsigned char shared_bytes[];
  auto& shared = *reinterpret_cast<typename Tile::Shared*>(shared_bytes);
  const SsdGeometry& g = p.g;
  const int pieces_n = (g.state + kN - 1) / kN, n0 = blockIdx.x % pieces_n * kN, pieces_p = g.width / kP;
  const int p0 = blockIdx.x / pieces_n % pieces_p * kP, vh = blockIdx.x / (pieces_n * pieces_p);
  const int b = blockIdx.y, head = g.head_of(vh), group = vh / g.group_virtual_heads;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int warp_p = warp / Tile::warps_n * 32, warp_n = warp % Tile::warps_n * Tile::cols;
  const int valid_n = g.state - n0;
  const float a_log2 = -expf(p.a_log[head]) * kLog2E, bias = p.dt_bias[head];
  const bool publish = n0 == 0 && p0 == 0 && (vh == 0 || g.head_of(vh - 1) != head);
  const bf16* const u = p.outer + index_t{b} * g.time * p.outer_stride + vh * g.width + p0;
  const bf16* const v = p.inner + index_t{b} * g.time * g.channels + group * g.state + n0;
  const auto chunk_of = [&](int position) { return kReverse ? g.chunks - 1 - position : position; };

  // Buffers in the order of the walk, which in reverse runs backwards inside a chunk too; an empty group at
  // its end keeps the count right.
  const int buffers = g.chunks * Tile::parts;
  const tile::TileCopy<Tile::rows, kP, kThreads> copy_u(threadIdx.x, p.outer_stride, kP);
  const tile::TileCopy<Tile::rows, kN, kThreads> copy_v(threadIdx.x, g.channels, valid_n);
  const auto load_stage = [&](int step) {
    if (step < buffers) {
      const int first = (kReverse ? buffers - 1 - step : step) * Tile::rows, rows = g.time - first;
      auto& stage = shared.stages[step % kStages];
      copy_u.start(stage.u, u + first * p.outer_stride, rows);
      copy_v.start(stage.v, v + first * g.channels, rows);
    }
    tile::commit_copies();
  };
#pragma unroll
  for (int step = 0; step < kStages - 1; ++step) load_stage(step);

  float sum[2][Tile::cols / 8][4];
  const index_t boundary = ((index_t{b} * g.virtual_heads + vh) * g.width + p0) * g.state + n0;
  const auto at_boundary = [&](int own, int m, int q, int e) {  // element of the boundary states, or -1
    const int row = warp_p + m * 16 + own / 4 + e / 2 * 8, n = warp_n + q * 8 + own % 4 * 2 + e % 2;
    return n < valid_n ? boundary + row * g.state + n : -1;
  };
#pragma unroll
  for (int m = 0; m < 2; ++m)
#pragma unroll
    for (int q = 0; q < Tile::cols / 8; ++q)
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const index_t at = at_boundary(lane, m, q, e);
        sum[m][q][e] = p.initial && at >= 0 ? p.initial[at] : 0.0f;
      }

  const tile::Operands<kP> on_u;
  const tile::Operands<kN> on_v;
  Times times = load_times(p, b, head, warp < g.chunks ? chunk_of(warp) : -1, lane);
  int step = 0;
  for (int position = 0; position < g.chunks; ++position) {
    const int parity = position / kWarps % 2;
    if (position % kWarps == 0) {
      const int mine = position + warp, next = mine + kWarps;
      if (mine < g.chunks) {
        prepare_chunk<kReverse>(p, times, b, head, chunk_of(mine), lane, bias, a_log2, publish,
                                shared.weight[parity][warp], &shared.total[parity][warp]);
      }
      times = load_times(p, b, head, next < g.chunks ? chunk_of(next) : -1, lane);
    }
    bf16* const state = p.states + g.states(b, chunk_of(position)) + vh * g.cells_per_head() + p0 * g.state + n0 + warp_n;
#pragma unroll
    for (int m = 0; m < 2; ++m) {
      tile::store_rows<Tile::cols>(shared.out[warp], sum[m], state + (warp_p + m * 16) * g.state, g.state, 16,
                                   valid_n - warp_n);
    }
#pragma unroll 1
    for (int part = 0; part < Tile::parts; ++part, ++step) {
      tile::wait_copies<kStages - 2>();
      __syncthreads();
      load_stage(step + kStages - 1);
      if (part == 0) {
        const float keep = tile::exp2_fast(shared.total[parity][position % kWarps]);
#pragma unroll
        for (int m = 0; m < 2; ++m)
#pragma unroll
          for (int q = 0; q < Tile::cols / 8; ++q)
#pragma unroll
            for (int e = 0; e < 4; ++e) sum[m][q][e] *= keep;
      }
      const auto& stage = shared.stages[step % kStages];
      const int first = (kReverse ? Tile::parts - 1 - part : part) * Tile::rows;
      const uint2* const weight = shared.weight[parity][position % kWarps] + first / 2 + lane % 4;
#pragma unroll
      for (int k = 0; k < Tile::rows; k += 16) {
        const uint2 low = weight[k / 2], high = weight[k / 2 + 4];
        tile::Fragment a[2];
#pragma unroll
        for (int m = 0; m < 2; ++m) {
          a[m] = on_u.a_trans(stage.u, warp_p + m * 16).at(k);
#pragma unroll
          for (int w = 0; w < 4; ++w) {
            const uint2 factor = w < 2 ? low : high;
            a[m].w[w] = tile::multiply_pairs(a[m].w[w], factor.x, factor.y);
          }
        }
#pragma unroll
        for (int n = 0; n < Tile::cols; n += 16) {
          const tile::Fragment bn = on_v.b_trans(stage.v, warp_n + n).at(k);
#pragma unroll
          for (int m = 0; m < 2; ++m) tile::mma(sum[m][n / 8], sum[m][n / 8 + 1], a[m], bn);
        }
      }
    }
  }
  if (p.final == nullptr) return;
  const int own = tile::thread_here() % 32;
#pragma unroll
  for (int m = 0; m < 2; ++m)
#pragma unroll
    for (int q = 0; q < Tile::cols / 8; ++q)
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const index_t at = at_boundary(own, m, q, e);
        if (at >= 0) p.final[at] = sum[m][q][e];
      }
}

template <int kP, int kN, bool kReverse>
void launch(const SsdStatePass& p, cudaStream_t stream) {
  constexpr std::size_t bytes = sizeof(typename StatePassTile<kP, kN>::Shared);
  static_assert(bytes <= kLeastSharedMemory, "fits every card");
  const auto kernel = ssd_state_pass_kernel<kP, kN, kReverse>;
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)),
        "cudaFuncSetAttribute");
  const dim3 grid(static_cast<unsigned>(ceil_div(p.g.state, kN)) * (p.g.width / kP) * p.g.virtual_heads, p.g.batch);
  kernel<<<grid, kThreads, bytes, stream>>>(p);
  check_launch("ssd_state_pass");
}

template <bool kReverse>
void dispatch(const SsdStatePass& p, cudaStream_t stream) {
  if (ssd_state_pass_wgmma_takes(p.g) && ssd_state_pass_wgmma_runs()) {
    return kReverse ? ssd_state_pass_wgmma_backward(p, stream) : ssd_state_pass_wgmma_forward(p, stream);
  }
  // Large pieces where there are three for two multiprocessors and they are not mostly padding; the smallest, whose walk is shortest, where
  // even middling ones leave half of the multiprocessors idle. (With more blocks they are slower: every warp does less per load.)
  const index_t heads = index_t{p.g.batch} * p.g.virtual_heads;
  const bool enough = 2 * heads * ceil_div(p.g.state, 128) >= 3 * kMultiprocessors;
  const bool few = 2 * heads * ceil_div(p.g.state, 64) <= kMultiprocessors;
  const bool padded = p.g.state % 128 != 0 && p.g.state % 128 <= 64;
  if (p.g.width == 64 && enough && !padded) return launch<64, 128, kReverse>(p, stream);
  if (p.g.width == 64 && !few) return launch<64, 64, kReverse>(p, stream);
  if (p.g.width == 32 && enough && !padded) return launch<32, 128, kReverse>(p, stream);
  launch<32, 64, kReverse>(p, stream);
}

}  // namespace

void ssd_state_pass_forward(const SsdStatePass& p, cudaStream_t stream) { dispatch<false>(p, stream); }
void ssd_state_pass_backward(const SsdStatePass& p, cudaStream_t stream) { dispatch<true>(p, stream); }

}  // namespace lmx::cuda
