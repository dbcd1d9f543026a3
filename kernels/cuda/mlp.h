// The first half of an MLP, forward and backward. The meaning of every argument is that of Backend::linear_activation_*.
//
// Two ways: a pair, which is a product (gemm.h) and an elementwise pass; and, for relu2 without a gate on an H100 or H200, one kernel
// (mlp_fused.h). Which one is chosen by time, once per process, the first time a half and a shape are met; the result is not: only kernels
// serve whose output equals the pair's bit for bit, on operands whose sums cancel (tuning.h). So another process may choose otherwise
// and has the same bits.
//
// (Cutting the rows so that the pass finds the product in the L2 cache was slower than the pair: the smaller products lose more than
// the pass gains. So was one kernel of ours for both, by bulk copies and wgmma: 0.673 ms against 0.577 on an H200.)
#pragma once

#include <map>
#include <optional>
#include <tuple>

#include "gemm.h"
#include "mlp_fused.h"

namespace lmx::cuda {

// By way of the pair, for every activation and any operands.
void mlp_pair(Gemm& gemm, MlpHalf half, const MlpShape& s, const MlpOperands& o, cudaStream_t stream);

class Mlp {
 public:
  explicit Mlp(Gemm& gemm) : gemm_(gemm) {}

  // Call when the products' workspace has changed: their bits may have.
  void forget_choices() { choices_.clear(); }

  // Enqueue. The first call of a shape that one kernel could serve also times the candidates and waits, unless the stream is capturing.
  void forward(const MlpShape& s, const bf16* x, const bf16* w_up, bf16* u, bf16* a, cudaStream_t stream) {
    run(MlpHalf::forward, s, {x, w_up, u, a}, stream);
  }
  void backward_input(const MlpShape& s, const bf16* dy, const bf16* w_down, const bf16* saved, bf16* du, cudaStream_t stream) {
    run(MlpHalf::backward, s, {dy, w_down, const_cast<bf16*>(saved), du}, stream);
  }

 private:
  using Key = std::tuple<MlpHalf, index_t, index_t, index_t, unsigned>;

  void run(MlpHalf half, const MlpShape& s, const MlpOperands& o, cudaStream_t stream);
  // Null for the pair; none where there is no memory to search with.
  std::optional<const FusedMlp*> choose(MlpHalf half, const MlpShape& s, unsigned alignment, cudaStream_t stream);

  Gemm& gemm_;
  std::map<Key, const FusedMlp*> choices_;  // null: the pair. FusedMlp::allow has been called for the others
};

}  // namespace lmx::cuda
