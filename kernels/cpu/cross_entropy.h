// Cross-entropy over the vocabulary, gradient in place: row_loss = logsumexp(logits) - logits[target], 0
// where the target is negative. The templates are the plain form (the oracle, double); the float overloads
// are in cross_entropy.cpp.
#pragma once

#include <algorithm>
#include <cmath>

#include "context.h"

namespace lmx::cpu {

// logits (rows, vocab); row_correct may be null; see Backend::cross_entropy.
template <class T>
void cross_entropy(const Context&, const CrossEntropyShape& s, T* logits, const std::int32_t* targets,
                   T* row_loss, std::uint8_t* row_correct, double inverse_target_count, bool write_gradient) {
  for (index_t r = 0; r < s.rows; ++r, logits += s.vocab) {
    const index_t target = targets[r];
    const T* largest = std::max_element(logits, logits + s.vocab);
    if (row_correct) row_correct[r] = largest - logits == target;
    T sum = 0;
    const T maximum = *largest;
    for (index_t c = 0; c < s.vocab; ++c) sum += std::exp(logits[c] - maximum);
    row_loss[r] = target < 0 ? T(0) : maximum + std::log(sum) - logits[target];
    if (!write_gradient) continue;
    for (index_t c = 0; c < s.vocab; ++c) {
      const T probability = std::exp(logits[c] - maximum) / sum;
      logits[c] = target < 0 ? T(0) : (probability - (c == target)) * T(inverse_target_count);
    }
  }
}

// Σ row_loss in a fixed order.
template <class T>
double sum_losses(const Context&, index_t rows, const T* row_loss) {
  double sum = 0;
  for (index_t r = 0; r < rows; ++r) sum += row_loss[r];
  return sum;
}

void cross_entropy(const Context&, const CrossEntropyShape&, float* logits, const std::int32_t* targets,
                   float* row_loss, std::uint8_t* row_correct, double inverse_target_count,
                   bool write_gradient);

}  // namespace lmx::cpu
