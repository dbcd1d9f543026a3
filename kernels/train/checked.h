// Sizes that come from outside, multiplied without overflow.
#pragma once

#include <initializer_list>
#include <string>

#include "backend.h"
#include "common/error.h"

namespace lmx {

// The product of non-negative factors. Throws InvalidArgument, naming `what`, beyond 2^53 (exact in a double,
// so that JavaScript sees the same number).
inline index_t checked_product(const char* what, std::initializer_list<index_t> factors) {
  index_t product = 1;
  for (const index_t factor : factors) {
    if (__builtin_mul_overflow(product, factor, &product) || product > (index_t{1} << 53)) {
      throw InvalidArgument(std::string(what) + " would have more than 2^53 elements");
    }
  }
  return product;
}

}  // namespace lmx
