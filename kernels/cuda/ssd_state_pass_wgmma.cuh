// The state pass on Hopper (compute capability 9.0) with wgmma and the copy engine; the meaning of every argument is that of
// ssd_state_pass.cuh.
#pragma once

#include "ssd_state_pass.cuh"

namespace lmx::cuda {

// Whether there is such a kernel for the shape; whether the current device can run it.
bool ssd_state_pass_wgmma_takes(const SsdGeometry&);
bool ssd_state_pass_wgmma_runs();

void ssd_state_pass_wgmma_forward(const SsdStatePass&, cudaStream_t);
void ssd_state_pass_wgmma_backward(const SsdStatePass&, cudaStream_t);

}  // namespace lmx::cuda
