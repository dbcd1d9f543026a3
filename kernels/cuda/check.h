// Turns the status codes of the CUDA runtime into exceptions that carry the call's name and the driver's own words: OutOfMemory,
// DeviceFault after which nothing works any more, DeviceError.
// Launches are checked with check_launch(): it reads the launch error only and never waits for the device.
#pragma once

#include <cuda_runtime.h>

#include <stdexcept>
#include <string>

#include "../common/error.h"

namespace lmx::cuda {

// A call failed for another reason; the message names it.
class DeviceError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Errors that stay with the process, as the runtime's documentation says of each.
inline bool is_fault(cudaError_t status) {
  switch (status) {
    case cudaErrorECCUncorrectable:
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchTimeout:
    case cudaErrorContextIsDestroyed:
    case cudaErrorAssert:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorLaunchFailure:
    case cudaErrorUnknown: return true;
    default: return false;
  }
}

// Bytes that are free where an allocation has failed; clears that error, which does not stay.
inline std::size_t free_after_failure() {
  cudaGetLastError();
  std::size_t free = 0, total = 0;
  cudaMemGetInfo(&free, &total);
  return free;
}

inline void check(cudaError_t status, const char* call) {
  if (status == cudaSuccess) return;
  const std::string what = std::string(call) + ": " + cudaGetErrorString(status) + " (" + cudaGetErrorName(status) + ")";
  if (is_fault(status)) throw DeviceFault(what);
  if (status != cudaErrorMemoryAllocation) throw DeviceError(what);
  throw OutOfMemory(call, free_after_failure());
}

// A library that runs on CUDA has failed, maybe because a kernel before it did.
[[noreturn]] inline void fail(const std::string& what) {
  if (is_fault(cudaPeekAtLastError())) throw DeviceFault(what);
  throw DeviceError(what);
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
