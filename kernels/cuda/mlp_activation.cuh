// The elementwise half of an MLP: a = act(u), or act(gate) ⊙ up where u = [gate | up], and its gradient.
#pragma once

#include <cuda_runtime.h>

#include "../backend.h"
#include "pack.cuh"

namespace lmx::cuda {

// u (rows, up_width) -> a (rows, width), which may be u where there is no gate.
void mlp_activation_forward(const MlpShape&, const bf16* u, bf16* a, cudaStream_t);

// In place: on entry the last `width` columns of du (rows, up_width) hold da, the gradient of a; on return du holds the
// gradient of u. saved: u, or a where keeps_input() is false.
void mlp_activation_backward(const MlpShape&, const bf16* saved, bf16* du, cudaStream_t);

}  // namespace lmx::cuda
