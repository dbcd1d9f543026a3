// Blocks of ssd_gradient.cu for the steps i that read: dC, the part of dB that flows through C·B, and the decays' terms.
//
// With E_ij = e^{s_i - s_j} Δ_j for j <= i, summed over the block's heads in fp32 accumulators:
//   dCB_ij = Σ_h E_ij (dy_i · x_j)          dC_i = Σ_h e^{s_i} h dy_i + Σ_j dCB_ij B_j         dB_j += Σ_i dCB_ij C_i
// and per head, from the same accumulators (so that what cancels in their cumulative sum does cancel):
//   W_ij = (C_i·B_j) E_ij (dy_i · x_j);  decay_term_i = Σ_j W_ij - Σ_k W_ki + e^{s_i} C_i · (h dy_i);  carry = e^S <h, G>
#pragma once

#include "reduce.cuh"
#include "ssd_gradient_block.cuh"

namespace lmx::cuda {

template <int kP, int kN, int kPieces>
struct GradientReader {
  static constexpr int part = kN < 64 ? kN : 64;  // columns of C and B at a time while scores are made
  struct Stage {
    bf16 dy[kSsdChunk * kP];
    bf16 x[kSsdChunk * kP];
    bf16 h[kP * kN];
    float decay[kSsdChunk];
    float decay_weight[kSsdChunk];
  };
  struct Fixed {
    ScorePairs pairs;
    bf16 c[kSsdChunk * kN];
    float column_sums[kScoreWarps * (kScoreWarps + 1) / 2][16];  // Σ_i W_ij of one pair of blocks
    float row_sums[kSsdChunk];
    float carry[kScoreWarps];
  };
  static constexpr std::size_t bytes(int stages) {
    constexpr std::size_t scores = 2 * kSsdChunk * part * sizeof(bf16);
    constexpr std::size_t finish = kSsdChunk * (kN > kSsdChunk ? kN : kSsdChunk) * sizeof(bf16);
    std::size_t ring = stages * sizeof(Stage);
    if (ring < scores) ring = scores;
    if (ring < finish) ring = finish;
    return sizeof(Fixed) + ring;
  }
  static __device__ __forceinline__ int pair_index(int earlier, int later) { return later * (later + 1) / 2 + earlier; }

  static __device__ void run(const SsdGradient& p, unsigned char* shared_bytes, int group_and_split, int piece,
                             int stages) {
    auto& fixed = *reinterpret_cast<Fixed*>(shared_bytes);
    auto* const ring = reinterpret_cast<Stage*>(shared_bytes + sizeof(Fixed));
    const SsdGeometry& g = p.g;
    const GradientBlock k(p, group_and_split);
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, mine = k.mine;
    const int n0 = piece * kN, valid_n = g.state - n0;

    tile::Fragment diagonal;
    {
      tile::Fragment unused[kPieces * kN / 16];
      diagonal = load_scores<part, kPieces * kN / part, true>(fixed.pairs, unused, reinterpret_cast<bf16*>(ring), k.C,
                                                              k.B, g.channels, k.length, g.state, mine);
    }
    const auto load_stage = [&](int vh) {
      if (vh < k.last) {
        Stage& stage = ring[(vh - k.first) % stages];
        tile::load_tile<kSsdChunk, kP, kScoreThreads>(stage.dy, k.dy + vh * kP, g.inner, k.length, kP);
        tile::load_tile<kSsdChunk, kP, kScoreThreads>(stage.x, k.x + vh * kP, g.channels, k.length, kP);
        tile::load_tile<kP, kN, kScoreThreads>(stage.h, p.states + g.state_at(k.b, k.chunk, vh) + n0, g.state, kP,
                                               valid_n);
        const index_t steps = g.steps(k.b, vh / g.pieces, k.chunk, g.heads) + lane * 4;
        if (warp == 0) tile::copy_async(stage.decay + lane * 4, p.steps.decay + steps, true);
        if (warp == 1) tile::copy_async(stage.decay_weight + lane * 4, p.steps.decay_weight + steps, true);
      }
      tile::commit_copies();
    };
    tile::load_tile<kSsdChunk, kN, kScoreThreads>(fixed.c, k.C + n0, g.channels, k.length, valid_n);
    for (int s = 0; s < stages; ++s) load_stage(k.first + s);

    // G goes straight to registers, a head ahead; nothing here needs it as an operand.
    constexpr int units = kP * kN / 8, per_thread = (units + kScoreThreads - 1) / kScoreThreads;
    uint4 grad[per_thread];
    const auto load_grad = [&](int vh) {
#pragma unroll
      for (int u = 0; u < per_thread; ++u) {
        const int index = threadIdx.x + u * kScoreThreads, row = index / (kN / 8), column = index % (kN / 8) * 8;
        const bool valid = vh < k.last && index < units && column < valid_n;
        grad[u] = valid ? *reinterpret_cast<const uint4*>(p.grads + g.state_at(k.b, k.chunk, vh) + row * g.state + n0 +
                                                          column)
                        : uint4{0, 0, 0, 0};
      }
    };
    load_grad(k.first);

    float dcb[kScoreWarps][2][4] = {};
    float dc[kN / 8][4] = {};
    for (int vh = k.first; vh < k.last; ++vh) {
      if (stages == 2) {
        tile::wait_copies<1>();
      } else {
        tile::wait_copies<0>();
      }
      __syncthreads();
      const Stage& stage = ring[(vh - k.first) % stages];

      float carry = 0;
#pragma unroll
      for (int u = 0; u < per_thread; ++u) {
        const int index = threadIdx.x + u * kScoreThreads;
        if (units % kScoreThreads != 0 && index >= units) break;
        const Floats a = unpack(grad[u]);
        const Floats h = unpack(*reinterpret_cast<const uint4*>(
            stage.h + tile::place<kN>(index / (kN / 8), index % (kN / 8))));
#pragma unroll
        for (int e = 0; e < kPack; ++e) carry += a.v[e] * h.v[e];
      }
      carry = warp_sum(carry) * tile::exp2_fast(stage.decay[kSsdChunk - 1]);
      if (lane == 0) fixed.carry[warp] = carry;

      tile::Fragment dy[kP / 16];
#pragma unroll
      for (int q = 0; q < kP / 16; ++q) dy[q] = tile::a_blocks<kP>(stage.dy, q * 16).at(mine * 16);
      const RowPair decay = row_values(stage.decay + mine * 16);
      RowPair row_sum = {0, 0};
#pragma unroll
      for (int block = 0; block < kScoreWarps; ++block) {
        if (block > mine) break;
        float s[2][4] = {};
#pragma unroll
        for (int q = 0; q < kP / 16; ++q) {
          tile::mma(s[0], s[1], dy[q], tile::b_blocks<kP>(stage.x, q * 16).at(block * 16));
        }
        tile::Fragment score = diagonal;
        if (block < mine) score = fixed.pairs.load(block, mine);
        const ColumnValues columns = column_values(stage.decay_weight + block * 16);
        float column_sum[4] = {};  // columns 2t, 2t + 1, 2t + 8, 2t + 9
#pragma unroll
        for (int w = 0; w < 4; ++w) {
          const float2 column = pick(columns, w);
          float left = s[w / 2][w % 2 * 2] * tile::exp2_fast(decay.of(w) - column.x);
          float right = s[w / 2][w % 2 * 2 + 1] * tile::exp2_fast(decay.of(w) - column.y);
          if (block == mine) {
            const int i = fragment_row(w), j = fragment_column(w);
            left = j <= i ? left : 0.0f;
            right = j + 1 <= i ? right : 0.0f;
          }
          dcb[block][w / 2][w % 2 * 2] += left;
          dcb[block][w / 2][w % 2 * 2 + 1] += right;
          if (block == mine) {  // W_ii is in both sums: left out, so that nothing has to cancel
            const int i = fragment_row(w), j = fragment_column(w);
            left = j < i ? left : 0.0f;
            right = j + 1 < i ? right : 0.0f;
          }
          left *= low_half(score.w[w]);
          right *= high_half(score.w[w]);
          row_sum.of(w) += left + right;
          column_sum[w / 2 * 2] += left;
          column_sum[w / 2 * 2 + 1] += right;
        }
        store_column_sums(column_sum, fixed.column_sums[pair_index(block, mine)]);
      }

      const RowPair keep = {tile::exp2_fast(decay.top), tile::exp2_fast(decay.bottom)};
      RowPair read = {0, 0};  // C_i · (h dy_i)
#pragma unroll
      for (int n = 0; n < kN / 16; ++n) {
        const auto h = tile::b_trans_blocks<kN>(stage.h, n * 16);
        float t[2][4] = {};
#pragma unroll
        for (int q = 0; q < kP / 16; ++q) tile::mma(t[0], t[1], dy[q], h.at(q * 16));
        add_products(read, tile::a_blocks<kN>(fixed.c, n * 16).at(mine * 16), t[0], t[1]);
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          dc[n * 2][e] += keep.of(e / 2) * t[0][e];
          dc[n * 2 + 1][e] += keep.of(e / 2) * t[1][e];
        }
      }
      const float inside = piece == 0 ? 1.0f : 0.0f;  // W belongs to the first piece of the state dimension alone
      const float top = tile::quad_sum(inside * row_sum.top + keep.top * read.top);
      const float bottom = tile::quad_sum(inside * row_sum.bottom + keep.bottom * read.bottom);
      if (lane % 4 == 0) {
        fixed.row_sums[mine * 16 + lane / 4] = top;
        fixed.row_sums[mine * 16 + lane / 4 + 8] = bottom;
      }
      __syncthreads();
      load_stage(vh + stages);
      load_grad(vh + 1);
      if (threadIdx.x < kSsdChunk) {
        const int block = threadIdx.x / 16;
        float columns = 0;
        for (int later = block; later < kScoreWarps; ++later) {
          columns += fixed.column_sums[pair_index(block, later)][threadIdx.x % 16];
        }
        p.decay_term[piece * g.virtual_step_count() + k.term(g, vh) + threadIdx.x] =
            fixed.row_sums[threadIdx.x] - inside * columns;
      } else if (threadIdx.x == kSsdChunk) {
        float total = 0;
        for (int w = 0; w < kScoreWarps; ++w) total += fixed.carry[w];
        p.carry_term[((index_t{piece} * g.batch + k.b) * g.chunks + k.chunk) * g.virtual_heads + vh] = total;
      }
    }
    finish(p, k, dcb, dc, fixed, reinterpret_cast<bf16*>(ring), piece, n0, valid_n);
  }

 private:
  // Sums four columns over the eight rows' lanes that hold them: halves of the columns go to halves of the lanes.
  static __device__ __forceinline__ void store_column_sums(const float (&v)[4], float* target) {
    const int lane = threadIdx.x % 32;
    const bool high = lane & 16, odd = lane & 8;
    const float a = (high ? v[2] : v[0]) + __shfl_xor_sync(~0u, high ? v[0] : v[2], 16);
    const float b = (high ? v[3] : v[1]) + __shfl_xor_sync(~0u, high ? v[1] : v[3], 16);
    float sum = (odd ? b : a) + __shfl_xor_sync(~0u, odd ? a : b, 8);
    sum += __shfl_xor_sync(~0u, sum, 4);
    if ((lane & 4) == 0) target[lane % 4 * 2 + (odd ? 1 : 0) + (high ? 8 : 0)] = sum;
  }

  // dC += dCB B, and dCBᵀ C.
  static __device__ __forceinline__ void finish(const SsdGradient& p, const GradientBlock& k,
                                                const float (&dcb)[kScoreWarps][2][4], float (&dc)[kN / 8][4],
                                                Fixed& fixed, bf16* shared, int piece, int n0, int valid_n) {
    const SsdGeometry& g = p.g;
    const int lane = threadIdx.x % 32, mine = k.mine;
    const index_t partial_stride = index_t{g.groups} * g.state, partial_column = index_t{k.group} * g.state + n0;
    tile::Fragment own[kScoreWarps];
#pragma unroll
    for (int block = 0; block < kScoreWarps; ++block) own[block] = tile::to_fragment(dcb[block][0], dcb[block][1]);

    tile::wait_copies<0>();
    tile::load_tile<kSsdChunk, kN, kScoreThreads>(shared, k.B + n0, g.channels, k.length, valid_n);
    tile::commit_copies();
    tile::wait_copies<0>();
    __syncthreads();
#pragma unroll
    for (int n = 0; n < kN / 16; ++n) {
      const auto B = tile::b_trans_blocks<kN>(shared, n * 16);
#pragma unroll
      for (int block = 0; block < kScoreWarps; ++block) {
        if (block <= mine) tile::mma(dc[n * 2], dc[n * 2 + 1], own[block], B.at(block * 16));
      }
    }
    if (p.splits == 1) {
      bf16* const target = p.dxbc + (k.row + mine * 16) * g.channels + (k.C - k.x) + n0;
#pragma unroll
      for (int q = 0; q < kN / 8; ++q) {
        const int column = q * 8 + lane % 4 * 2;
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          const int row = lane / 4 + half * 8;
          if (column < valid_n && mine * 16 + row < k.length) {
            *reinterpret_cast<std::uint32_t*>(target + row * g.channels + column) =
                to_pair(dc[q][half * 2], dc[q][half * 2 + 1]);
          }
        }
      }
    } else {
      store_partial<kN>(dc, p.dc + p.partial(k.split, k.b, k.chunk) + mine * 16 * partial_stride + partial_column,
                        partial_stride, valid_n);
    }

    __syncthreads();  // every warp is done with B: its place takes dCB
#pragma unroll
    for (int block = 0; block < kScoreWarps; ++block) {
      if (block > mine) break;
#pragma unroll
      for (int w = 0; w < 4; ++w) {
        bf16* const at = shared + tile::place<kSsdChunk>(mine * 16 + fragment_row(w), block * 2 + w / 2);
        reinterpret_cast<std::uint32_t*>(at)[lane % 4] = own[block].w[w];
      }
    }
    __syncthreads();
    float db[kN / 8][4] = {};
    const auto dcb_columns = tile::a_trans_blocks<kSsdChunk>(shared, mine * 16);
#pragma unroll 1
    for (int later = mine; later < kScoreWarps; ++later) {
      const tile::Fragment a = dcb_columns.at(later * 16);
#pragma unroll
      for (int n = 0; n < kN / 16; ++n) {
        tile::mma(db[n * 2], db[n * 2 + 1], a, tile::b_trans_blocks<kN>(fixed.c, n * 16).at(later * 16));
      }
    }
    store_partial<kN>(db, p.db + p.partial(k.split, k.b, k.chunk) + mine * 16 * partial_stride + partial_column,
                      partial_stride, valid_n);
  }
};

}  // namespace lmx::cuda
