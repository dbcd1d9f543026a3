// Whether kernels made of Hopper's own instructions are used: the current device is one, the binary has their code (sm_90a), and
// LAYERMIX_HOPPER=1 is in the environment. They compile, but no GPU has run them yet, so they are not the default.
#pragma once

namespace lmx::cuda {

bool uses_hopper_kernels();

}  // namespace lmx::cuda
