// Blocks of ssd_gradient.cu for the steps j that write to the state: dx, the rest of dB, and the terms of Δ,
// D and the chunk as a whole.
//
//   V_j = e^{S - s_j} G B_j + Σ_{i>=j} (C_i·B_j) e^{s_i - s_j} dy_i
//   dx_j = Δ_j V_j + D dy_j      dB_j += Σ_h e^{S - s_j} Δ_j Gᵀ x_j
// and the terms direct_j = x_j · V_j, skip = Σ_j dy_j · x_j, and what dL gains per unit of S - s_j and of S:
//   write_j = Δ_j x_j · (e^{S - s_j} G B_j)      carry = e^S <h, G>
// V is formed relative to r = s at the end of the warp's 16 steps: V_j = e^{r - s_j} (e^{S - r} G B_j + Σ_{i
// after} (C_i·B_j) e^{s_i - r} dy_i) + the warp's own steps with exact exponents. Of the two warps of 16
// steps, each takes half the channels of V and half the columns of dB. kN columns of the state dimension are
// in shared memory; kDx needs all of it, kDb accumulates dB from column n0.
#pragma once

#include "reduce.cuh"
#include "ssd_gradient_block.cuh"
#include "warpgroup_mma.cuh"

namespace lmx::cuda {

template <int kP, int kN, bool kDx, bool kDb>
struct GradientWriter {
  static constexpr int part = kDb || kN < 64 ? kN : 64;  // columns of B and C at a time while scores are made
  static constexpr int half_p = kP / 2, half_n = kN / 2;
  using State = tile::Panels<kP, kN>;
  using StateCopy = typename State::template Copy<kGradientThreads>;
  struct alignas(tile::kPanelAlignment) Stage {
    State grad;
    bf16 x[kSsdChunk * kP];
    bf16 dy[kDx ? kSsdChunk * kP : 64];
    float decay[kSsdChunk];
    float delta[kSsdChunk];
    // left by the computing warps
    float terms[kGradientShare][2][kSsdChunk];  // each warp's part of write and direct
    float skip[kGradientWarps], carry[kGradientWarps];
  };
  // With Hopper's copy engine (ssd_head_ring.cuh): h is there too, and states are in a ring of their own, since the products that need
  // them come first.
  struct alignas(tile::kPanelAlignment) EngineStates {
    State grad, h;
    Barrier full, empty;
  };
  struct alignas(tile::kPanelAlignment) EngineStage {
    bf16 x[kSsdChunk * kP], dy[kSsdChunk * kP];
    float decay[kSsdChunk], delta[kSsdChunk];
    float terms[kGradientShare][2][kSsdChunk];
    float skip[kGradientWarps][8], carry[kGradientWarps][8];  // each warp's parts
    Barrier full, empty;
  };
  static constexpr int engine_stages = 2;
  struct alignas(tile::kPanelAlignment) Fixed {
    Scores scores;
    bf16 b[kDx && kDb ? kSsdChunk * kN : 64];
    bf16 out[kGradientWarps][16 * half_p];
    ColumnDecays decays[kGradientWarps];
  };
  static constexpr std::size_t bytes(int stages) {
    constexpr std::size_t scores = kDx ? (kDb ? 1 : 2) * kSsdChunk * part * sizeof(bf16) : 0;  // after the first of two stages
    const std::size_t ring = stages * sizeof(Stage), with_scores = (stages - 1) * sizeof(Stage) + scores;
    return sizeof(Fixed) + (ring > with_scores ? ring : with_scores);
  }
  static constexpr std::size_t engine_bytes() { return sizeof(Fixed) + engine_stages * (sizeof(EngineStates) + sizeof(EngineStage)); }

  static __device__ void run(const SsdGradient& p, unsigned char* shared_bytes, const GradientWork& work, int n0,
                             int stages) {
    auto& fixed = *reinterpret_cast<Fixed*>(shared_bytes);
    auto* const ring = reinterpret_cast<Stage*>(shared_bytes + sizeof(Fixed));
    const SsdGeometry& g = p.g;
    const GradientBlock k(p, work);
    const int mine = k.mine.block, valid_n = g.state - n0;
    tile::Fragment b_own[kN / 16];  // where dB does not take the registers; else in shared memory
    const tile::Operands<kP> on_p;
    const tile::Operands<kN> on_n;
    float db[half_n / 8][4] = {};
    const auto load = [&](int vh, Stage& stage) {
      const int thread = tile::thread_here() - kCopyThreads;
      const tile::TileCopy<kSsdChunk, kP, kCopyThreads> copy_x(thread, g.channels, kP),
          copy_dy = copy_x.with_stride(g.inner);
      const index_t steps = k.steps + g.head_of(vh) * g.steps_per_head();
      if (kDx) copy_dy.start(stage.dy, k.dy + vh * kP, k.length);
      copy_x.start(stage.x, k.x + vh * kP, k.length);
      stage.grad.template start_copy<kCopyThreads>(thread, p.grads + k.states + n0 + vh * g.cells_per_head(), g.state, valid_n);
      load_vector(stage.decay, p.steps.decay + steps, thread);
      load_vector(stage.delta, p.steps.delta + steps, thread - 32);
    };
    const bool copies = threadIdx.x >= kCopyThreads;
    begin_walk(ring, k.first, k.last, stages, copies, load);
    if constexpr (kDx) {
      bf16* const tiles = reinterpret_cast<bf16*>(ring + (stages - 1));
      make_scores<kGradientShare, part, kN / part, false>(fixed.scores, b_own, kDb ? fixed.b : tiles + kSsdChunk * part, tiles, k.B,
                                                          k.C, g.channels, k.length, g.state, k.mine);
    }
    const auto compute = [&](int vh, Stage& stage) {
      // h goes straight to registers: it is no operand here, only <h, G> is wanted.
      uint4 h[kDx ? StateCopy::rounds * State::count : 1];
      if constexpr (kDx) read_state(h, p.states + k.states + vh * g.cells_per_head(), g.state, valid_n);
      float v[half_p / 8][4];
      multiply(v, db, b_own, fixed, stage, on_p, on_n, k.mine);
      if constexpr (kDx) {
        const float skip = write_dx(p, k.mine, stage, fixed, on_p, v, vh);
        tile::store_rows<half_p>(fixed.out[threadIdx.x / 32], v,
                                 p.dxbc + (k.row + mine * 16) * g.channels + vh * kP + k.mine.share * half_p, g.channels,
                                 k.length - mine * 16, half_p);
        add_sums(stage, skip, h, g.state, valid_n);
      }
    };
    walk_heads(ring, k.first, k.last, stages, copies, load, compute,
               [&](int vh, const Stage& stage) {
                 if (kDx) take_terms(p, k, stage, vh);
               });
    if constexpr (kDb) store_db(p, k, db, n0);
  }

#if LMX_HOPPER
  // The same with the copy engine: what all threads do first, the helping warps, the computing ones.
  using Ring = HeadRing<engine_stages, EngineStage>;
  using StateRing = HeadRing<engine_stages, EngineStates>;
  static __device__ __forceinline__ EngineStates* states(unsigned char* shared_bytes) {
    return reinterpret_cast<EngineStates*>(shared_bytes + sizeof(Fixed));
  }
  static __device__ __forceinline__ EngineStage* stages(unsigned char* shared_bytes) {
    return reinterpret_cast<EngineStage*>(states(shared_bytes) + engine_stages);
  }
  static __device__ void begin(unsigned char* shared_bytes) {
    StateRing(states(shared_bytes), 0).make_barriers(kGradientWarps);
    Ring(stages(shared_bytes), 0).make_barriers(kGradientWarps);
  }

  static __device__ void help(const SsdGradient& p, const GradientMaps& maps, unsigned char* shared_bytes, const GradientWork& work) {
    static_assert(kP == 64 && kN >= 64 && kDx && kDb, "panels of 64 columns");
    const GradientBlock k(p, work);
    switch (helper()) {
      case Helper::supplier: return supply_steps(p, maps, shared_bytes, k);
      case Helper::state_supplier: return supply_states(p, maps, shared_bytes, k);
      default: return;
    }
  }

  static __device__ void compute(const SsdGradient& p, const GradientMaps& maps, unsigned char* shared_bytes, const GradientWork& work) {
    auto& fixed = *reinterpret_cast<Fixed*>(shared_bytes);
    auto* const tiles = reinterpret_cast<bf16*>(states(shared_bytes) + engine_stages - 1);
    const SsdGeometry& g = p.g;
    const GradientBlock k(p, work);
    tile::Fragment b_own[kN / 16];  // rows of B, then of b
    make_scores<kGradientShare, kN, 1, false>(fixed.scores, b_own, fixed.b, tiles, k.B, k.C, g.channels, k.length, g.state, k.mine);
    auto& b = *reinterpret_cast<tile::Panels<kSsdChunk, kN>*>(fixed.b);
    keep_rows(b, b_own, k.mine);
    show_scores();
    const tile::Operands<kP> on_p;
    float db[half_n / 8][4] = {};
    const int heads = k.last - k.first;
    const StateRing state_ring(states(shared_bytes), heads);
    const Ring ring(stages(shared_bytes), heads);
    typename StateRing::Turn state_turn;
    typename Ring::Turn turn;
    for (int head = 0; head < heads; ++head) {
      const int vh = k.first + head;
      // Of V and dx a warp takes rows at both ends of the chunk in turn: the first have more later steps.
      const StepOwner rows = {head % 2 == 0 ? k.mine.block : kStepBlocks - 1 - k.mine.block, k.mine.share};
      float v[half_p / 8][4];
      ring.use_next(turn, [&](EngineStage& stage) {
        tile::Fragment x[kP / 16];
        load_weighted(x, stage, on_p, k.mine.block);
        state_ring.use_next(state_turn, [&](const EngineStates& state) {
          tile::begin_products();
          state.grad.start_transposed_product(v, b, rows.block / 4 * 64, rows.share * half_p, false);
          state.grad.start_product(db, x, k.mine.share * half_n, true);
          hopper::commit_products();
          add_sums(stage, state, on_p);
          hopper::wait_products<0>();
          tile::settle(db);
          tile::settle(v);
          hopper::settle(x);
        });
        write_dx(p, rows, stage, fixed, on_p, v, vh);
      });
      store_box(fixed, maps.dx, k, rows, v, vh);
    }
    if (threadIdx.x % 32 == 0) hopper::wait_stores_read();
    store_db(p, k, db, 0);
  }
#endif

 private:
  // v = G B_j over the warp's half of the channels; db += e^{S - s_j} Δ_j Gᵀ x_j over its half of the columns.
  template <class Stage>
  static __device__ __forceinline__ void multiply(float (&v)[half_p / 8][4], float (&db)[half_n / 8][4],
                                                  const tile::Fragment (&b_own)[kN / 16], const Fixed& fixed, const Stage& stage,
                                                  const tile::Operands<kP>& on_p, const tile::Operands<kN>& on_n, StepOwner owner) {
    tile::Fragment b[kN / 16], x[kP / 16];
    if constexpr (kDx) {
#pragma unroll
      for (int n = 0; n < kN / 16; ++n) b[n] = kDb ? on_n.a(fixed.b, n * 16).at(owner.block * 16) : b_own[n];
    }
    if constexpr (kDb) load_weighted(x, stage, on_p, owner.block);
    tile::begin_products();
    if constexpr (kDx) stage.grad.start_transposed_product(v, b, owner.share * half_p, false);
    if constexpr (kDb) stage.grad.start_product(db, x, owner.share * half_n, true);
    tile::finish_products();
    if constexpr (kDb) tile::settle(db);
    if constexpr (kDx) tile::settle(v);
  }

  // V, dx and the terms of one head's 16 steps, over the warp's half of the channels; v: G B_j, then dx. Returns the thread's part of
  // dy · x.
  template <class Stage>
  static __device__ __forceinline__ float write_dx(const SsdGradient& p, StepOwner rows, Stage& stage, Fixed& fixed,
                                                   const tile::Operands<kP>& on_p, float (&v)[half_p / 8][4], int vh) {
    const SsdGeometry& g = p.g;
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, mine = rows.block;
    const int channel = rows.share * half_p;
    const float reference = stage.decay[mine * 16 + 15];
    fixed.decays[warp].template fill<true>(stage.decay, reference);
    const float left = tile::exp2_fast(fminf(stage.decay[kSsdChunk - 1] - reference, 0.0f));
    tile::Fragment x[half_p / 16];
    RowPair write = {0, 0};
#pragma unroll
    for (int q = 0; q < half_p / 16; ++q) {
      x[q] = on_p.a(stage.x, channel + q * 16).at(mine * 16);
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        v[q * 2][e] *= left;
        v[q * 2 + 1][e] *= left;
      }
      add_products(write, x[q], v[q * 2], v[q * 2 + 1]);
    }
#pragma unroll 1
    for (int later = mine + 1; later < kStepBlocks; later += 2) {  // two blocks at a time
      const bool two = later + 1 < kStepBlocks;
      const tile::Fragment near = fixed.scores.load(mine, later),
                           far = fixed.scores.load(mine, two ? later + 1 : later);
      tile::Fragment dy[2][half_p / 16];
#pragma unroll
      for (int q = 0; q < half_p / 16; ++q) {
        const auto column = on_p.b_trans(stage.dy, channel + q * 16);
        dy[0][q] = column.at(later * 16);
        dy[1][q] = column.at(two ? later * 16 + 16 : later * 16);
      }
      const tile::Fragment m = fixed.decays[warp].apply(near, later);
#pragma unroll
      for (int q = 0; q < half_p / 16; ++q) tile::mma(v[q * 2], v[q * 2 + 1], m, dy[0][q]);
      if (!two) break;
      const tile::Fragment m1 = fixed.decays[warp].apply(far, later + 1);
#pragma unroll
      for (int q = 0; q < half_p / 16; ++q) tile::mma(v[q * 2], v[q * 2 + 1], m1, dy[1][q]);
    }
    const RowPair decay = row_values(stage.decay + mine * 16), delta = row_values(stage.delta + mine * 16);
    const RowPair since = {tile::exp2_fast(reference - decay.top), tile::exp2_fast(reference - decay.bottom)};
#pragma unroll
    for (int q = 0; q < half_p / 8; ++q)
#pragma unroll
      for (int e = 0; e < 4; ++e) v[q][e] *= since.of(e / 2);
    const tile::Fragment own =
        own_steps(fixed.scores.load(mine, mine), decay, column_values(stage.decay + mine * 16));
#pragma unroll
    for (int q = 0; q < half_p / 8; q += 2) {
      tile::mma(v[q], v[q + 1], own, on_p.b_trans(stage.dy, channel + q * 8).at(mine * 16));
    }

    RowPair direct = {0, 0};
    float skip = 0;
    const float d = p.d[g.head_of(vh)];
#pragma unroll
    for (int q = 0; q < half_p / 16; ++q) {
      add_products(direct, x[q], v[q * 2], v[q * 2 + 1]);
      const tile::Fragment dy = on_p.a(stage.dy, channel + q * 16).at(mine * 16);
#pragma unroll
      for (int w = 0; w < 4; ++w) {
        float(&sum)[4] = v[q * 2 + w / 2];
        const float low = low_half(dy.w[w]), high = high_half(dy.w[w]);
        skip += low * low_half(x[q].w[w]) + high * high_half(x[q].w[w]);
        sum[w % 2 * 2] = delta.of(w) * sum[w % 2 * 2] + d * low;
        sum[w % 2 * 2 + 1] = delta.of(w) * sum[w % 2 * 2 + 1] + d * high;
      }
    }
    const RowPair write_sum = {tile::quad_sum(write.top) * since.top * delta.top,
                               tile::quad_sum(write.bottom) * since.bottom * delta.bottom};
    const RowPair direct_sum = {tile::quad_sum(direct.top), tile::quad_sum(direct.bottom)};
    if (lane % 4 == 0) {
      const int at = mine * 16 + lane / 4;
      stage.terms[rows.share][0][at] = write_sum.top;
      stage.terms[rows.share][0][at + 8] = write_sum.bottom;
      stage.terms[rows.share][1][at] = direct_sum.top;
      stage.terms[rows.share][1][at + 8] = direct_sum.bottom;
    }
    return skip;
  }

#if LMX_HOPPER
  static __device__ __forceinline__ void supply_steps(const SsdGradient& p, const GradientMaps& maps, unsigned char* shared_bytes,
                                                      const GradientBlock& k) {
    constexpr int copied_bytes = offsetof(EngineStage, terms);
    const SsdGeometry& g = p.g;
    const int lane = threadIdx.x % 32;
    const index_t sums = (index_t{k.b} * g.chunks + k.chunk) * g.virtual_heads + k.first;
    Ring(stages(shared_bytes), k.last - k.first)
        .template supply_heads<copied_bytes>(
            [] { wait_for_scores<1>(); },
            [&](int head, EngineStage& stage) {
              const int vh = k.first + head;
              const index_t steps = k.steps + g.head_of(vh) * g.steps_per_head();
              copy_steps(stage.x, stage.dy, maps, k, vh, stage.full);
              copy_vector(stage.decay, p.steps.decay + steps, stage.full);
              copy_vector(stage.delta, p.steps.delta + steps, stage.full);
              if (vh + 1 < k.last) prefetch_steps(maps, k, vh + 1);
            },
            [&](int head, const EngineStage& stage) {
              take_term<4>(p, k, stage, k.first + head, 0, lane * 4);
              take_term<4>(p, k, stage, k.first + head, 1, lane * 4);
              static_assert(kGradientWarps * 8 == 32 * 4, "four parts a lane");
              const float skip = warp_sum(sum_of_four(stage.skip[0] + lane * 4));
              const float carry = warp_sum(sum_of_four(stage.carry[0] + lane * 4));
              if (lane != 0) return;
              p.skip_term[sums + head] = skip;
              p.carry_term[sums + head] = carry;
            });
  }
  static __device__ __forceinline__ void supply_states(const SsdGradient& p, const GradientMaps& maps, unsigned char* shared_bytes,
                                                       const GradientBlock& k) {
    static_assert(kSsdChunk * kN * sizeof(bf16) <= offsetof(EngineStates, full), "the barriers of the last stage, which makes scores");
    StateRing(states(shared_bytes), k.last - k.first)
        .template supply_heads<offsetof(EngineStates, full)>(
            [] { wait_for_scores<1>(); },
            [&](int head, EngineStates& stage) {
              const int vh = k.first + head;
              copy_state(stage.grad, maps.grads, p.g, k, vh, stage.full);
              copy_state(stage.h, maps.states, p.g, k, vh, stage.full);
              if (vh + 1 == k.last) return;
              prefetch_state<kN>(maps.grads, p.g, k, vh + 1);
              prefetch_state<kN>(maps.states, p.g, k, vh + 1);
            },
            [](int, const EngineStates&) {});
  }
  static __device__ __forceinline__ float sum_of_four(const float* at) {
    const float4 v = *reinterpret_cast<const float4*>(at);
    return v.x + v.y + (v.z + v.w);
  }

  // The warp's parts of Σ dy · x and of e^S <h, G>, while its warpgroup's products are made.
  static __device__ __forceinline__ void add_sums(EngineStage& stage, const EngineStates& state, const tile::Operands<kP>& on_p) {
    constexpr int blocks = kN / 64;  // of the state's columns, a warp
    const int warp = __shfl_sync(~0u, threadIdx.x / 32, 0), place = warp / 4 * blocks, panel = place / 4 * State::panel_cells;
    const int row = warp / 2 * 16 * kP, state_row = warp % 4 * 16 * 64;
    keep_diagonal(stage.skip[warp], diagonal_of_product<kP / 32>(on_p, stage.dy + row, stage.x + row, warp % 2 * half_p));
    const float carry = diagonal_of_product<blocks>(on_p, state.h.cells + panel + state_row, state.grad.cells + panel + state_row,
                                                    place % 4 * 16);
    keep_diagonal(stage.carry[warp], carry * tile::exp2_fast(stage.decay[kSsdChunk - 1]));
  }

  // A warp's rows of B in panels, where its warpgroup's product finds them: in the order of warps.
  static __device__ __forceinline__ void keep_rows(tile::Panels<kSsdChunk, kN>& b, const tile::Fragment (&rows)[kN / 16],
                                                   StepOwner owner) {
    const int lane = threadIdx.x % 32, row = owner.block / 4 * 64 + threadIdx.x / 32 % 4 * 16 + lane % 16;
    if (owner.share != 0) return;
#pragma unroll
    for (int n = 0; n < kN / 16; ++n) {
      const bf16* const at = b.cells + n / 4 * b.panel_cells + tile::place<64>(row, n % 4 * 2 + lane / 16);
      hopper::store_fragment(tile::shared_address(at), rows[n]);
    }
  }

  // dx of the warp's 16 steps and half of the channels, by the copy engine.
  static __device__ __forceinline__ void store_box(Fixed& fixed, const CUtensorMap& map, const GradientBlock& k,
                                                   StepOwner rows, const float (&dx)[half_p / 8][4], int vh) {
    const int lane = threadIdx.x % 32, row = lane % 16, warp = threadIdx.x / 32;
    bf16* const out = fixed.out[warp];
    const std::uint32_t own = tile::shared_address(out + tile::place<half_p>(row, lane / 16));
    if (lane == 0) hopper::wait_stores_read();  // of the head before
    __syncwarp();
#pragma unroll
    for (int q = 0; q < half_p / 16; ++q) hopper::store_fragment(own ^ q * 32, tile::to_fragment(dx[q * 2], dx[q * 2 + 1]));
    hopper::show_writes();
    __syncwarp();
    if (lane == 0) {
      const int step = k.chunk * static_cast<int>(kSsdChunk) + rows.block * 16;
      hopper::store_box(map, out, vh * kP + rows.share * half_p, step, k.b);
      hopper::commit_stores();
    }
  }
#endif

  static __device__ __forceinline__ void store_db(const SsdGradient& p, const GradientBlock& k, const float (&db)[half_n / 8][4],
                                                  int n0) {
    const index_t stride = index_t{p.g.groups} * p.g.state;
    const int first = k.mine.share * half_n;
    store_partial<half_n>(db,
                          p.db + p.partial(p.splits + k.split, k.b, k.chunk) + k.mine.block * 16 * stride +
                              index_t{k.group} * p.g.state + n0 + first,
                          stride, p.g.state - n0 - first);
  }

  // This thread's units of one head's h, in the places of G's.
  template <int kUnits>
  static __device__ __forceinline__ void read_state(uint4 (&h)[kUnits], const bf16* state, index_t stride, int valid_n) {
#pragma unroll
    for (int c = 0; c < State::count; ++c) {
      const StateCopy copy(tile::thread_here(), stride, valid_n - c * State::width);
#pragma unroll
      for (int i = 0; i < StateCopy::rounds; ++i) {
        h[c * StateCopy::rounds + i] = copy.read(state + c * State::width, i, kP);
      }
    }
  }

  // The warp's parts of dy · x and of e^S <h, G>.
  template <int kUnits>
  static __device__ __forceinline__ void add_sums(Stage& stage, float skip, const uint4 (&h)[kUnits], index_t stride, int valid_n) {
    float sum = 0;
#pragma unroll
    for (int c = 0; c < State::count; ++c) {
      const StateCopy copy(tile::thread_here(), stride, valid_n - c * State::width);
#pragma unroll
      for (int i = 0; i < StateCopy::rounds; ++i) {
        const Floats a = unpack(h[c * StateCopy::rounds + i]);
        const Floats b = unpack(copy.read_tile(stage.grad.cells + c * State::panel_cells, i));
#pragma unroll
        for (int e = 0; e < kPack; ++e) sum += a.v[e] * b.v[e];
      }
    }
    skip = warp_sum(skip);
    sum = warp_sum(sum) * tile::exp2_fast(stage.decay[kSsdChunk - 1]);
    if (threadIdx.x % 32 == 0) {
      stage.skip[threadIdx.x / 32] = skip;
      stage.carry[threadIdx.x / 32] = sum;
    }
  }

  // e^{S - s_j} Δ_j x_j of the warp's steps as operands; of the weights two bf16 each, so that only the product is rounded.
  template <class Stage>
  static __device__ __forceinline__ void load_weighted(tile::Fragment (&x)[kP / 16], const Stage& stage,
                                                       const tile::Operands<kP>& on_p, int mine) {
    const RowPair decay = row_values(stage.decay + mine * 16), delta = row_values(stage.delta + mine * 16);
    const float total = stage.decay[kSsdChunk - 1];
    const float top = tile::exp2_fast(fminf(total - decay.top, 0.0f)) * delta.top;
    const float bottom = tile::exp2_fast(fminf(total - decay.bottom, 0.0f)) * delta.bottom;
    const std::uint32_t weight[2] = {to_pair(top, top), to_pair(bottom, bottom)};
    const float top_rest = top - low_half(weight[0]), bottom_rest = bottom - low_half(weight[1]);
    const std::uint32_t rest[2] = {to_pair(top_rest, top_rest), to_pair(bottom_rest, bottom_rest)};
#pragma unroll
    for (int q = 0; q < kP / 16; ++q) {
      x[q] = on_p.a(stage.x, q * 16).at(mine * 16);
#pragma unroll
      for (int w = 0; w < 4; ++w) x[q].w[w] = tile::multiply_pairs(x[q].w[w], weight[w % 2], rest[w % 2]);
    }
  }

  // What the warp's own steps read of each other: rows j, columns i, exact decays.
  static __device__ __forceinline__ tile::Fragment own_steps(const tile::Fragment& score, RowPair decay,
                                                             const ColumnValues& columns) {
    tile::Fragment m;
#pragma unroll
    for (int w = 0; w < 4; ++w) {
      const float2 column = pick(columns, w);
      const int j = fragment_row(w), i = fragment_column(w);
      const float left = low_half(score.w[w]) * tile::exp2_fast(column.x - decay.of(w));
      const float right = high_half(score.w[w]) * tile::exp2_fast(column.y - decay.of(w));
      m.w[w] = to_pair(i >= j ? left : 0.0f, i + 1 >= j ? right : 0.0f);
    }
    return m;
  }

  // One head's terms of kSteps neighbouring steps, from the warps' parts; kind 0: write, 1: direct.
  template <int kSteps, class Stage>
  static __device__ __forceinline__ void take_term(const SsdGradient& p, const GradientBlock& k, const Stage& stage, int vh, int kind,
                                                   int step) {
    Steps<kSteps> sum = {};
    sum.add(stage.terms[0][kind] + step);
    sum.add(stage.terms[1][kind] + step);
    sum.store((kind == 0 ? p.write_term : p.direct_term) + k.terms + vh * p.g.steps_per_head() + step);
  }
  static __device__ __forceinline__ void store_sums(const SsdGradient& p, const GradientBlock& k, int vh, float skip, float carry) {
    const index_t at = (index_t{k.b} * p.g.chunks + k.chunk) * p.g.virtual_heads + vh;
    p.skip_term[at] = skip;
    p.carry_term[at] = carry;
  }
  static __device__ __forceinline__ void take_terms(const SsdGradient& p, const GradientBlock& k, const Stage& stage, int vh) {
    const int thread = tile::thread_here() - kCopyThreads;
    take_term<1>(p, k, stage, vh, thread / kSsdChunk, thread % kSsdChunk);
    if (thread >= 32) return;
    static_assert(kGradientWarps == 16 && kCopyThreads == 2 * kSsdChunk, "half for each sum");
    float total = thread < 16 ? stage.skip[thread] : stage.carry[thread - 16];
#pragma unroll
    for (int offset = 8; offset > 0; offset /= 2) total += __shfl_xor_sync(~0u, total, offset);
    const float carry = __shfl_down_sync(~0u, total, 16);
    if (thread == 0) store_sums(p, k, vh, total, carry);
  }
};

}  // namespace lmx::cuda
