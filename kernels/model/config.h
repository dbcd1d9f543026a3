// The model a trainer runs, checked: every field positive where it must be, divisible where it must be, and
// every product of sizes representable. Made by validate.h from the C ABI's structures; everything behind it
// may rely on it.
#pragma once

#include <cmath>
#include <vector>

#include "backend.h"
#include "layermix.h"

namespace lmx {

struct ModelConfig {
  index_t hidden, vocab;
  bool tie_embeddings;
  double norm_eps;
  double init_std;
  std::vector<lmx_layer_config> layers;
  std::size_t most_logit_bytes = std::size_t{1} << 29;  // of logits that exist at once; twice as many in bf16, on GPUs (head.h)

  // Megatron's scaling of output projections: one residual add per layer.
  double output_init_std() const { return init_std / std::sqrt(static_cast<double>(layers.size())); }
};

}  // namespace lmx
