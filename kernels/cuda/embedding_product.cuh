// The gradient of an embedding of few tokens as a matrix product: dweight (vocab, cols) += onehot(tokens)ᵀ · dx. Where every token has
// dozens of rows and more, tensor cores add them at the speed at which dx arrives, in a fixed order.
#pragma once

#include <cuda_runtime.h>

#include "../backend.h"
#include "column_sums.cuh"
#include "pack.cuh"

namespace lmx::cuda {

bool embedding_product_takes(const EmbeddingShape&);

// Of the partial sums.
std::size_t embedding_product_workspace(const EmbeddingShape&);

// As Backend::embedding_backward.
void embedding_product(const EmbeddingShape&, const std::int32_t* tokens, const bf16* dx, float* dweight, ColumnSums&, cudaStream_t);

}  // namespace lmx::cuda
