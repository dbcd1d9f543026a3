// Random values made where they lie: those of common/philox.h, rounded to bf16 or fp32.
#pragma once

#include <cuda_runtime.h>

#include "../backend.h"

namespace lmx::cuda {

// type: bf16 or f32.
void fill_normal(void* values, DType type, index_t count, double scale, std::uint64_t seed, std::uint64_t stream_number,
                 cudaStream_t);

// to[i] = from[i], bf16 to fp32 or back.
void widen(index_t count, const void* from_bf16, float* to, cudaStream_t);
void narrow(index_t count, const float* from, void* to_bf16, cudaStream_t);

}  // namespace lmx::cuda
