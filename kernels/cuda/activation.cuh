// act(x) and act'(x) of the MLP's activations, in fp32.
#pragma once

#include "../backend.h"

namespace lmx::cuda {

__device__ __forceinline__ float sigmoid(float x) { return __fdividef(1.f, 1.f + __expf(-x)); }

struct ValueAndSlope {
  float value, slope;
};

// act(x) and act'(x). gelu_tanh uses (1 + tanh z)/2 = sigmoid(2z), which keeps its relative accuracy for large -z.
template <Activation kActivation>
__device__ __forceinline__ ValueAndSlope activate(float x) {
  if constexpr (kActivation == Activation::gelu_tanh) {
    const float s = sigmoid(1.5957691216057308f * (x + 0.044715f * x * x * x));
    return {x * s, s + x * s * (1 - s) * 1.5957691216057308f * (1 + 0.134145f * x * x)};
  } else if constexpr (kActivation == Activation::gelu_erf) {
    const float cdf = 0.5f * erfcf(-0.7071067811865476f * x);
    return {x * cdf, cdf + x * 0.3989422804014327f * __expf(-0.5f * x * x)};
  } else if constexpr (kActivation == Activation::relu2) {
    const float positive = fmaxf(x, 0.f);
    return {positive * positive, 2 * positive};
  } else {
    const float s = sigmoid(x);
    return {x * s, s * (1 + x * (1 - s))};
  }
}

template <Activation kActivation>
constexpr bool kKeepsInput = keeps_input(kActivation, false);  // device code may not call the function

// act'(u) of an MLP without a gate from what its forward saved: u, or a where the input is not kept (relu2). The root is one
// instruction, off by 2^-23 at most where bf16 is by 2^-9; roots of subnormals are 0.
template <Activation kActivation>
__device__ __forceinline__ float saved_slope(float saved) {
  if constexpr (kKeepsInput<kActivation>) {
    return activate<kActivation>(saved).slope;
  } else {
    float root;
    asm("sqrt.approx.ftz.f32 %0, %1;" : "=f"(root) : "f"(saved));
    return 2 * root;
  }
}

}  // namespace lmx::cuda
