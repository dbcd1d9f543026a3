// The table of all operations of a backend, each at a given shape. The tests take odd shapes, the benchmarks
// real ones.
#pragma once

#include <vector>

#include "operation.h"

namespace lmx::test {

Operation embedding_operation(index_t rows, index_t cols, index_t vocab);
Operation rms_norm_operation(index_t rows, index_t cols, bool residual);
Operation linear_operation(index_t rows, index_t in, index_t out, bool residual, index_t gap = 0);
Operation mlp_operation(index_t rows, index_t hidden, index_t width, Activation activation, bool gated);
// gap: of the rows of x, and of z; their alignment decides which kernels run on a GPU.
Operation causal_conv1d_operation(index_t batch, index_t time, index_t channels, index_t width, index_t gap = 7);
Operation gated_rms_norm_operation(index_t rows, index_t cols, index_t groups, index_t gap = 5);
Operation ssd_scan_operation(const SsdShape& shape, bool boundary_states);
Operation rope_operation(const RopeShape& shape);
Operation attention_operation(const AttentionShape& shape);
Operation cross_entropy_operation(index_t rows, index_t vocab);
Operation adamw_operation(index_t count, bool working_copy);
Operation gradient_norm_operation(index_t count);

// Small shapes that are multiples of nothing: 1, 63, 100, lengths around a chunk, heads that share groups.
std::vector<Operation> odd_operations();

// The shapes of a small hybrid's training step (hidden 256, 8 x 512 tokens), for timing.
std::vector<Operation> typical_operations();

}  // namespace lmx::test
