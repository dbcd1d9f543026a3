// out[c] += Σ_r partial[r][c]: the second stage of every reduction over rows. Each column is added in a fixed order.
#pragma once

#include <cuda_runtime.h>

#include <functional>

#include "../backend.h"

namespace lmx::cuda {

// partial (rows, cols) fp32 dense, out (cols) fp32.
void column_sum(index_t rows, index_t cols, const float* partial, float* out, cudaStream_t);

// Nothing waits for such sums until the gradients are read, so a caller may put them elsewhere: an operation hands its last stage to
// `later`, which gives it a stream. An empty one means right behind the first stage.
using Later = std::function<void(const std::function<void(cudaStream_t)>& stage)>;

inline void run_later(const Later& later, cudaStream_t stream, const std::function<void(cudaStream_t)>& stage) {
  later ? later(stage) : stage(stream);
}

}  // namespace lmx::cuda
