#include "dependent_launch.cuh"

#include <cstdlib>
#include <cstring>

namespace lmx::cuda {

bool dependent_launches() {
  static const bool wanted = [] {
    const char* choice = std::getenv("LAYERMIX_DEPENDENT_LAUNCH");
    return choice == nullptr || std::strcmp(choice, "0") != 0;
  }();
  if (!wanted) return false;
  int device = 0, major = 0;
  return cudaGetDevice(&device) == cudaSuccess &&
         cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) == cudaSuccess && major >= 9;
}

}  // namespace lmx::cuda
