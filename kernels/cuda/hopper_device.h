// Which device runs kernels that are compiled for sm_90a alone.
#pragma once

#include "check.h"

namespace lmx::cuda {

inline bool is_hopper() {
  return device_attribute(cudaDevAttrComputeCapabilityMajor) == 9 && device_attribute(cudaDevAttrComputeCapabilityMinor) == 0;
}

// Whether the current device is a Hopper and `kernel` has code for it: in a build that is not for sm_90a its body is empty.
template <class Kernel>
bool runs_on_hopper(Kernel kernel) {
  if (!is_hopper()) return false;
  constexpr int most_of_an_empty_kernel = 40;
  cudaFuncAttributes attributes;
  check(cudaFuncGetAttributes(&attributes, kernel), "cudaFuncGetAttributes");
  return attributes.numRegs > most_of_an_empty_kernel;
}

}  // namespace lmx::cuda
