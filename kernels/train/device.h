// Devices by name. "cpu" is always there; others are compiled in or absent, and say so.
#pragma once

#include <memory>
#include <string>

#include "backend.h"
#include "common/error.h"

namespace lmx {

// Opens a device for a precision. threads: of the CPU backend, 0 = all cores. Throws NoDevice,
// InvalidArgument.
std::unique_ptr<Backend> open_device(const std::string& name, const Precision& precision, int threads);

// GPUs that this build and this machine offer, 0 or more, and one line about one of them - or why there is none.
int cuda_count();
std::string describe_cuda(int device);

// Like open_device, for a trainer, which also knows "reference": what a plain implementation in bf16 computes, slowly, on the
// CPU (cpu/bf16_backend.h).
std::unique_ptr<Backend> open_training_device(const std::string& name, const Precision& precision, int threads);

// A backend whose workspace is that of the device a trainer of this precision runs on; needs no device.
std::unique_ptr<Backend> training_planner(const Precision& precision);

// A backend good for planning workspace alone: needs no device and starts no threads.
std::unique_ptr<Backend> planning_backend(const Precision& precision);

}  // namespace lmx
