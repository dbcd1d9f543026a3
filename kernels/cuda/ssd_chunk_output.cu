// y from xbc and the states (ssd_chunk_output.cuh): one block of 8 warps per (sequence, chunk, group, split of the group's heads).
//
// The block computes C·B once, keeps its rows of C in registers, and walks its heads with x and h double-buffered in shared memory. A warp owns 16 steps: sum = C h'ᵀ, scaled by e^{s_i}; plus M x, M = (C·B) 2^(s_i - s'_j) built in operand
// registers from bf16 scores and fp32 exponents (s'_j = s_j - log2 Δ_j carries Δ_j), D on the diagonal of M.
//
// 65536 tokens, 24 heads x 64, state 128: 42 GFLOP; x 201 + states 201 + y 201 + B, C 34 MB = 0.64 GB, 152 us at 4.2 TB/s.
// Operands from shared memory: 200 KB per head and chunk, 1600 clocks = 85 us. Predicted: 190 us.
#include <utility>

#include "check.h"
#include "mma_tile.cuh"
#include "ssd_chunk_output.cuh"
#include "ssd_scores.cuh"

namespace lmx::cuda {
namespace {

template <int kP, int kN>
struct OutputTile {
  struct Stage {
    bf16 x[kSsdChunk * kP];
    bf16 h[kP * kN];
    float decay[kSsdChunk];
    float decay_weight[kSsdChunk];
  };
  static constexpr int part = kN < 64 ? kN : 64;  // columns of C and B at a time
  struct Fixed {
    ScorePairs pairs;
    bf16 out[kScoreWarps][16 * kP];
  };
  static constexpr std::size_t score_bytes = 2 * kSsdChunk * part * sizeof(bf16);
  static constexpr std::size_t bytes(int stages) {
    const std::size_t ring = stages * sizeof(Stage);
    return sizeof(Fixed) + (ring > score_bytes ? ring : score_bytes);
  }
};

template <int kP>
struct XBlocks {
  tile::BlockColumn<kP, true> column[kP / 16];
};
template <int kP, std::size_t... kColumn>
__device__ __forceinline__ XBlocks<kP> x_blocks(const bf16* x, std::index_sequence<kColumn...>) {
  return {{tile::b_trans_blocks<kP>(x, static_cast<int>(kColumn) * 16)...}};
}

// M x for one block of 16 earlier steps, added to sum. kDiagonal: the warp's own steps, causal, plus D.
template <int kP, bool kDiagonal>
__device__ __forceinline__ void add_block(float (&sum)[kP / 8][4], const tile::Fragment& score, RowPair row_decay,
                                          const float* decay_weight, const XBlocks<kP>& x, int block, float skip) {
  const ColumnValues columns = column_values(decay_weight + block * 16);
  tile::Fragment m;
#pragma unroll
  for (int w = 0; w < 4; ++w) {
    const float row = row_decay.of(w);
    const float2 column = pick(columns, w);
    float left = low_half(score.w[w]) * tile::exp2_fast(row - column.x);
    float right = high_half(score.w[w]) * tile::exp2_fast(row - column.y);
    if constexpr (kDiagonal) {
      const int i = fragment_row(w), j = fragment_column(w);
      left = j < i ? left : j == i ? left + skip : 0.0f;
      right = j + 1 < i ? right : j + 1 == i ? right + skip : 0.0f;
    }
    m.w[w] = to_pair(left, right);
  }
#pragma unroll
  for (int q = 0; q < kP / 8; q += 2) {
    tile::mma(sum[q], sum[q + 1], m, x.column[q / 2].at(block * 16));
  }
}

// grid (groups * splits, chunks, batch)
template <int kP, int kN>
__global__ void __launch_bounds__(kScoreThreads, kN <= 128 ? 2 : 1)
    ssd_chunk_output_kernel(const SsdChunkOutput p, int splits, int stages) {
  using Tile = OutputTile<kP, kN>;
  using Fixed = typename Tile::Fixed;
  using Stage = typename Tile::Stage;
  extern __shared__ __align__(128) unsigned char shared_bytes[];
  auto& fixed = *reinterpret_cast<Fixed*>(shared_bytes);
  auto* const ring = reinterpret_cast<Stage*>(shared_bytes + sizeof(Fixed));
  const SsdGeometry& g = p.g;
  const int group = blockIdx.x / splits, split = blockIdx.x % splits, chunk = blockIdx.y, b = blockIdx.z;
  const int warp = threadIdx.x / 32, mine = score_block(warp);
  const int per_split = (g.group_virtual_heads + splits - 1) / splits;
  const int first = group * g.group_virtual_heads + split * per_split;
  const int last = min(first + per_split, (group + 1) * g.group_virtual_heads);
  const int length = g.length(chunk);
  const index_t row = g.row(b, chunk);
  const bf16* const xbc = p.xbc + row * g.channels;

  tile::Fragment c[kN / 16];
  const tile::Fragment diagonal = load_scores<Tile::part, kN / Tile::part, true>(
      fixed.pairs, c, reinterpret_cast<bf16*>(ring), xbc + g.inner + (g.groups + group) * g.state,
      xbc + g.inner + group * g.state, g.channels, length, g.state, mine);

  const auto load_stage = [&](int vh) {
    if (vh < last) {
      Stage& stage = ring[(vh - first) % stages];
      tile::load_tile<kSsdChunk, kP, kScoreThreads>(stage.x, xbc + vh * kP, g.channels, length, kP);
      tile::load_tile<kP, kN, kScoreThreads>(stage.h, p.states + g.state_at(b, chunk, vh), g.state, kP, g.state);
      const int unit = threadIdx.x % 32 * 4;
      const index_t steps = g.steps(b, vh / g.pieces, chunk, g.heads) + unit;
      if (warp == 0) tile::copy_async(stage.decay + unit, p.steps.decay + steps, true);
      if (warp == 1) tile::copy_async(stage.decay_weight + unit, p.steps.decay_weight + steps, true);
    }
    tile::commit_copies();
  };
  for (int s = 0; s < stages; ++s) load_stage(first + s);

  for (int vh = first; vh < last; ++vh) {
    if (stages == 2) {
      tile::wait_copies<1>();
    } else {
      tile::wait_copies<0>();
    }
    __syncthreads();
    const Stage& stage = ring[(vh - first) % stages];
    if (mine * 16 < length) {
      float sum[kP / 8][4] = {};
#pragma unroll
      for (int k = 0; k < kN / 16; ++k) {
        const auto h = tile::b_blocks<kN>(stage.h, k * 16);
#pragma unroll
        for (int q = 0; q < kP / 8; q += 2) tile::mma(sum[q], sum[q + 1], c[k], h.at(q * 8));
      }
      const RowPair decay = row_values(stage.decay + mine * 16);
      const float top = tile::exp2_fast(decay.top), bottom = tile::exp2_fast(decay.bottom);
#pragma unroll
      for (int q = 0; q < kP / 8; ++q) {
        sum[q][0] *= top;
        sum[q][1] *= top;
        sum[q][2] *= bottom;
        sum[q][3] *= bottom;
      }
      const XBlocks<kP> x = x_blocks<kP>(stage.x, std::make_index_sequence<kP / 16>());
#pragma unroll 2
      for (int block = 0; block < mine; ++block) {
        add_block<kP, false>(sum, fixed.pairs.load(block, mine), decay, stage.decay_weight, x, block, 0);
      }
      add_block<kP, true>(sum, diagonal, decay, stage.decay_weight, x, mine, p.d[vh / g.pieces]);
      tile::store_rows<kP>(fixed.out[warp], sum, p.y + (row + mine * 16) * g.inner + vh * kP, g.inner, length - mine * 16, kP);
    }
    __syncthreads();
    load_stage(vh + stages);
  }
}

template <int kP, int kN>
void launch(const SsdChunkOutput& p, cudaStream_t stream) {
  using Tile = OutputTile<kP, kN>;
  const auto kernel = ssd_chunk_output_kernel<kP, kN>;
  const int stages = shared_memory_limit() >= Tile::bytes(2) ? 2 : 1;
  const std::size_t bytes = Tile::bytes(stages);
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)),
        "cudaFuncSetAttribute");
  const index_t blocks = index_t{p.g.batch} * p.g.chunks * p.g.groups;
  const int splits = best_split(blocks, p.g.group_virtual_heads, (kN <= 128 ? 2 : 1) * kMultiprocessors);
  kernel<<<dim3(p.g.groups * splits, p.g.chunks, p.g.batch), kScoreThreads, bytes, stream>>>(p, splits, stages);
  check_launch("ssd_chunk_output");
}

}  // namespace

void ssd_chunk_output(const SsdChunkOutput& p, cudaStream_t stream) {
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
