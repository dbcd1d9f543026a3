// The outputs of an SSD scan from the states at the chunks' starts.
#pragma once

#include "ssd_geometry.cuh"

namespace lmx::cuda {

struct SsdChunkOutput {
  SsdGeometry g;
  const bf16* xbc;
  const bf16* states;
  const float* d;
  SsdSteps steps;
  bf16* y;
};

// y_i = Σ_{j<=i} (C_i·B_j) e^{s_i - s_j} Δ_j x_j + e^{s_i} h C_i + D x_i
void ssd_chunk_output(const SsdChunkOutput&, cudaStream_t);

}  // namespace lmx::cuda
