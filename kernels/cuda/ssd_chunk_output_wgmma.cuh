// The outputs of chunks on Hopper (compute capability 9.0) with wgmma and the copy engine; the meaning of every argument is that of
// ssd_chunk_output.cuh.
#pragma once

#include "ssd_chunk_output.cuh"

namespace lmx::cuda {

// Whether there is such a kernel for the shape; whether the current device can run it.
bool ssd_chunk_output_wgmma_takes(const SsdGeometry&);
bool ssd_chunk_output_wgmma_runs();

void ssd_chunk_output_wgmma(const SsdChunkOutput&, cudaStream_t);

}  // namespace lmx::cuda
