// Half of a relu2 MLP as one kernel: a product whose accumulators meet the activation before they leave the multiprocessor, so that
// the wide tensor is not read again. What there is to choose from, and what an operand must be; mlp.h chooses.
//
// Compiled on CUTLASS for compute capability 9.0 alone, and only where its headers were found: elsewhere there are no candidates
// (mlp_fused_absent.cu).
#pragma once

#include <cuda_runtime.h>

#include <vector>

#include "../backend.h"
#include "hopper_device.h"
#include "pack.cuh"
#include "tuning.h"

namespace lmx::cuda {

enum class MlpHalf { forward, backward };

// Forward: x (rows, hidden), w_up (up_width, hidden) -> a (rows, width), the activation of u = x · w_upᵀ, rounded; and u itself into
// `saved` where it is kept. Backward: dy (rows, hidden), w_down (hidden, width) and what the forward saved, u or a -> du (rows, up_width),
// dy · w_down, rounded, times the slope.
struct MlpOperands {
  const bf16* input;
  const bf16* weight;
  bf16* saved;  // null for a forward that keeps no u
  bf16* result;
};

struct FusedMlp {
  const char* name;
  // Lets the current device run it: once before the first launch, not while a stream is capturing.
  void (*allow)();
  // Enqueues; no workspace. For what fused_mlp_takes.
  void (*launch)(const MlpShape&, const MlpOperands&, cudaStream_t);
};

// The candidates of this build.
const std::vector<FusedMlp>& fused_mlp_forward();
const std::vector<FusedMlp>& fused_mlp_backward();
inline const std::vector<FusedMlp>& fused_mlp(MlpHalf half) {
  return half == MlpHalf::forward ? fused_mlp_forward() : fused_mlp_backward();
}

// Whether the current device runs them.
inline bool fused_mlp_device() { return is_hopper(); }

// Rows are copied in bulk: they start at, and are, multiples of 16 bytes. Sizes are ints there.
inline bool fused_mlp_takes(const MlpShape& s, const MlpOperands& o) {
  constexpr index_t kMost = index_t{1} << 30;
  const auto fits = [](index_t size) { return size > 0 && size <= kMost; };
  return s.activation == Activation::relu2 && !s.gated && fits(s.rows) && fits(s.hidden) && fits(s.width) && s.hidden % 8 == 0 &&
         s.width % 8 == 0 && alignment_of(o.input) >= 16 && alignment_of(o.weight) >= 16 && alignment_of(o.saved) >= 16 &&
         alignment_of(o.result) >= 16;
}

}  // namespace lmx::cuda
