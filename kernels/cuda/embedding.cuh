// Token embedding and its gradient; the meaning of every argument is that of Backend::embedding_*.
#pragma once

#include <cuda_runtime.h>

#include "../backend.h"
#include "pack.cuh"

namespace lmx::cuda {

std::size_t embedding_workspace(const EmbeddingShape&);

void embedding_forward(index_t rows, index_t cols, const std::int32_t* tokens, const bf16* weight, bf16* x,
                       cudaStream_t);
void embedding_backward(index_t rows, index_t cols, index_t vocab, const std::int32_t* tokens, const bf16* dx,
                        float* dweight, void* workspace, cudaStream_t);

}  // namespace lmx::cuda
