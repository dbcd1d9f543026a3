// The CPU backend: float with threads and vector units, or double, plain and single-threaded, as the oracle.
#pragma once

#include <memory>
#include <string>

#include "../backend.h"

namespace lmx {

// A backend whose act, weight and stat types are all `act` (f32 or f64; throws InvalidArgument for others).
// `threads` >= 1 counts the calling thread; results do not depend on it. One caller at a time per backend.
std::unique_ptr<Backend> make_cpu_backend(DType act, int threads);

// One line for lmx_build_info: compiler, vector width in bits, BLAS ("own" where none is linked).
std::string cpu_build_info();

}  // namespace lmx
