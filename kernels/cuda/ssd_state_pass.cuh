// The recurrence of SSD states over chunks, in both directions.
#pragma once

#include "ssd_geometry.cuh"

namespace lmx::cuda {

struct SsdStatePass {
  SsdGeometry g;
  const bf16* outer;  // x (forward) or dy (backward): the p index; rows `outer_stride` apart
  index_t outer_stride;
  const bf16* inner;  // B (forward) or C (backward): the n index; rows of xbc
  StridedOf<const bf16*> dt;
  const float* a_log;
  const float* dt_bias;
  const float* initial;  // (batch, heads, head_dim, state) or null = 0
  bf16* states;          // out, see SsdGeometry::states
  float* final;          // out, like initial, or null
  SsdSteps steps;        // out
};

// Forward:  states[c] = h at the start of chunk c,  h' = e^S h + Σ_j e^{S - s_j} Δ_j x_j ⊗ B_j.
void ssd_state_pass_forward(const SsdStatePass&, cudaStream_t);
// Backward: states[c] = dL/dh at the end of chunk c, G' = e^S G + Σ_i e^{s_i} dy_i ⊗ C_i, chunks in reverse.
void ssd_state_pass_backward(const SsdStatePass&, cudaStream_t);

}  // namespace lmx::cuda
