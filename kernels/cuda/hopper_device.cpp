#include "hopper_device.h"

#include <cstdlib>
#include <cstring>

#include "check.h"

namespace lmx::cuda {

bool uses_hopper_kernels() {
#ifdef LMX_SM90A
  static const char* const choice = std::getenv("LAYERMIX_HOPPER");
  if (choice == nullptr || std::strcmp(choice, "1") != 0) return false;
  int device = 0, major = 0;
  check(cudaGetDevice(&device), "cudaGetDevice");
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device), "cudaDeviceGetAttribute");
  return major == 9;
#else
  return false;
#endif
}

}  // namespace lmx::cuda
