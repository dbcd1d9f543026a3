// AdamW in float, one pass over parameters, gradients and both moments; see adamw.h.
#include "adamw.h"

#include <algorithm>

#include "simd.h"

namespace lmx::cpu {

using simd::Floats;

void adamw(const Context& context, index_t count, float* master, float* working, const float* gradients,
           float* exp_avg, float* exp_avg_sq, bool decay, const StepScalars& k) {
  constexpr index_t block = 16384;  // elements of one task
  const float shrink = float(decay ? 1 - k.learning_rate * k.weight_decay : 1.0), clip = float(k.clip_scale);
  const float step = float(k.learning_rate / k.bias_correction1),
              root = float(1 / std::sqrt(k.bias_correction2));
  const float beta1 = float(k.beta1), beta2 = float(k.beta2), rest1 = float(1 - k.beta1),
              rest2 = float(1 - k.beta2);
  const float epsilon = float(k.epsilon);
  float* const copy = working == master ? nullptr : working;
  context.pool->parallel_for((count + block - 1) / block, [&](index_t task) {
    const index_t begin = task * block;
    simd::for_each_vector(std::min(block, count - begin), [&](index_t c, index_t n) {
      const index_t i = begin + c;
      const Floats g = simd::load(gradients + i, n) * clip;
      const Floats m = beta1 * simd::load(exp_avg + i, n) + rest1 * g;
      const Floats v = beta2 * simd::load(exp_avg_sq + i, n) + rest2 * g * g;
      const Floats p = shrink * simd::load(master + i, n) - step * m / (simd::sqrt(v) * root + epsilon);
      simd::store(exp_avg + i, m, n);
      simd::store(exp_avg_sq + i, v, n);
      simd::store(master + i, p, n);
      if (copy) simd::store(copy + i, p, n);
    });
  });
}

}  // namespace lmx::cpu
