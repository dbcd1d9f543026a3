// The first half of an MLP, forward and backward: one kernel where the device and the shape allow it (hopper_product.cuh), else a product
// and an elementwise pass. The meaning of every argument is that of Backend::linear_activation_*. (Cutting the rows so that the
// pass finds the product in the L2 cache was slower: the smaller products lose more than the pass gains.)
#pragma once

#include "hopper_product.cuh"
#include "linear.h"
#include "mlp_activation.cuh"

namespace lmx::cuda {

inline void linear_activation_forward(Gemm& gemm, const MlpShape& s, const bf16* x, const bf16* w_up, bf16* u, bf16* a,
                                      cudaStream_t stream) {
  const HopperProduct product{s.rows, s.width, s.hidden, x, s.hidden, w_up, s.hidden, false, a, u, s.width};
  if (!s.gated && hopper_product_takes(product)) return hopper_product_activation(product, s.activation, a, stream);
  linear_forward(gemm, {s.rows, s.hidden, s.up_width()}, x, w_up, nullptr, u, stream);
  mlp_activation_forward(s, u, a, stream);
}

inline void linear_activation_backward_input(Gemm& gemm, const MlpShape& s, const bf16* dy, const bf16* w_down,
                                             const bf16* u, bf16* du, cudaStream_t stream) {
  const HopperProduct product{s.rows, s.width, s.hidden, dy, s.hidden, w_down, s.width, true, u, du, s.width};
  if (!s.gated && hopper_product_takes(product)) return hopper_product_slope(product, s.activation, stream);
  bf16* const da = du + (s.gated ? s.width : 0);  // its place while it waits for the activation's slope
  linear_backward_input(gemm, {s.rows, s.width, s.hidden}, dy, w_down, da, s.up_width(), stream);
  mlp_activation_backward(s, u, du, stream);
}

}  // namespace lmx::cuda
