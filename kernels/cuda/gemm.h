// Matrix products on cuBLASLt: bf16 in, fp32 accumulation, bf16 or fp32 out, D = op(A)·op(B) (+ C), column-major as cuBLAS
// wants it. The algorithm of a shape is chosen once per process and device, the first time the shape is met, and kept.
//
// The choice is by time, the result is not: candidates are cuBLASLt's first guess, which is a function of the shape, and those
// whose output equals it bit for bit on operands whose sums cancel, where another order of summation shows in every element.
// So a run resumed in another process continues with the same bits. Reductions over split
// K go through workspace in a fixed order; schemes with atomics are masked out. LAYERMIX_GEMM_LOG=1 prints the candidates' times.
#pragma once

#include <cublasLt.h>
#include <cuda_runtime.h>

#include <cstddef>
#include <map>
#include <optional>
#include <tuple>

#include "../backend.h"

namespace lmx::cuda {

struct GemmCall {
  bool transpose_a, transpose_b;
  index_t m, n, k;
  const void* a;
  index_t lda;
  const void* b;
  index_t ldb;
  const void* c;  // null, or the matrix added to the product; may be d
  void* d;
  index_t ldd;             // also of c
  cudaDataType_t d_type;  // CUDA_R_16BF or CUDA_R_32F, also of c
  // Of A·Bᵀ without c: the sum over k is cut into so many of equal length, whose results lie one after the other in d.
  index_t splits = 1;
};

class Gemm {
 public:
  static constexpr std::size_t workspace_bytes = std::size_t{32} << 20;  // what NVIDIA recommends for Hopper

  Gemm();
  ~Gemm();
  Gemm(const Gemm&) = delete;
  Gemm& operator=(const Gemm&) = delete;

  void bind_workspace(void* pointer, std::size_t bytes);
  std::size_t workspace_size() const { return workspace_size_; }
  const void* workspace_end() const { return static_cast<const std::byte*>(workspace_) + workspace_size_; }

  // Enqueues the product. The first call of a shape also times the candidates and waits, unless the stream is capturing.
  void run(const GemmCall& call, cudaStream_t stream);

 private:
  using Key = std::tuple<bool, bool, index_t, index_t, index_t, index_t, index_t, index_t, index_t, bool, int, unsigned>;
  struct Plan;

  Plan make_plan(const GemmCall& call, unsigned alignment) const;
  // The candidate that serves; none where there is no memory to search with.
  std::optional<std::size_t> choose(const Plan& plan, const GemmCall& call, cudaStream_t stream) const;
  void launch(const Plan& plan, std::size_t choice, const GemmCall& call, cudaStream_t stream) const;

  cublasLtHandle_t handle_ = nullptr;
  void* workspace_ = nullptr;
  std::size_t workspace_size_ = 0;
  std::map<Key, Plan> plans_;
};

}  // namespace lmx::cuda
