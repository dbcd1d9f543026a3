#include "mlp_fused_kernel.cuh"

namespace lmx::cuda {

const std::vector<FusedMlp>& fused_mlp_backward() {
  using Wide = FusedMlpKernel<MlpHalf::backward, FusedMlpTile<128, 192, 1, 4>>;
  using Square = FusedMlpKernel<MlpHalf::backward, FusedMlpTile<128, 128, 2, 6>>;
  static const std::vector<FusedMlp> all{{"128x192", Wide::allow, Wide::launch<1>},
                                         {"128x192, 4 rows at a time", Wide::allow, Wide::launch<4>},
                                         {"128x128", Square::allow, Square::launch<1>},
                                         {"128x128, 4 rows at a time", Square::allow, Square::launch<4>}};
  return all;
}

}  // namespace lmx::cuda
