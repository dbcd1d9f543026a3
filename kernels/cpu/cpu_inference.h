// Decoding on the CPU: float with threads, or double as the oracle. See inference.h.
#pragma once

#include <memory>

#include "../inference.h"
#include "context.h"

namespace lmx::cpu {

// Both arguments outlive the result. T is float or double.
template <class T>
std::unique_ptr<Inference> make_inference(Backend& backend, const Context& context);

// Physical memory nobody uses; 0 where the system does not tell.
std::size_t free_memory_bytes();

}  // namespace lmx::cpu
