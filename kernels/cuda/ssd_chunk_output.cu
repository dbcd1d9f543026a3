// y from xbc and the states (ssd_chunk_output.cuh): one block of 8 warps per (sequence, chunk, group, split
// of the group's heads).
//
// The block computes C·B once, keeps its rows of C in registers, and walks its heads with x and h
// double-buffered in shared memory. A warp owns 16 steps i; with r = s at the end of the step before them,
//   y_i = e^{s_i - r} (e^r h C_i + Σ_{j before} (C_i·B_j) e^{r - s_j} Δ_j x_j) + own steps + D x_i
// so that a score costs one multiplication of bf16 pairs. D rides on the diagonal.
//
// 65536 tokens, 24 heads x 64, state 128: 42 GFLOP; x 201 + states 201 + y 201 + B, C 34 MB = 0.64 GB, 152 us
// at 4.2 TB/s. Operands from shared memory: 200 KB per head and chunk, 1600 clocks = 85 us. Measured on an
// H200: 187 us.
#include "check.h"
#include "mma_tile.cuh"
#include "ssd_chunk_output.cuh"
#include "ssd_chunk_output_wgmma.cuh"
#include "ssd_head_walk.cuh"
#include "ssd_scores.cuh"

namespace lmx::cuda {
namespace {

constexpr int kThreads = kScoreThreads<1>;
constexpr int kCopyThreads = kThreads / 2;  // those with the earlier steps, which have less to do

template <int kP, int kN>
struct OutputTile {
  struct Stage {
    bf16 x[kSsdChunk * kP];
    bf16 h[kP * kN];
    float decay[kSsdChunk];
    float decay_weight[kSsdChunk];
  };
  struct Fixed {
    Scores scores;
    bf16 out[kStepBlocks][16 * kP];
    ColumnDecays decays[kStepBlocks];
  };
  static constexpr int part = kN < 64 ? kN : 64;  // columns of C and B at a time
  static constexpr std::size_t score_bytes = 2 * kSsdChunk * part * sizeof(bf16);
  static constexpr std::size_t bytes(int stages) {
    const std::size_t ring = stages * sizeof(Stage);
    return sizeof(Fixed) + (ring > score_bytes ? ring : score_bytes);
  }
};

// grid (groups * splits, chunks, batch)
template <int kP, int kN>
__global__ void __launch_bounds__(kThreads, kN <= 128 ? 2 : 1)
    ssd_chunk_output_kernel(const SsdChunkOutput p, int splits, int stages) {
  using Tile = OutputTile<kP, kN>;
  using Fixed = typename Tile::Fixed;
  using Stage = typename Tile::Stage;
  extern __shared__ __align__(128) unsigned char shared_bytes[];
  auto& fixed = *reinterpret_cast<Fixed*>(shared_bytes);
  auto* const ring = reinterpret_cast<Stage*>(shared_bytes + sizeof(Fixed));
  const SsdGeometry& g = p.g;
  const int group = blockIdx.x / splits, split = blockIdx.x % splits, chunk = blockIdx.y, b = blockIdx.z;
  const int mine = step_owner<1>().block;
  const int per_split = (g.group_virtual_heads + splits - 1) / splits;
  const int first = group * g.group_virtual_heads + split * per_split;
  const int last = min(first + per_split, (group + 1) * g.group_virtual_heads);
  const int length = g.length(chunk);
  const index_t row = g.row(b, chunk);
  const bf16* const xbc = p.xbc + row * g.channels;
  const bf16* const states = p.states + g.states(b, chunk);
  const index_t steps = g.steps(b, chunk, g.heads);

  tile::Fragment c[kN / 16];
  bf16* const tiles = reinterpret_cast<bf16*>(ring);
  make_scores<1, Tile::part, kN / Tile::part, true>(
      fixed.scores, c, tiles, tiles + kSsdChunk * Tile::part, xbc + g.inner + (g.groups + group) * g.state,
      xbc + g.inner + group * g.state, g.channels, length, g.state, {mine, 0});

  const tile::Operands<kP> on_x;
  const tile::Operands<kN> on_h;
  const auto load = [&](int vh, Stage& stage) {
    const int thread = tile::thread_here();
    const index_t at = steps + g.head_of(vh) * g.steps_per_head();
    tile::TileCopy<kSsdChunk, kP, kCopyThreads>(thread, g.channels, kP).start(stage.x, xbc + vh * kP, length);
    tile::TileCopy<kP, kN, kCopyThreads>(thread, g.state, g.state)
        .start(stage.h, states + vh * g.cells_per_head(), kP);
    load_vector(stage.decay, p.steps.decay + at, thread);
    load_vector(stage.decay_weight, p.steps.decay_weight + at, thread - 32);
  };
  const auto compute = [&](int vh, const Stage& stage) {
    if (mine * 16 >= length) return;
    const float reference = mine == 0 ? 0.0f : stage.decay[mine * 16 - 1];
    fixed.decays[mine].template fill<false>(stage.decay_weight, reference);
    float sum[kP / 8][4] = {};
#pragma unroll
    for (int k = 0; k < kN / 16; ++k) {
      const auto h = on_h.b(stage.h, k * 16);
#pragma unroll
      for (int q = 0; q < kP / 8; q += 2) tile::mma(sum[q], sum[q + 1], c[k], h.at(q * 8));
    }
    const float carried = tile::exp2_fast(reference);
#pragma unroll
    for (int q = 0; q < kP / 8; ++q)
#pragma unroll
      for (int e = 0; e < 4; ++e) sum[q][e] *= carried;

#pragma unroll 2
    for (int block = 0; block < mine; ++block) {
      const tile::Fragment m = fixed.decays[mine].apply(fixed.scores.load(block, mine), block);
#pragma unroll
      for (int q = 0; q < kP / 8; q += 2)
        tile::mma(sum[q], sum[q + 1], m, on_x.b_trans(stage.x, q * 8).at(block * 16));
    }
    const RowPair decay = row_values(stage.decay + mine * 16);
    const RowPair since = {tile::exp2_fast(decay.top - reference), tile::exp2_fast(decay.bottom - reference)};
#pragma unroll
    for (int q = 0; q < kP / 8; ++q)
#pragma unroll
      for (int e = 0; e < 4; ++e) sum[q][e] *= since.of(e / 2);
    const tile::Fragment m = own_steps(fixed.scores.load(mine, mine), decay,
                                       column_values(stage.decay_weight + mine * 16), p.d[g.head_of(vh)]);
#pragma unroll
    for (int q = 0; q < kP / 8; q += 2)
      tile::mma(sum[q], sum[q + 1], m, on_x.b_trans(stage.x, q * 8).at(mine * 16));
    tile::store_rows<kP>(fixed.out[mine], sum, p.y + (row + mine * 16) * g.inner + vh * kP, g.inner,
                         length - mine * 16, kP);
  };
  const bool copies = threadIdx.x < kCopyThreads;
  begin_walk(ring, first, last, stages, copies, load);
  walk_heads(ring, first, last, stages, copies, load, compute, [](int, const Stage&) {});
}

template <int kP, int kN>
void launch(const SsdChunkOutput& p, cudaStream_t stream) {
  using Tile = OutputTile<kP, kN>;
  const auto kernel = ssd_chunk_output_kernel<kP, kN>;
  static_assert(Tile::bytes(1) <= kLeastSharedMemory, "one stage fits every card");
  const int stages = shared_memory_limit() >= Tile::bytes(2) ? 2 : 1;
  const std::size_t bytes = Tile::bytes(stages);
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)),
        "cudaFuncSetAttribute");
  const index_t blocks = index_t{p.g.batch} * p.g.chunks * p.g.groups;
  const int splits = best_split(blocks, p.g.group_virtual_heads, (kN <= 128 ? 2 : 1) * kMultiprocessors);
  kernel<<<dim3(p.g.groups * splits, p.g.chunks, p.g.batch), kThreads, bytes, stream>>>(p, splits, stages);
  check_launch("ssd_chunk_output");
}

}  // namespace

void ssd_chunk_output(const SsdChunkOutput& p, cudaStream_t stream) {
  if (ssd_chunk_output_wgmma_takes(p.g) && ssd_chunk_output_wgmma_runs()) return ssd_chunk_output_wgmma(p, stream);
  const int state = padded_state(p.g.state);
  if (p.g.width == 64) {
    if (state == 32) return launch<64, 32>(p, stream);
    if (state == 64) return launch<64, 64>(p, stream);
    if (state == 128) return launch<64, 128>(p, stream);
    return launch<64, 256>(p, stream);
  }
  if (state == 32) return launch<32, 32>(p, stream);
  if (state == 64) return launch<32, 64>(p, stream);
  if (state == 128) return launch<32, 128>(p, stream);
  return launch<32, 256>(p, stream);
}

}  // namespace lmx::cuda
