// The SSD scan as the recurrence it is, token by token: for decoding, and for head dims and states that the chunked scan does not
// take. Argument meanings are those of kernels/cpu/ssd_state_update.h.
#pragma once

#include <cuda_runtime.h>

#include "../backend.h"
#include "pack.cuh"

namespace lmx::cuda {

// State is float or bf16; `time` steps run one after the other.
template <class State>
void ssd_state_update(const SsdShape&, const bf16* xbc, StridedOf<const bf16*> dt, const float* a_log, const float* d,
                      const float* dt_bias, State* state, bf16* y, cudaStream_t);

}  // namespace lmx::cuda
