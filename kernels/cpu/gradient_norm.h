// Σ g² over all gradients, for clipping by the global norm (Pascanu et al., arXiv 1211.5063).
// The template is the plain form (the oracle, double); the float overload is in gradient_norm.cpp.
#pragma once

#include "context.h"

namespace lmx::cpu {

template <class T>
double sum_of_squares(const Context&, index_t count, const T* values) {
  double sum = 0;
  for (index_t i = 0; i < count; ++i) sum += double(values[i]) * values[i];
  return sum;
}

double sum_of_squares(const Context&, index_t count, const float* values);

}  // namespace lmx::cpu
