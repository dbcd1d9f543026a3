#include "gemm.h"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "check.h"
#include "cublaslt.h"
#include "tuning.h"

namespace lmx::cuda {
namespace {

constexpr int kCandidates = 16;

template <class Handle>
using Owned = std::unique_ptr<std::remove_pointer_t<Handle>, cublasStatus_t (*)(Handle)>;

// `count` matrices, one after the other in memory.
Owned<cublasLtMatrixLayout_t> make_layout(cudaDataType_t type, index_t rows, index_t cols, index_t stride, index_t count = 1) {
  cublasLtMatrixLayout_t layout = nullptr;
  check(cublaslt().layout_create(&layout, type, static_cast<std::uint64_t>(rows), static_cast<std::uint64_t>(cols), stride),
        "cublasLtMatrixLayoutCreate");
  Owned<cublasLtMatrixLayout_t> owned(layout, cublaslt().layout_destroy);
  if (count > 1) {
    const auto matrices = static_cast<std::int32_t>(count);
    const std::int64_t apart = stride * cols;
    check(cublaslt().layout_set(layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &matrices, sizeof matrices), "cublasLtMatrixLayoutSetAttribute");
    check(cublaslt().layout_set(layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &apart, sizeof apart),
          "cublasLtMatrixLayoutSetAttribute");
  }
  return owned;
}

}  // namespace

struct Gemm::Plan {
  Owned<cublasLtMatmulDesc_t> product;
  Owned<cublasLtMatrixLayout_t> a, b, d;
  std::vector<cublasLtMatmulAlgo_t> candidates;  // cuBLASLt's order
  std::size_t choice = 0;
};

Gemm::Gemm() { check(cublaslt().create(&handle_), "cublasLtCreate"); }

Gemm::~Gemm() { cublaslt().destroy(handle_); }

void Gemm::bind_workspace(void* pointer, std::size_t bytes) {
  workspace_ = pointer;
  workspace_size_ = std::min(bytes, workspace_bytes);
  plans_.clear();  // they were made for another size
}

void Gemm::run(const GemmCall& call, cudaStream_t stream) {
  if (call.m == 0 || call.n == 0) return;
  const unsigned alignment = std::min({alignment_of(call.a), alignment_of(call.b), alignment_of(call.d),
                                       call.c ? alignment_of(call.c) : 256u});
  const Key key{call.transpose_a, call.transpose_b, call.m,   call.n,   call.k, call.lda, call.ldb, call.ldd,
                call.splits, call.c != nullptr, call.d_type,     alignment};
  auto found = plans_.find(key);
  if (found == plans_.end()) {
    found = plans_.emplace(key, make_plan(call, alignment)).first;
    Plan& plan = found->second;
    static Choices<std::tuple<int, std::size_t, Key>, std::size_t> choices;  // of candidates, which follow from the key
    if (plan.candidates.size() > 1 && !is_capturing(stream)) {
      plan.choice = choices.find({current_device(), workspace_size_, key}, [&] { return choose(plan, call, stream); }).value_or(0);
    }
  }
  launch(found->second, found->second.choice, call, stream);
}

Gemm::Plan Gemm::make_plan(const GemmCall& call, unsigned alignment) const {
  const CublasLt& lt = cublaslt();
  const index_t k = call.k / call.splits;
  cublasLtMatmulDesc_t product = nullptr;
  check(lt.desc_create(&product, CUBLAS_COMPUTE_32F, CUDA_R_32F), "cublasLtMatmulDescCreate");
  Plan plan{{product, lt.desc_destroy},
            make_layout(CUDA_R_16BF, call.transpose_a ? k : call.m, call.transpose_a ? call.m : k, call.lda, call.splits),
            make_layout(CUDA_R_16BF, call.transpose_b ? call.n : k, call.transpose_b ? k : call.n, call.ldb, call.splits),
            make_layout(call.d_type, call.m, call.n, call.ldd, call.splits),
            {}};
  const auto set_operation = [&](cublasLtMatmulDescAttributes_t attribute, bool transpose) {
    const cublasOperation_t operation = transpose ? CUBLAS_OP_T : CUBLAS_OP_N;
    check(lt.desc_set(product, attribute, &operation, sizeof operation), "cublasLtMatmulDescSetAttribute");
  };
  set_operation(CUBLASLT_MATMUL_DESC_TRANSA, call.transpose_a);
  set_operation(CUBLASLT_MATMUL_DESC_TRANSB, call.transpose_b);

  cublasLtMatmulPreference_t raw = nullptr;
  check(lt.preference_create(&raw), "cublasLtMatmulPreferenceCreate");
  const Owned<cublasLtMatmulPreference_t> preference(raw, lt.preference_destroy);
  const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t attribute, auto value) {
    check(lt.preference_set(raw, attribute, &value, sizeof value), "cublasLtMatmulPreferenceSetAttribute");
  };
  prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, workspace_size_);
  prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
         static_cast<std::uint32_t>(call.splits > 1 ? CUBLASLT_REDUCTION_SCHEME_NONE : CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
  for (const auto attribute : {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
                               CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES}) {
    prefer(attribute, alignment);
  }

  cublasLtMatmulHeuristicResult_t results[kCandidates];
  int count = 0;
  check(lt.get_heuristic(handle_, product, plan.a.get(), plan.b.get(), plan.d.get(), plan.d.get(), raw, kCandidates,
                         results, &count),
        "cublasLtMatmulAlgoGetHeuristic");
  for (int i = 0; i < count; ++i) {
    if (results[i].state == CUBLAS_STATUS_SUCCESS) plan.candidates.push_back(results[i].algo);
  }
  if (plan.candidates.empty()) {
    throw DeviceError("cuBLASLt has no algorithm for a product of " + std::to_string(call.m) + " x " +
                      std::to_string(call.n) + " x " + std::to_string(call.k));
  }
  return plan;
}

// On operands and outputs of its own: a product that accumulates must not be added twice, and equality on the caller's data might
// be luck.
std::optional<std::size_t> Gemm::choose(const Plan& plan, const GemmCall& call, cudaStream_t stream) const {
  const auto bytes_of = [](index_t elements, index_t width) {
    return static_cast<std::size_t>((elements * width + 3) / 4 * 4);
  };
  const index_t a_elements = call.lda * (call.transpose_a ? call.m : call.k);
  const index_t b_elements = call.ldb * (call.transpose_b ? call.k : call.n);
  const std::size_t bytes = bytes_of(call.ldd * call.n * call.splits, call.d_type == CUDA_R_32F ? 4 : 2);
  const Scratch a(bytes_of(a_elements, 2)), b(bytes_of(b_elements, 2)), zeros(call.c ? bytes : 4), expected(bytes),
      output(bytes), flag(sizeof(int));
  for (const Scratch* scratch : {&a, &b, &zeros, &expected, &output, &flag}) {
    if (scratch->get() == nullptr) return std::nullopt;
  }
  fill_cancelling({a_elements, call.lda, call.k / call.splits, call.transpose_a, 1, 1}, static_cast<bf16*>(a.get()), stream);
  fill_cancelling({b_elements, call.ldb, call.k / call.splits, !call.transpose_b, -1, 2}, static_cast<bf16*>(b.get()), stream);
  check(cudaMemsetAsync(zeros.get(), 0, call.c ? bytes : 4, stream), "cudaMemsetAsync");
  check(cudaMemsetAsync(expected.get(), 0, bytes, stream), "cudaMemsetAsync");
  check(cudaMemsetAsync(output.get(), 0, bytes, stream), "cudaMemsetAsync");
  GemmCall trial = call;
  trial.a = a.get();
  trial.b = b.get();
  trial.c = call.c ? zeros.get() : nullptr;
  check(cudaStreamSynchronize(stream), "cudaStreamSynchronize");  // not the device: another thread may be recording on it
  std::size_t choice = 0;
  double best = 0;
  const bool log = logs_candidates();
  for (std::size_t i = 0; i < plan.candidates.size(); ++i) {
    trial.d = i == 0 ? expected.get() : output.get();
    const auto run = [&] { launch(plan, i, trial, stream); };
    run();
    const bool equal = i == 0 || !differ(bytes, expected.get(), output.get(), flag.get(), stream);
    if (!equal && !log) continue;
    const double seconds = seconds_of(run, stream);
    if (log) {
      std::fprintf(stderr, "gemm %c%c %s m %ld n %ld k %ld: candidate %zu %s %.4f ms\n", call.transpose_a ? 'T' : 'N',
                   call.transpose_b ? 'T' : 'N', call.c ? "+=" : "=", static_cast<long>(call.m),
                   static_cast<long>(call.n), static_cast<long>(call.k), i, equal ? "equal" : "differs", 1e3 * seconds);
    }
    if (i == 0 || (equal && seconds < best)) {
      best = seconds;
      choice = i;
    }
  }
  return choice;
}

void Gemm::launch(const Plan& plan, std::size_t choice, const GemmCall& call, cudaStream_t stream) const {
  const float alpha = 1, beta = call.c == nullptr ? 0.f : 1.f;
  check(cublaslt().matmul(handle_, plan.product.get(), &alpha, call.a, plan.a.get(), call.b, plan.b.get(), &beta,
                          call.c == nullptr ? call.d : call.c, plan.d.get(), call.d, plan.d.get(), &plan.candidates[choice],
                          workspace_, workspace_size_, stream),
        "cublasLtMatmul");
}

}  // namespace lmx::cuda
