// The bf16 reference: what a plain, unfused implementation in bf16 computes. Buffers are those of a GPU trainer - bf16 activations
// and working weights, fp32 statistics and masters - and every operation is the oracle's in double, its operands and results
// rounded to bf16 wherever an implementation without fused kernels would store them. Slow; it exists to say how large the
// error of bf16 is, so that GPU kernels can be held to twice that, and to plan memory of GPU trainers.
#pragma once

#include <memory>

#include "../backend.h"

namespace lmx {

std::unique_ptr<Backend> make_bf16_backend();

}  // namespace lmx
