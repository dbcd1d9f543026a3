// Turns the status codes of the CUDA runtime into exceptions that carry the call's name and the driver's own words.
// Launches are checked with check_launch(): it reads the launch error only and never waits for the device.
#pragma once

#include <cuda_runtime.h>

#include <stdexcept>
#include <string>

namespace lmx::cuda {

// A CUDA call failed for a reason that is not "out of memory"; the message names the call.
class DeviceError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

inline void check(cudaError_t status, const char* call) {
  if (status == cudaSuccess) return;
  throw DeviceError(std::string(call) + ": " + cudaGetErrorString(status) + " (" + cudaGetErrorName(status) + ")");
}

// Call right after a kernel launch, with the operation's name.
inline void check_launch(const char* operation) { check(cudaGetLastError(), operation); }

inline int current_device() {
  int device = 0;
  check(cudaGetDevice(&device), "cudaGetDevice");
  return device;
}

// Of the current device.
inline int device_attribute(cudaDeviceAttr attribute) {
  int value = 0;
  check(cudaDeviceGetAttribute(&value, attribute, current_device()), "cudaDeviceGetAttribute");
  return value;
}

}  // namespace lmx::cuda
