// Cross-entropy of large vocabularies; the meaning of every argument is that of Backend::cross_entropy.
#pragma once

#include <cuda_runtime.h>

#include "../backend.h"
#include "pack.cuh"

namespace lmx::cuda {

void cross_entropy_long(const CrossEntropyShape&, bf16* logits, const std::int32_t* targets, float* row_loss, std::uint8_t* row_correct,
                        const StepScalars*, bool write_gradient, cudaStream_t);

}  // namespace lmx::cuda
