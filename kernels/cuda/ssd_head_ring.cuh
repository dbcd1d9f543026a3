// How a block of threads walks the heads of a chunk on Hopper: one warp, the supplier, has the copy engine bring the tiles of the next
// heads into a ring of stages and takes what the other warps leave in them; these wait for tiles alone, not for one another.
//
// A stage has two barriers, `full` and `empty`. `full` has two arrivals a head, both the supplier's: copies are under way, and what the
// head before left in the stage is taken.
#pragma once

#include "hopper.cuh"

#if LMX_HOPPER

namespace lmx::cuda {

template <int kStages, class Stage>
class HeadRing {
 public:
  __device__ __forceinline__ HeadRing(Stage* stages, int heads) : stages_(stages), heads_(heads) {}

  // One thread, before __syncthreads().
  __device__ __forceinline__ void make_barriers(int using_warps) const {
#pragma unroll
    for (int i = 0; i < kStages; ++i) {
      hopper::make_barrier(stages_[i].full, 2);
      hopper::make_barrier(stages_[i].empty, using_warps);
    }
    hopper::show_barriers();
  }

  using Turn = hopper::Turn<kStages>;

  // A warp that uses stages: use(head, stage).
  template <class Use>
  __device__ __forceinline__ void use_heads(Use use) const {
    Turn turn;
    for (int head = 0; head < heads_; ++head) use_next(turn, [&](Stage& stage) { use(head, stage); });
  }
  // The same, one head at a time.
  template <class Use>
  __device__ __forceinline__ void use_next(Turn& turn, Use use) const {
    Stage& stage = stages_[turn.slot];
    hopper::wait(stage.full, turn.parity);
    use(stage);
    __syncwarp();
    if (threadIdx.x % 32 == 0) hopper::arrive(stage.empty);
    turn.advance();
  }

  // The supplier. One lane calls load(head, stage), which starts copies of kBytes that complete on stage.full; the warp calls
  // take(head, stage) when all are done with the head: it reads what they left, the copies of the stage's next head are under way.
  // wait_for_last(): until the last stage, which serves other ends before, is free.
  template <int kBytes, class Wait, class Load, class Take>
  __device__ __forceinline__ void supply_heads(Wait wait_for_last, Load load, Take take) const {
    const bool leads = threadIdx.x % 32 == 0;
    const auto start = [&](int head, Stage& stage) {
      if (!leads || head >= heads_) return;
      hopper::arrive_expecting(stage.full, kBytes);
      load(head, stage);
    };
    const auto allow = [&](int head, Stage& stage) {
      if (leads && head < heads_) hopper::arrive(stage.full);
    };
#pragma unroll 1
    for (int head = 0; head < kStages; ++head) {
      if (head == kStages - 1) wait_for_last();
      start(head, stages_[head]);
      allow(head, stages_[head]);
    }
    Turn turn;
#pragma unroll 1
    for (int head = 0; head < heads_; ++head) {
      Stage& stage = stages_[turn.slot];
      hopper::wait(stage.empty, turn.parity);
      __syncwarp();
      start(head + kStages, stage);
      take(head, stage);
      __syncwarp();
      allow(head + kStages, stage);
      turn.advance();
    }
  }

 private:
  Stage* stages_;
  int heads_;
};

}  // namespace lmx::cuda

#endif  // LMX_HOPPER
