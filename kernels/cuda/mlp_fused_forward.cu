#include "mlp_fused_kernel.cuh"

namespace lmx::cuda {

const std::vector<FusedMlp>& fused_mlp_forward() {
  static const std::vector<FusedMlp> all = fused_mlp_candidates<MlpHalf::forward>();
  return all;
}

}  // namespace lmx::cuda
