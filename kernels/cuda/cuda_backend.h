// The CUDA backend: bf16 activations and working weights, fp32 for everything precision-critical, one stream per backend.
// A training step is recorded as one CUDA graph and replayed (see Backend::begin_step). Works without a device until
// make_cuda_backend is called: nothing here links the driver.
#pragma once

#include <memory>
#include <string>

#include "../backend.h"

namespace lmx {

// Throws std::runtime_error with the reason where the device cannot be used: no driver, no such device, too old a card, no
// cuBLASLt.
std::unique_ptr<Backend> make_cuda_backend(int device);

// Devices the driver shows; 0 where there is no driver, and `reason` (may be null) then says why.
int cuda_device_count(std::string* reason);

// One line about a device: name, compute capability, memory, where its libraries come from.
std::string cuda_device_description(int device);

}  // namespace lmx
