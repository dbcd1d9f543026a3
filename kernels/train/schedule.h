// The learning rate of step s = 1 .. total_steps, peak `lr`, end `min`, warmup of W steps:
//   s <= W      lr * s / W                                            (linear, from lr/W to lr)
//   constant    lr
//   cosine      min + (lr - min) * (1 + cos(π (s - W) / (total - W))) / 2     (arXiv 1608.03983, one cycle)
//   wsd         lr until s = total - decay, then min + (lr - min) * (total - s) / decay   (arXiv 2404.06395,
//   linear decay)
// Cosine and WSD reach `min` at s = total and stay there.
#pragma once

#include <algorithm>
#include <cmath>

#include "layermix.h"

namespace lmx {

inline double learning_rate_at(const lmx_optimizer_config& o, int64_t step) {
  const double peak = o.learning_rate, end = o.minimum_learning_rate;
  if (step <= o.warmup_steps) return peak * static_cast<double>(step) / static_cast<double>(o.warmup_steps);
  const int64_t remaining = std::max<int64_t>(0, o.total_steps - step);
  switch (o.schedule) {
    case LMX_CONSTANT: return peak;
    case LMX_COSINE: {
      const double span = static_cast<double>(std::max<int64_t>(1, o.total_steps - o.warmup_steps));
      const double progress = 1 - static_cast<double>(remaining) / span;
      return end + (peak - end) * 0.5 * (1 + std::cos(3.14159265358979323846 * progress));
    }
    case LMX_WSD: {
      if (remaining >= o.decay_steps) return peak;
      return end + (peak - end) * static_cast<double>(remaining) / static_cast<double>(o.decay_steps);
    }
  }
  return peak;
}

}  // namespace lmx
