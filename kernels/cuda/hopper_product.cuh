// Products in one kernel of ours on Hopper: out = A · B with something done to the sums before they leave the multiprocessor - a
// matrix added, an activation, or an activation's slope. bf16 matrices, fp32 sums in one fixed order.
#pragma once

#include <cuda_runtime.h>

#include "../backend.h"
#include "pack.cuh"

namespace lmx::cuda {

struct HopperProduct {
  index_t rows, cols, sum;  // of out; length of the sums
  const bf16* a;            // (rows, sum)
  index_t a_stride;         // elements between rows
  const bf16* b;            // (cols, sum), or (sum, cols) where b_transposed
  index_t b_stride;
  bool b_transposed;
  const bf16* other;  // (rows, cols): what is added, or u where the slope is wanted; null: nothing
  bf16* out;
  index_t out_stride;  // elements between rows of out and other
};

// Whether the current device has these kernels, and they take matrices of these sizes.
bool hopper_product_takes(const HopperProduct&);

// out = A · B (+ other). The sizes and pointers (16-byte starts) are taken.
void hopper_product(const HopperProduct&, cudaStream_t);
// u = A · B (p.out), a = act(u).
void hopper_product_activation(const HopperProduct& p, Activation, bf16* a, cudaStream_t);
// out = A · B ⊙ act'(other).
void hopper_product_slope(const HopperProduct&, Activation, cudaStream_t);

}  // namespace lmx::cuda
