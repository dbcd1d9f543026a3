// The recurrence in float: a task is one sequence and head; vectors run along the state.
#include "ssd_state_update.h"

#include "simd.h"

namespace lmx::cpu {

using simd::Floats;

void ssd_state_update(const Context& context, const SsdShape& s, const float* xbc, StridedOf<const float*> dt,
                      const float* a_log, const float* d, const float* dt_bias, float* state, float* y) {
  context.pool->parallel_for(s.batch * s.heads, [&](index_t task) {
    const index_t b = task / s.heads, h = task % s.heads;
    float* const head = state + task * s.head_dim * s.state;
    for (index_t t = 0; t < s.time; ++t) {
      const index_t row = b * s.time + t;
      const float* const x = xbc + row * s.channels() + h * s.head_dim;
      const float* const into = xbc + row * s.channels() + s.inner() + h / (s.heads / s.groups) * s.state;
      const float* const out_of = into + s.groups * s.state;
      const float delta = std::max(softplus(dt.data[row * dt.stride + h] + dt_bias[h]), float(s.dt_min));
      const float keep = decay(-std::exp(a_log[h]) * delta);
      for (index_t p = 0; p < s.head_dim; ++p) {
        float* const cells = head + p * s.state;
        const float write = delta * x[p];
        Floats sum{};
        simd::for_each_vector(s.state, [&](index_t n, index_t count) {
          const Floats cell = simd::load(cells + n, count) * keep + write * simd::load(into + n, count);
          simd::store(cells + n, cell, count);
          sum += cell * simd::load(out_of + n, count);
        });
        y[row * s.inner() + h * s.head_dim + p] = simd::sum(sum) + d[h] * x[p];
      }
    }
  });
}

}  // namespace lmx::cpu
