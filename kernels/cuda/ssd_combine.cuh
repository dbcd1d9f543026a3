// The end of an SSD scan's backward pass: what ssd_gradient left as partial sums and as terms per step.
#pragma once

#include "ssd_gradient.cuh"

namespace lmx::cuda {

struct SsdCombine {
  SsdGradient gradient;
  const float* a_log;
  StridedOf<bf16*> ddt;
  float* parameter_partials;  // (3, batch * chunks, heads): A_log, D, dt_bias
};

void ssd_combine(const SsdCombine&, cudaStream_t);

}  // namespace lmx::cuda
