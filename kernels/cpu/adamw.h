// AdamW with decoupled weight decay (Loshchilov & Hutter, arXiv 1711.05101), in PyTorch's order:
//   p -= lr·wd·p;   m = β1·m + (1-β1)·g;   v = β2·v + (1-β2)·g²
//   p -= lr/(1-β1^t) · m / (sqrt(v/(1-β2^t)) + ε)
// g is already scaled by clip_scale. The template is the plain form (the oracle, double); the float overload
// is in adamw.cpp.
#pragma once

#include <cmath>

#include "context.h"

namespace lmx::cpu {

// master, exp_avg, exp_avg_sq (count) updated; working, when not null and not master, receives a copy.
template <class T>
void adamw(const Context&, index_t count, T* master, T* working, const T* gradients, T* exp_avg,
           T* exp_avg_sq, bool decay, const StepScalars& k) {
  const T shrink = T(decay ? 1 - k.learning_rate * k.weight_decay : 1.0);
  const T step = T(k.learning_rate / k.bias_correction1);
  const T root = T(1 / std::sqrt(k.bias_correction2));
  for (index_t i = 0; i < count; ++i) {
    const T g = gradients[i] * T(k.clip_scale);
    exp_avg[i] = T(k.beta1) * exp_avg[i] + T(1 - k.beta1) * g;
    exp_avg_sq[i] = T(k.beta2) * exp_avg_sq[i] + T(1 - k.beta2) * g * g;
    master[i] = shrink * master[i] - step * exp_avg[i] / (std::sqrt(exp_avg_sq[i]) * root + T(k.epsilon));
    if (working && working != master) working[i] = master[i];
  }
}

void adamw(const Context&, index_t count, float* master, float* working, const float* gradients,
           float* exp_avg, float* exp_avg_sq, bool decay, const StepScalars&);

}  // namespace lmx::cpu
