// Integers of launch configurations.
#pragma once

#include "../backend.h"

namespace lmx::cuda {

constexpr index_t ceil_div(index_t a, index_t b) { return (a + b - 1) / b; }

}  // namespace lmx::cuda
