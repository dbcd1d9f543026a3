// Initial weights as Megatron-LM draws them: matrices N(0, std), output projections N(0, std/sqrt(layers)),
// convolutions U(±1/sqrt(K)), A_log = log U(1, 16), and dt_bias the inverse softplus of a log-uniform step in
// [0.001, 0.1] (at least 1e-4). Counter-based: a value depends on the seed, the tensor's name and the
// element's index alone - not on the order of tensors, on threads, on the backend, nor on the rest of the
// model.
#pragma once

#include <cstdint>
#include <string>

#include "backend.h"
#include "model/parameters.h"

namespace lmx {

// Identifies a tensor's random stream: 64-bit FNV-1a of its name.
std::uint64_t stream_of(const std::string& name);

// Element `index` of a tensor at the start of training.
double initial_value(const Initializer& initializer, std::uint64_t seed, std::uint64_t stream,
                     std::uint64_t index);

}  // namespace lmx
