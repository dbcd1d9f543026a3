// How a block of threads walks the heads of a chunk: the tiles of the next head arrive while it computes one.
#pragma once

#include "mma_tile.cuh"
#include "ssd_geometry.cuh"
#include "warpgroup_mma.cuh"

namespace lmx::cuda {

// Starts the copies of the first head, into stage 0; nothing with a single stage. To be followed by walk_heads.
template <class Stage, class Load>
__device__ __forceinline__ void begin_walk(Stage* ring, int first, int last, int stages, bool copies, Load load) {
  if (stages != 2 || !copies || first >= last) return;
  load(first, ring[0]);
  tile::commit_copies();
}

// One barrier a head: `load` starts the copies of a head into a stage (copying threads only), `compute` uses
// them, `take` takes what it left there (copying threads only) while the next head is computed. With a single
// stage nothing overlaps.
template <class Stage, class Load, class Compute, class Take>
__device__ __forceinline__ void walk_heads(Stage* ring, int first, int last, int stages, bool copies,
                                           Load load, Compute compute, Take take) {
  const auto fill = [&](int vh, int slot) {
    load(vh, ring[slot]);
    tile::commit_copies();
  };
  int slot = 0;
  for (int vh = first; vh < last; ++vh) {
    const int other = stages == 2 ? 1 - slot : 0;
    if (stages == 1) {
      __syncthreads();
      if (copies && vh > first) take(vh - 1, ring[0]);
      if (copies) fill(vh, 0);
    }
    tile::wait_copies<0>();
    tile::show_copies();
    __syncthreads();
    if (stages == 2 && copies) {
      if (vh + 1 < last) fill(vh + 1, other);
      if (vh > first) take(vh - 1, ring[other]);
    }
    compute(vh, ring[slot]);
    slot = other;
  }
  __syncthreads();
  if (copies && first < last) take(last - 1, ring[stages == 2 ? 1 - slot : 0]);
  __syncthreads();  // the stages are free
}

// Starts copying a vector of a chunk's steps; `thread` of one warp.
__device__ __forceinline__ void load_vector(float* target, const float* source, int thread) {
  if (thread >= 0 && thread < 32) tile::copy_async(target + thread * 4, source + thread * 4);
}

}  // namespace lmx::cuda
