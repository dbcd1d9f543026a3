#include "mlp_fused_kernel.cuh"

namespace lmx::cuda {

const std::vector<FusedMlp>& fused_mlp_backward() {
  static const std::vector<FusedMlp> all = fused_mlp_candidates<MlpHalf::backward>();
  return all;
}

}  // namespace lmx::cuda
