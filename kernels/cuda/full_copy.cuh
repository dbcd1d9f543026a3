// A copy by all multiprocessors: what one pass over memory can reach. cudaMemcpy between places of one device does not get there - on an
// H200 it moved 2.7 TB/s where this kernel moves 4.0 to 4.1 (NVIDIA/cccl issue 1672 saw 66% of the bandwidth) -, so it is no ceiling.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>

namespace lmx::cuda {

// Both start on 16 bytes and do not overlap.
void full_copy(void* to, const void* from, std::size_t bytes, cudaStream_t);

}  // namespace lmx::cuda
