// Blocks of ssd_gradient.cu for the steps i that read: dC, the part of dB that flows through C·B, and the
// decays' terms.
//
// With E_ij = e^{s_i - s_j} Δ_j for j <= i, summed over the block's heads in fp32 accumulators:
//   dCB_ij = Σ_h E_ij (dy_i · x_j)     dC_i = Σ_h e^{s_i} h dy_i + Σ_j dCB_ij B_j     dB_j += Σ_i dCB_ij C_i
// and per head, from the same accumulators (so that what cancels in their cumulative sum does cancel):
//   W_ij = (C_i·B_j) E_ij (dy_i · x_j);  decay_term_i = Σ_j W_ij - Σ_k W_ki + e^{s_i} C_i · (h dy_i)
// Of the two warps of 16 steps i, one takes blocks 0, 1, 4 and 5 of 16 steps j and the other one the rest; of
// dC, each takes half the columns.
#pragma once

#include "reduce.cuh"
#include "ssd_gradient_block.cuh"
#include "warpgroup_mma.cuh"

namespace lmx::cuda {

template <int kP, int kN, int kPieces>
struct GradientReader {
  static constexpr int part = kPieces == 1 ? kN : 64;  // columns of C and B at a time while scores are made
  static constexpr int half = kN / 2;             // columns of dC of one warp
  static constexpr int own_tiles = kStepBlocks / kGradientShare;
  static constexpr int t_tiles = half < 32 ? half / 8 : 4;  // of 8 columns of h dy at a time
  struct alignas(tile::kPanelAlignment) Stage {
    tile::Panels<kP, kN> h;
    tile::Panels<kSsdChunk, kP> x;
    bf16 dy[kSsdChunk * kP];
    float decay[kSsdChunk];
    float decay_weight[kSsdChunk];
    // left by the computing warps
    float column_sums[kStepBlocks * (kStepBlocks + 1) / 2][16];  // Σ_i W_ij of one pair of blocks
    float row_sums[kGradientShare][kSsdChunk];                   // each warp's part of Σ_j W_ij + q_i
    Barrier full, empty;                                         // Hopper's (ssd_head_ring.cuh)
  };
  struct alignas(tile::kPanelAlignment) Fixed {
    Scores scores;
    bf16 c[kSsdChunk * kN];
  };
  static constexpr std::size_t bytes(int stages) {
    constexpr std::size_t scores = kPieces * kSsdChunk * part * sizeof(bf16);  // after the first of two stages
    constexpr std::size_t finish = kSsdChunk * kSsdChunk * sizeof(bf16);       // dCB, then B
    static_assert(kN <= kSsdChunk, "B fits where dCB does");
    std::size_t ring = stages * sizeof(Stage);
    const std::size_t before = (stages - 1) * sizeof(Stage);
    if (ring < before + scores) ring = before + scores;
    if (ring < finish) ring = finish;
    return sizeof(Fixed) + ring;
  }
  static constexpr int engine_stages = 3;
  static constexpr std::size_t engine_bytes() { return sizeof(Fixed) + engine_stages * sizeof(Stage); }

  static __device__ void run(const SsdGradient& p, unsigned char* shared_bytes, const GradientWork& work,
                             int piece, int stages) {
    auto& fixed = *reinterpret_cast<Fixed*>(shared_bytes);
    auto* const ring = reinterpret_cast<Stage*>(shared_bytes + sizeof(Fixed));
    const SsdGeometry& g = p.g;
    const GradientBlock k(p, work);
    const int n0 = piece * kN, valid_n = g.state - n0;
    const float inside = piece == 0 ? 1.0f : 0.0f;  // W belongs to the first piece alone
    Sums sums = {};
    const tile::Operands<kP> on_p;
    const tile::Operands<kN> on_n;
    const auto load = [&](int vh, Stage& stage) {
      const int thread = tile::thread_here();
      const tile::TileCopy<kSsdChunk, kP, kCopyThreads> copy_x(thread, g.channels, kP),
          copy_dy = copy_x.with_stride(g.inner);
      const index_t steps = k.steps + g.head_of(vh) * g.steps_per_head();
      copy_dy.start(stage.dy, k.dy + vh * kP, k.length);
      copy_x.start(stage.x.cells, k.x + vh * kP, k.length);
      stage.h.template start_copy<kCopyThreads>(thread, p.states + k.states + n0 + vh * g.cells_per_head(), g.state, valid_n);
      load_vector(stage.decay, p.steps.decay + steps, thread);
      load_vector(stage.decay_weight, p.steps.decay_weight + steps, thread - 32);
    };
    const bool copies = threadIdx.x < kCopyThreads;
    begin_walk(ring, k.first, k.last, stages, copies, load);
    {
      tile::Fragment unused[kPieces * kN / 16];
      bf16* const tiles = reinterpret_cast<bf16*>(ring + (stages - 1));
      make_scores<kGradientShare, part, kPieces * kN / part, true>(
          fixed.scores, unused, kPieces == 1 ? fixed.c : tiles + kSsdChunk * part, tiles, k.C, k.B, g.channels, k.length, g.state,
          k.mine);
      if (kPieces > 1) {
        tile::load_tile<kSsdChunk, kN, kGradientThreads>(fixed.c, k.C + n0, g.channels, k.length, valid_n);
        tile::commit_copies();
      }
    }
    walk_heads(ring, k.first, k.last, stages, copies, load,
               [&](int, Stage& stage) { add_head(sums, fixed, stage, on_p, on_n, k.mine, inside); },
               [&](int vh, const Stage& stage) {
                 const int step = tile::thread_here();
                 if (step < kSsdChunk) take_term<1>(p, k, stage, vh, piece, inside, step);
               });
    finish(p, k, sums, fixed, reinterpret_cast<bf16*>(ring), n0, valid_n);
  }

#if LMX_HOPPER
  // The same with the copy engine: what all threads do first, the helping warps, the computing ones.
  using Ring = HeadRing<engine_stages, Stage>;
  static __device__ __forceinline__ Stage* stages(unsigned char* shared_bytes) {
    return reinterpret_cast<Stage*>(shared_bytes + sizeof(Fixed));
  }
  static __device__ void begin(unsigned char* shared_bytes) { Ring(stages(shared_bytes), 0).make_barriers(kGradientWarps); }

  static __device__ void help(const SsdGradient& p, const GradientMaps& maps, unsigned char* shared_bytes, const GradientWork& work) {
    static_assert(kP == 64 && kPieces == 1 && kN >= 64, "panels of 64 columns");
    static_assert(kSsdChunk * kN * sizeof(bf16) <= offsetof(Stage, decay), "the barriers of the last stage, which makes scores");
    constexpr int copied_bytes = offsetof(Stage, column_sums);
    if (helper() != Helper::supplier) return;
    const SsdGeometry& g = p.g;
    const GradientBlock k(p, work);
    Ring(stages(shared_bytes), k.last - k.first)
        .template supply_heads<copied_bytes>(
            [] { wait_for_scores<1>(); },
            [&](int head, Stage& stage) {
              const int vh = k.first + head;
              const index_t steps = k.steps + g.head_of(vh) * g.steps_per_head();
              copy_steps(stage.x.cells, stage.dy, maps, k, vh, stage.full);
              copy_state(stage.h, maps.states, g, k, vh, stage.full);
              copy_vector(stage.decay, p.steps.decay + steps, stage.full);
              copy_vector(stage.decay_weight, p.steps.decay_weight + steps, stage.full);
            },
            [&](int head, const Stage& stage) { take_term<4>(p, k, stage, k.first + head, 0, 1.0f, threadIdx.x % 32 * 4); });
    __syncthreads();
  }

  static __device__ void compute(const SsdGradient& p, unsigned char* shared_bytes, const GradientWork& work) {
    auto& fixed = *reinterpret_cast<Fixed*>(shared_bytes);
    auto* const tiles = reinterpret_cast<bf16*>(stages(shared_bytes) + engine_stages - 1);
    const SsdGeometry& g = p.g;
    const GradientBlock k(p, work);
    {
      tile::Fragment unused[kN / 16];
      make_scores<kGradientShare, kN, 1, true>(fixed.scores, unused, fixed.c, tiles, k.C, k.B, g.channels, k.length, g.state, k.mine);
      show_scores();
    }
    Sums sums = {};
    const tile::Operands<kP> on_p;
    const tile::Operands<kN> on_n;
    Ring(stages(shared_bytes), k.last - k.first).use_heads([&](int, Stage& stage) {
      add_head(sums, fixed, stage, on_p, on_n, k.mine, 1.0f);
    });
    __syncthreads();  // the stages are free
    finish(p, k, sums, fixed, reinterpret_cast<bf16*>(stages(shared_bytes)), 0, g.state);
  }
#endif

 private:
  // What a warp sums over heads: dCB of its pairs of blocks, and the part of dC that comes through states.
  struct Sums {
    float dcb[own_tiles][2][4];
    float dc[half / 8][4];
  };

  // One head.
  static __device__ __forceinline__ void add_head(Sums& sums, const Fixed& fixed, Stage& stage, const tile::Operands<kP>& on_p,
                                                 const tile::Operands<kN>& on_n, StepOwner owner, float inside) {
    const int lane = threadIdx.x % 32, mine = owner.block;
    tile::Fragment dy[kP / 16];
#pragma unroll
    for (int q = 0; q < kP / 16; ++q) dy[q] = on_p.a(stage.dy, q * 16).at(mine * 16);
    const RowPair decay = row_values(stage.decay + mine * 16);
    RowPair sum = {0, 0};
    const RowPair keep = {tile::exp2_fast(decay.top), tile::exp2_fast(decay.bottom)};
#pragma unroll
    for (int s = 0; s < own_tiles; s += 2) {
      const int first = block_of(s, owner.share);
      if (first > last_of_warpgroup(mine)) break;
      float product[4][4];  // dy · xᵀ
      tile::begin_products();
      stage.x.start_transposed_product(product, dy, first * 16, false);
      tile::finish_products();
      tile::settle(product);
      if (first <= mine) add_block(sums.dcb[s], sum, fixed, stage, product[0], decay, first, mine);
      if (first < mine) add_block(sums.dcb[s + 1], sum, fixed, stage, product[2], decay, first + 1, mine);
    }
    const RowPair read = add_states(sums.dc, fixed, stage, on_n, dy, keep, mine, owner.share * half);
    const float top = tile::quad_sum(inside * sum.top + keep.top * read.top);
    const float bottom = tile::quad_sum(inside * sum.bottom + keep.bottom * read.bottom);
    if (lane % 4 == 0) {
      stage.row_sums[owner.share][mine * 16 + lane / 4] = top;
      stage.row_sums[owner.share][mine * 16 + lane / 4 + 8] = bottom;
    }
  }

  // A warp's s-th block of steps j: in pairs, so that a warpgroup makes the products of 32 steps at a time.
  static __device__ __forceinline__ int block_of(int s, int share) {
    return s / 2 * 4 + share * 2 + s % 2;
  }
  // The last block of steps i of a warp's warpgroup, whose warps make products together.
  static __device__ __forceinline__ int last_of_warpgroup(int block) { return block | 3; }

  // dCB and W of one pair of blocks; s: dy · xᵀ, two neighbouring accumulators.
  static __device__ __forceinline__ void add_block(float (&dcb)[2][4], RowPair& row_sum, const Fixed& fixed,
                                                   Stage& stage, const float* s, RowPair decay, int block,
                                                   int mine) {
    const ColumnValues columns = column_values(stage.decay_weight + block * 16);
    float e[2][4];
#pragma unroll
    for (int w = 0; w < 4; ++w) {
      const float2 column = pick(columns, w);
      e[w / 2][w % 2 * 2] = tile::exp2_fast(decay.of(w) - column.x);
      e[w / 2][w % 2 * 2 + 1] = tile::exp2_fast(decay.of(w) - column.y);
    }
    if (block == mine) keep_causal<0>(e);
#pragma unroll
    for (int q = 0; q < 2; ++q)
#pragma unroll
      for (int v = 0; v < 4; ++v) {
        e[q][v] *= s[q * 4 + v];
        dcb[q][v] += e[q][v];
      }
    if (block == mine) keep_causal<1>(e);  // W_ii is in both of its sums: nothing need cancel
    const tile::Fragment score = fixed.scores.load(block, mine);
    float column_sum[4] = {};  // columns 2t, 2t + 1, 2t + 8, 2t + 9
#pragma unroll
    for (int w = 0; w < 4; ++w) {
      const float left = e[w / 2][w % 2 * 2] * low_half(score.w[w]);
      const float right = e[w / 2][w % 2 * 2 + 1] * high_half(score.w[w]);
      row_sum.of(w) += left + right;
      column_sum[w / 2 * 2] += left;
      column_sum[w / 2 * 2 + 1] += right;
    }
    store_column_sums(column_sum, stage.column_sums[Scores::index(block, mine)]);
  }

  // Zero where j > i - kBelow.
  template <int kBelow>
  static __device__ __forceinline__ void keep_causal(float (&e)[2][4]) {
#pragma unroll
    for (int w = 0; w < 4; ++w) {
      const int last = fragment_row(w) - kBelow, j = fragment_column(w);
      if (j > last) e[w / 2][w % 2 * 2] = 0;
      if (j + 1 > last) e[w / 2][w % 2 * 2 + 1] = 0;
    }
  }

  // dC += e^{s_i} h dy_i over the warp's columns; returns its part of C_i · (h dy_i), before the sum over the
  // four threads of a row.
  static __device__ __forceinline__ RowPair add_states(float (&dc)[half / 8][4], const Fixed& fixed,
                                                       const Stage& stage, const tile::Operands<kN>& on_n,
                                                       const tile::Fragment (&dy)[kP / 16], RowPair keep,
                                                       int mine, int first) {
    RowPair read = {0, 0};
#pragma unroll
    for (int n = 0; n < half / 8; n += t_tiles) {
      float t[t_tiles][4];
      tile::begin_products();
      stage.h.start_product(t, dy, first + n * 8, false);
      tile::finish_products();
      tile::settle(t);
#pragma unroll
      for (int q = 0; q < t_tiles; q += 2) {
        add_products(read, on_n.a(fixed.c, first + (n + q) * 8).at(mine * 16), t[q], t[q + 1]);
      }
#pragma unroll
      for (int q = 0; q < t_tiles; ++q)
#pragma unroll
        for (int e = 0; e < 4; ++e) dc[n + q][e] += keep.of(e / 2) * t[q][e];
    }
    return read;
  }

  // Sums four columns over the eight rows' lanes that hold them: halves of the columns go to halves of the
  // lanes.
  static __device__ __forceinline__ void store_column_sums(const float (&v)[4], float* target) {
    const int lane = threadIdx.x % 32;
    const bool high = lane & 16, odd = lane & 8;
    const float a = (high ? v[2] : v[0]) + __shfl_xor_sync(~0u, high ? v[0] : v[2], 16);
    const float b = (high ? v[3] : v[1]) + __shfl_xor_sync(~0u, high ? v[1] : v[3], 16);
    float sum = (odd ? b : a) + __shfl_xor_sync(~0u, odd ? a : b, 8);
    sum += __shfl_xor_sync(~0u, sum, 4);
    if ((lane & 4) == 0) target[lane % 4 * 2 + (odd ? 1 : 0) + (high ? 8 : 0)] = sum;
  }

  // One head's decay terms of kSteps neighbouring steps, from the warps' parts.
  template <int kSteps>
  static __device__ __forceinline__ void take_term(const SsdGradient& p, const GradientBlock& k, const Stage& stage, int vh, int piece,
                                                   float inside, int step) {
    Steps<kSteps> columns = {};
#pragma unroll
    for (int later = 0; later < kStepBlocks; ++later) {
      if (later >= step / 16) columns.add(stage.column_sums[Scores::index(step / 16, later)] + step % 16);
    }
    Steps<kSteps> rows = {};
    rows.add(stage.row_sums[0] + step);
    rows.add(stage.row_sums[1] + step);
#pragma unroll
    for (int e = 0; e < kSteps; ++e) rows.v[e] -= inside * columns.v[e];
    rows.store(p.decay_term + piece * p.g.virtual_step_count() + k.terms + vh * p.g.steps_per_head() + step);
  }

  // dCBᵀ C and dC += dCB B, dCB going through shared memory in bf16.
  static __device__ __forceinline__ void finish(const SsdGradient& p, const GradientBlock& k, Sums& sums, const Fixed& fixed,
                                                bf16* shared, int n0, int valid_n) {
    const SsdGeometry& g = p.g;
    const tile::Operands<kN> on_n;
    const auto& dcb = sums.dcb;
    auto& dc = sums.dc;
    const int lane = threadIdx.x % 32, mine = k.mine.block, first = k.mine.share * half;
    const index_t partial_stride = index_t{g.groups} * g.state;
    const index_t partial_at = mine * 16 * partial_stride + index_t{k.group} * g.state + n0 + first;
    const tile::Operands<kSsdChunk> on_dcb;
#pragma unroll
    for (int s = 0; s < own_tiles; ++s) {
      const int block = block_of(s, k.mine.share);
      if (block > mine) break;
      const tile::Fragment f = tile::to_fragment(dcb[s][0], dcb[s][1]);
#pragma unroll
      for (int w = 0; w < 4; ++w) {
        bf16* const at = shared + tile::place<kSsdChunk>(mine * 16 + fragment_row(w), block * 2 + w / 2);
        reinterpret_cast<std::uint32_t*>(at)[lane % 4] = f.w[w];
      }
    }
    __syncthreads();
    {
      float db[half / 8][4] = {};
      const auto dcb_columns = on_dcb.a_trans(shared, mine * 16);
#pragma unroll 1
      for (int later = mine; later < kStepBlocks; ++later) {
        const tile::Fragment a = dcb_columns.at(later * 16);
#pragma unroll
        for (int n = 0; n < half / 16; ++n) {
          tile::mma(db[n * 2], db[n * 2 + 1], a, on_n.b_trans(fixed.c, first + n * 16).at(later * 16));
        }
      }
      store_partial<half>(db, p.db + p.partial(k.split, k.b, k.chunk) + partial_at, partial_stride,
                          valid_n - first);
    }
    tile::Fragment row[kStepBlocks];
#pragma unroll
    for (int block = 0; block < kStepBlocks; ++block) {
      if (block <= mine) row[block] = on_dcb.a(shared, block * 16).at(mine * 16);
    }
    __syncthreads();  // every warp is done with dCB: its place takes B
    tile::load_tile<kSsdChunk, kN, kGradientThreads>(shared, k.B + n0, g.channels, k.length, valid_n);
    tile::commit_copies();
    tile::wait_copies<0>();
    __syncthreads();
#pragma unroll
    for (int n = 0; n < half / 16; ++n) {
      const auto B = on_n.b_trans(shared, first + n * 16);
#pragma unroll
      for (int block = 0; block < kStepBlocks; ++block) {
        if (block <= mine) tile::mma(dc[n * 2], dc[n * 2 + 1], row[block], B.at(block * 16));
      }
    }
    if (p.splits > 1) {
      store_partial<half>(dc, p.dc + p.partial(k.split, k.b, k.chunk) + partial_at, partial_stride,
                          valid_n - first);
      return;
    }
    bf16* const target = p.dxbc + (k.row + mine * 16) * g.channels + (k.C - k.x) + n0 + first;
#pragma unroll
    for (int q = 0; q < half / 8; ++q) {
      const int column = q * 8 + lane % 4 * 2;
#pragma unroll
      for (int lower = 0; lower < 2; ++lower) {
        const int line = lane / 4 + lower * 8;
        if (first + column < valid_n && mine * 16 + line < k.length) {
          *reinterpret_cast<std::uint32_t*>(target + line * g.channels + column) =
              to_pair(dc[q][lower * 2], dc[q][lower * 2 + 1]);
        }
      }
    }
  }
};

}  // namespace lmx::cuda
