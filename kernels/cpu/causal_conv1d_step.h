// The causal convolution of causal_conv1d.h continued: what came before the first row of x is in `window`. Plain form, for double and
// float alike: a task is one sequence and a block of channels.
#pragma once

#include <algorithm>

#include "causal_conv1d.h"

namespace lmx::cpu {

// The first max(width - 1, 1) rows of y, which are all that look back beyond x; then window (batch, width - 1, channels) moves on.
template <class T>
void causal_conv1d_step(const Context& context, const ConvShape& s, StridedOf<const T*> x, const T* w, const T* bias,
                        T* window, T* y) {
  constexpr index_t block = 64;
  const index_t blocks = (s.channels + block - 1) / block, back = s.width - 1;
  const index_t rows = std::min(s.time, std::max(back, index_t{1}));
  context.pool->parallel_for(s.batch * blocks, [&](index_t task) {
    const index_t b = task / blocks, first = task % blocks * block;
    const T* const sequence = x.data + b * s.time * x.stride;
    T* const past = window + b * back * s.channels;
    for (index_t c = first; c < std::min(s.channels, first + block); ++c) {
      // Input number t, which is before the first row where t < 0.
      const auto input = [&](index_t t) {
        return t < 0 ? past[(back + t) * s.channels + c] : sequence[t * x.stride + c];
      };
      for (index_t t = 0; t < rows; ++t) {
        T sum = bias[c];
        for (index_t k = 0; k < s.width; ++k) sum += w[c * s.width + k] * input(t - back + k);
        y[(b * s.time + t) * s.channels + c] = activate(Activation::silu, sum);
      }
      for (index_t i = 0; i < back; ++i) past[i * s.channels + c] = input(s.time - back + i);
    }
  });
}

}  // namespace lmx::cpu
