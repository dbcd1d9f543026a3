// Blocks of ssd_gradient.cu for the steps i that read: dC, the part of dB that flows through C·B, and the
// decays' terms.
//
// With E_ij = e^{s_i - s_j} Δ_j for j <= i, summed over the block's heads in fp32 accumulators:
//   dCB_ij = Σ_h E_ij (dy_i · x_j)     dC_i = Σ_h e^{s_i} h dy_i + Σ_j dCB_ij B_j     dB_j += Σ_i dCB_ij C_i
// and per head, from the same accumulators (so that what cancels in their cumulative sum does cancel):
//   W_ij = (C_i·B_j) E_ij (dy_i · x_j);  decay_term_i = Σ_j W_ij - Σ_k W_ki + e^{s_i} C_i · (h dy_i)
// Of dC, each of the two warps of 16 steps i takes half the columns. Pairs of blocks (i, j) go to warps as in TilesOf, nine to each
// warpgroup: rows of late steps have more of them.
#pragma once

#include "reduce.cuh"
#include "ssd_gradient_block.cuh"
#include "warpgroup_mma.cuh"

namespace lmx::cuda {

template <int kP, int kN, int kPieces>
struct GradientReader {
  static constexpr int part = kPieces == 1 ? kN : 64;  // columns of C and B at a time while scores are made
  static constexpr int half = kN / 2;             // columns of dC of one warp
  static constexpr int own_tiles = 3;
  static constexpr int warpgroups = kGradientWarps / 4;
  static constexpr int t_tiles = half < 32 ? half / 8 : 4;  // of 8 columns of h dy at a time
  struct alignas(tile::kPanelAlignment) Stage {
    tile::Panels<kP, kN> h;
    tile::Panels<kSsdChunk, kP> x;
    bf16 dy[kSsdChunk * kP];
    float decay[kSsdChunk];
    float decay_weight[kSsdChunk];
    // left by the computing warps
    float column_sums[kStepBlocks * (kStepBlocks + 1) / 2][16];  // Σ_i W_ij of one pair of blocks
    float row_sums[warpgroups][kSsdChunk];                       // each warpgroup's part of Σ_j W_ij + q_i
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
              if (vh + 1 == k.last) return;
              prefetch_steps(maps, k, vh + 1);
              prefetch_state<kN>(maps.states, g, k, vh + 1);
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

  // The pairs of blocks (steps i, steps j) of a warp: two neighbouring blocks j, then one, each with the rows i of one warp of either
  // half of the chunk, b and 7 - b. A warpgroup makes the products of its four warps together; those with j > i are left out.
  //   rows of steps 64 ...: blocks j   0 1 | 2 3 | 4 5 | 6 | 7      rows of steps 0 ...: 0 1 | 2 | 3
  //   warpgroup                         2     3     1    0   2                            0    1   3
  struct TilesOf {
    int pair_rows, pair, single_rows, single;

    __device__ __forceinline__ explicit TilesOf(StepOwner owner) {
      const int other = kStepBlocks - 1 - owner.block, low = min(owner.block, other), high = max(owner.block, other);
      switch (warpgroup_of(owner)) {
        case 0: pair_rows = low, pair = 0, single_rows = high, single = 6; break;
        case 1: pair_rows = high, pair = 4, single_rows = low, single = 2; break;
        case 2: pair_rows = high, pair = 0, single_rows = high, single = 7; break;
        default: pair_rows = high, pair = 2, single_rows = low, single = 3; break;
      }
    }
    __device__ __forceinline__ int rows(int s) const { return s < 2 ? pair_rows : single_rows; }
    __device__ __forceinline__ int block(int s) const { return s < 2 ? pair + s : single; }
  };
  static __device__ __forceinline__ int warpgroup_of(StepOwner owner) { return owner.block / 4 * 2 + owner.share; }

  // One head.
  static __device__ __forceinline__ void add_head(Sums& sums, const Fixed& fixed, Stage& stage, const tile::Operands<kP>& on_p,
                                                 const tile::Operands<kN>& on_n, StepOwner owner, float inside) {
    const int mine = owner.block;
    const TilesOf tiles(owner);
    const RowPair pair = add_blocks<2>(sums.dcb, fixed, stage, on_p, tiles.pair_rows, tiles.pair);
    const RowPair single = add_blocks<1>(sums.dcb + 2, fixed, stage, on_p, tiles.single_rows, tiles.single);
    const RowPair own = decays_of(stage, mine);
    const RowPair keep = {tile::exp2_fast(own.top), tile::exp2_fast(own.bottom)};
    const RowPair read = add_states(sums.dc, fixed, stage, on_n, steps_of(stage, on_p, mine), keep, mine, owner.share * half);
    const auto sum_of = [&](float of_pair, float of_single, bool own_rows) {
      return inside * ((tiles.pair_rows == mine) == own_rows ? of_pair : 0.0f) +
             inside * ((tiles.single_rows == mine) == own_rows ? of_single : 0.0f);
    };
    float* const target = stage.row_sums[warpgroup_of(owner)];
    store_rows(target + mine * 16, {sum_of(pair.top, single.top, true) + keep.top * read.top,
                                    sum_of(pair.bottom, single.bottom, true) + keep.bottom * read.bottom});
    store_rows(target + (kStepBlocks - 1 - mine) * 16,
               {sum_of(pair.top, single.top, false), sum_of(pair.bottom, single.bottom, false)});
  }

  // A warp's rows of dy, and of decays.
  struct Rows {
    tile::Fragment f[kP / 16];
  };
  static __device__ __forceinline__ Rows steps_of(const Stage& stage, const tile::Operands<kP>& on_p, int block) {
    Rows dy;
#pragma unroll
    for (int q = 0; q < kP / 16; ++q) dy.f[q] = on_p.a(stage.dy, q * 16).at(block * 16);
    return dy;
  }
  static __device__ __forceinline__ RowPair decays_of(const Stage& stage, int block) { return row_values(stage.decay + block * 16); }

  // Row by row the sum over the four threads that have parts of it.
  static __device__ __forceinline__ void store_rows(float* target, RowPair sum) {
    const int lane = threadIdx.x % 32;
    sum = {tile::quad_sum(sum.top), tile::quad_sum(sum.bottom)};
    if (lane % 4 != 0) return;
    target[lane / 4] = sum.top;
    target[lane / 4 + 8] = sum.bottom;
  }

  // kBlocks neighbouring blocks j of a block of steps i; returns the sums of W over them, row by row.
  template <int kBlocks>
  static __device__ __forceinline__ RowPair add_blocks(float (*dcb)[2][4], const Fixed& fixed, Stage& stage,
                                                       const tile::Operands<kP>& on_p, int rows, int first) {
    float product[kBlocks * 2][4];  // dy · xᵀ
    const Rows dy = steps_of(stage, on_p, rows);
    tile::begin_products();
    stage.x.start_transposed_product(product, dy.f, first * 16, false);
    tile::finish_products();
    tile::settle(product);
    const RowPair decay = decays_of(stage, rows);
    RowPair sum = {0, 0};
#pragma unroll
    for (int s = 0; s < kBlocks; ++s) {
      if (first + s <= rows) add_block(dcb[s], sum, fixed, stage, product[s * 2], decay, first + s, rows);
    }
    return sum;
  }

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
                                                       const Rows& dy, RowPair keep, int mine, int first) {
    RowPair read = {0, 0};
#pragma unroll
    for (int n = 0; n < half / 8; n += t_tiles) {
      float t[t_tiles][4];
      tile::begin_products();
      stage.h.start_product(t, dy.f, first + n * 8, false);
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
#pragma unroll
    for (int w = 0; w < warpgroups; ++w) rows.add(stage.row_sums[w] + step);
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
    const TilesOf tiles(k.mine);
#pragma unroll
    for (int s = 0; s < own_tiles; ++s) {
      const int block = tiles.block(s), rows = tiles.rows(s);
      if (block > rows) continue;
      const tile::Fragment f = tile::to_fragment(dcb[s][0], dcb[s][1]);
#pragma unroll
      for (int w = 0; w < 4; ++w) {
        bf16* const at = shared + tile::place<kSsdChunk>(rows * 16 + fragment_row(w), block * 2 + w / 2);
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
