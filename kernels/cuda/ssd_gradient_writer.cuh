// Blocks of ssd_gradient.cu for the steps j that write to the state: dx, the rest of dB, and the terms of Δ and D.
//
//   V_j = e^{S - s_j} G B_j + Σ_{i>=j} (C_i·B_j) e^{s_i - s_j} dy_i
//   dx_j = Δ_j V_j + D dy_j          dB_j += Σ_h e^{S - s_j} Δ_j Gᵀ x_j           direct_j = x_j · V_j        skip = Σ_j dy_j · x_j
//   write_j = Δ_j x_j · (e^{S - s_j} G B_j), what dL gains per unit of S - s_j
// kN columns of the state dimension are in shared memory; kDx needs all of it, kDb accumulates dB over its kN columns from n0.
#pragma once

#include "reduce.cuh"
#include "ssd_gradient_block.cuh"

namespace lmx::cuda {

template <int kP, int kN, bool kDx, bool kDb>
struct GradientWriter {
  static constexpr int part = kN < 64 ? kN : 64;
  struct Stage {
    bf16 dy[kDx ? kSsdChunk * kP : 64];
    bf16 x[kSsdChunk * kP];
    bf16 grad[kP * kN];
    float decay[kSsdChunk];
    float delta[kSsdChunk];
  };
  struct Fixed {
    ScorePairs pairs;
    bf16 out[kScoreWarps][16 * kP];
    float skip[kScoreWarps];
  };
  static constexpr std::size_t bytes(int stages) {
    constexpr std::size_t scores = 2 * kSsdChunk * part * sizeof(bf16);
    const std::size_t ring = stages * sizeof(Stage);
    return sizeof(Fixed) + (ring > scores ? ring : scores);
  }

  static __device__ void run(const SsdGradient& p, unsigned char* shared_bytes, int group_and_split, int n0,
                             int stages) {
    auto& fixed = *reinterpret_cast<Fixed*>(shared_bytes);
    auto* const ring = reinterpret_cast<Stage*>(shared_bytes + sizeof(Fixed));
    const SsdGeometry& g = p.g;
    const GradientBlock k(p, group_and_split);
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, mine = k.mine, valid_n = g.state - n0;

    tile::Fragment b_own[kN / 16], diagonal;
    if constexpr (kDx) {
      diagonal = load_scores<part, kN / part, false>(fixed.pairs, b_own, reinterpret_cast<bf16*>(ring), k.B, k.C,
                                                     g.channels, k.length, g.state, mine);
    }
    const auto load_stage = [&](int vh) {
      if (vh < k.last) {
        Stage& stage = ring[(vh - k.first) % stages];
        if (kDx) tile::load_tile<kSsdChunk, kP, kScoreThreads>(stage.dy, k.dy + vh * kP, g.inner, k.length, kP);
        tile::load_tile<kSsdChunk, kP, kScoreThreads>(stage.x, k.x + vh * kP, g.channels, k.length, kP);
        tile::load_tile<kP, kN, kScoreThreads>(stage.grad, p.grads + g.state_at(k.b, k.chunk, vh) + n0, g.state, kP,
                                               valid_n);
        const index_t steps = g.steps(k.b, vh / g.pieces, k.chunk, g.heads) + lane * 4;
        if (warp == 0) tile::copy_async(stage.decay + lane * 4, p.steps.decay + steps, true);
        if (warp == 1) tile::copy_async(stage.delta + lane * 4, p.steps.delta + steps, true);
      }
      tile::commit_copies();
    };
    for (int s = 0; s < stages; ++s) load_stage(k.first + s);

    float db[kN / 8][4] = {};
    for (int vh = k.first; vh < k.last; ++vh) {
      if (stages == 2) {
        tile::wait_copies<1>();
      } else {
        tile::wait_copies<0>();
      }
      __syncthreads();
      const Stage& stage = ring[(vh - k.first) % stages];
      const RowPair decay = row_values(stage.decay + mine * 16), delta = row_values(stage.delta + mine * 16);
      const float total = stage.decay[kSsdChunk - 1];
      const RowPair left = {tile::exp2_fast(fminf(total - decay.top, 0.0f)),
                            tile::exp2_fast(fminf(total - decay.bottom, 0.0f))};
      tile::Fragment x[kP / 16];
#pragma unroll
      for (int q = 0; q < kP / 16; ++q) x[q] = tile::a_blocks<kP>(stage.x, q * 16).at(mine * 16);

      if constexpr (kDx) {
        const float skip = write_dx(p, k, stage, fixed, b_own, diagonal, x, decay, delta, left, vh);
        if (lane == 0) fixed.skip[warp] = skip;
      }
      if constexpr (kDb) {
        const RowPair weight = {left.top * delta.top, left.bottom * delta.bottom};
#pragma unroll
        for (int n = 0; n < kN / 16; ++n) {
          const auto grad = tile::b_trans_blocks<kN>(stage.grad, n * 16);
          float t[2][4] = {};
#pragma unroll
          for (int q = 0; q < kP / 16; ++q) tile::mma(t[0], t[1], x[q], grad.at(q * 16));
#pragma unroll
          for (int e = 0; e < 4; ++e) {
            db[n * 2][e] += weight.of(e / 2) * t[0][e];
            db[n * 2 + 1][e] += weight.of(e / 2) * t[1][e];
          }
        }
      }
      __syncthreads();
      load_stage(vh + stages);
      if (kDx && threadIdx.x == 0) {
        float sum = 0;
        for (int w = 0; w < kScoreWarps; ++w) sum += fixed.skip[w];
        p.skip_term[(index_t{k.b} * g.chunks + k.chunk) * g.virtual_heads + vh] = sum;
      }
    }
    if constexpr (kDb) {
      const index_t stride = index_t{g.groups} * g.state;
      store_partial<kN>(db, p.db + p.partial(p.splits + k.split, k.b, k.chunk) + mine * 16 * stride +
                                index_t{k.group} * g.state + n0,
                        stride, valid_n);
    }
  }

 private:
  // V, dx and the terms of one head's 16 steps; returns the warp's Σ dy·x.
  static __device__ __forceinline__ float write_dx(const SsdGradient& p, const GradientBlock& k, const Stage& stage,
                                                   Fixed& fixed, const tile::Fragment (&b_own)[kN / 16],
                                                   const tile::Fragment& diagonal, const tile::Fragment (&x)[kP / 16],
                                                   RowPair decay, RowPair delta, RowPair left, int vh) {
    const SsdGeometry& g = p.g;
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, mine = k.mine;
    float v[kP / 8][4] = {};
#pragma unroll
    for (int n = 0; n < kN / 16; ++n) {
      const auto grad = tile::b_blocks<kN>(stage.grad, n * 16);
#pragma unroll
      for (int q = 0; q < kP / 8; q += 2) tile::mma(v[q], v[q + 1], b_own[n], grad.at(q * 8));
    }
    RowPair write = {0, 0};
#pragma unroll
    for (int q = 0; q < kP / 8; ++q)
#pragma unroll
      for (int e = 0; e < 4; ++e) v[q][e] *= left.of(e / 2);
#pragma unroll
    for (int q = 0; q < kP / 16; ++q) add_products(write, x[q], v[q * 2], v[q * 2 + 1]);

#pragma unroll 2
    for (int later = mine + 1; later < kScoreWarps; ++later) {
      add_block<false>(v, fixed.pairs.load(mine, later), decay, stage, later);
    }
    add_block<true>(v, diagonal, decay, stage, mine);

    RowPair direct = {0, 0};
    float skip = 0;
    const float d = p.d[vh / g.pieces];
#pragma unroll
    for (int q = 0; q < kP / 16; ++q) {
      add_products(direct, x[q], v[q * 2], v[q * 2 + 1]);
      const tile::Fragment dy = tile::a_blocks<kP>(stage.dy, q * 16).at(mine * 16);
#pragma unroll
      for (int w = 0; w < 4; ++w) {
        float(&sum)[4] = v[q * 2 + w / 2];
        const float low = low_half(dy.w[w]), high = high_half(dy.w[w]);
        skip += low * low_half(x[q].w[w]) + high * high_half(x[q].w[w]);
        sum[w % 2 * 2] = delta.of(w) * sum[w % 2 * 2] + d * low;
        sum[w % 2 * 2 + 1] = delta.of(w) * sum[w % 2 * 2 + 1] + d * high;
      }
    }
    tile::store_rows<kP>(fixed.out[warp], v, p.dxbc + (k.row + mine * 16) * g.channels + vh * kP, g.channels,
                         k.length - mine * 16, kP);
    const RowPair write_total = {tile::quad_sum(write.top) * delta.top, tile::quad_sum(write.bottom) * delta.bottom};
    const RowPair direct_total = {tile::quad_sum(direct.top), tile::quad_sum(direct.bottom)};
    if (lane % 4 == 0) {
      const index_t at = k.term(g, vh) + mine * 16 + lane / 4;
      p.write_term[at] = write_total.top;
      p.write_term[at + 8] = write_total.bottom;
      p.direct_term[at] = direct_total.top;
      p.direct_term[at + 8] = direct_total.bottom;
    }
    return warp_sum(skip);
  }

  // Adds what 16 later steps i read of the warp's steps: rows j, columns i.
  template <bool kDiagonal>
  static __device__ __forceinline__ void add_block(float (&v)[kP / 8][4], const tile::Fragment& score, RowPair decay,
                                                   const Stage& stage, int later) {
    const ColumnValues columns = column_values(stage.decay + later * 16);
    tile::Fragment m;
#pragma unroll
    for (int w = 0; w < 4; ++w) {
      const float2 column = pick(columns, w);
      float left = low_half(score.w[w]) * tile::exp2_fast(column.x - decay.of(w));
      float right = high_half(score.w[w]) * tile::exp2_fast(column.y - decay.of(w));
      if constexpr (kDiagonal) {
        const int j = fragment_row(w), i = fragment_column(w);
        left = i >= j ? left : 0.0f;
        right = i + 1 >= j ? right : 0.0f;
      }
      m.w[w] = to_pair(left, right);
    }
#pragma unroll
    for (int q = 0; q < kP / 8; q += 2) {
      tile::mma(v[q], v[q + 1], m, tile::b_trans_blocks<kP>(stage.dy, q * 8).at(later * 16));
    }
  }
};

}  // namespace lmx::cuda
