// The first half of an MLP, forward and backward: a product and an elementwise pass. The meaning of every argument is that of
// Backend::linear_activation_*. (Cutting the rows so that the pass finds the product in the L2 cache was slower: the smaller products
// lose more than the pass gains. So was one kernel of ours for both, by bulk copies and wgmma: 0.673 ms against 0.577 on an H200.)
#pragma once

#include "linear.h"
#include "mlp_activation.cuh"

namespace lmx::cuda {

inline void linear_activation_forward(Gemm& gemm, const MlpShape& s, const bf16* x, const bf16* w_up, bf16* u, bf16* a,
                                      cudaStream_t stream) {
  linear_forward(gemm, {s.rows, s.hidden, s.up_width()}, x, w_up, nullptr, u, stream);
  mlp_activation_forward(s, u, a, stream);
}

inline void linear_activation_backward_input(Gemm& gemm, const MlpShape& s, const bf16* dy, const bf16* w_down,
                                             const bf16* u, bf16* du, cudaStream_t stream) {
  bf16* const da = du + (s.gated ? s.width : 0);  // its place while it waits for the activation's slope
  linear_backward_input(gemm, {s.rows, s.width, s.hidden}, dy, w_down, da, s.up_width(), stream);
  mlp_activation_backward(s, u, du, stream);
}

}  // namespace lmx::cuda
