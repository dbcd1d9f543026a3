// Token embedding: x[r] = weight[token[r]]; backward scatters dx into dweight, rows of one token added in row
// order. The templates are the plain form (the oracle, double); the float overloads are in embedding.cpp.
#pragma once

#include "context.h"

namespace lmx::cpu {

// tokens (rows), weight (vocab, cols) -> x (rows, cols).
template <class T>
void embedding_forward(const Context&, index_t rows, index_t cols, const std::int32_t* tokens,
                       const T* weight, T* x) {
  for (index_t r = 0; r < rows; ++r) {
    for (index_t c = 0; c < cols; ++c) x[r * cols + c] = weight[tokens[r] * cols + c];
  }
}

// dweight (vocab, cols) += dx (rows, cols) scattered by token.
template <class T>
void embedding_backward(const Context&, index_t rows, index_t cols, const std::int32_t* tokens, const T* dx,
                        T* dweight) {
  for (index_t r = 0; r < rows; ++r) {
    for (index_t c = 0; c < cols; ++c) dweight[tokens[r] * cols + c] += dx[r * cols + c];
  }
}

void embedding_forward(const Context&, index_t rows, index_t cols, const std::int32_t* tokens,
                       const float* weight, float* x);
void embedding_backward(const Context&, index_t rows, index_t cols, const std::int32_t* tokens,
                        const float* dx, float* dweight);

}  // namespace lmx::cpu
