// What programs that test or measure on a GPU begin with.
#pragma once

#include <cstdio>
#include <string>

#include "cuda/cuda_backend.h"

namespace lmx::test {

constexpr int skipped = 77;  // exit code

// Whether there is no GPU; says so then.
inline bool lacks_device() {
  std::string reason;
  if (cuda_device_count(&reason) > 0) return false;
  std::printf("skipped: no CUDA device (%s)\n", reason.c_str());
  return true;
}

}  // namespace lmx::test
