#include "gemm.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "check.h"
#include "cublaslt.h"
#include "launch.h"
#include "pack.cuh"
#include "recording.h"
#include "stream_timer.h"

namespace lmx::cuda {
namespace {

constexpr int kCandidates = 16;
constexpr double kTimedSeconds = 2e-4;  // about as long does a recording of a candidate's runs take
constexpr int kMostRuns = 24;
constexpr int kTimedReplays = 4;

// An operand for telling orders of summation apart. Terms k and k + K/2 of every sum cancel exactly, so what a product returns is
// its rounding errors, different for every other order. k_first: the index over which the product sums runs first in memory,
// rows of `stride` elements; `sign` is that of the second half, -1 for one of the two operands. Sums of `sum_length` terms follow
// one another where a product has several.
__global__ void cancelling_kernel(index_t count, index_t stride, index_t sum_length, bool k_first, float sign,
                                  std::uint32_t seed, bf16* values) {
  const index_t half = sum_length / 2;
  for (index_t i = blockIdx.x * index_t{blockDim.x} + threadIdx.x; i < count; i += index_t{gridDim.x} * blockDim.x) {
    const index_t k = (k_first ? i % stride : i / stride) % sum_length, other = k_first ? i / stride : i % stride;
    std::uint32_t bits = static_cast<std::uint32_t>(k % (half + (half == 0))) * 0x9e3779b1u + seed;
    bits = (bits ^ static_cast<std::uint32_t>(other)) * 0x85ebca6bu;
    bits = (bits ^ (bits >> 13)) * 0xc2b2ae35u;
    bits ^= bits >> 16;
    const float value = static_cast<float>(bits) * 0x1p-31f - 1;
    values[i] = __float2bfloat16(k >= 2 * half ? 0.f : k >= half ? value * sign : value);
  }
}

__global__ void differs_kernel(std::size_t words, const std::uint32_t* a, const std::uint32_t* b, int* differs) {
  for (std::size_t i = blockIdx.x * std::size_t{blockDim.x} + threadIdx.x; i < words; i += gridDim.x * blockDim.x) {
    if (a[i] != b[i]) *differs = 1;
  }
}

// Largest power of two up to 256 that divides an address.
unsigned alignment_of(const void* pointer) {
  const auto address = reinterpret_cast<std::uintptr_t>(pointer) | 256;
  return static_cast<unsigned>(address & (~address + 1));
}

// Device memory for the length of a scope; null when there is none left.
class Scratch {
 public:
  explicit Scratch(std::size_t bytes) {
    if (cudaMalloc(&pointer_, bytes) == cudaSuccess) return;
    pointer_ = nullptr;
    cudaGetLastError();
  }
  ~Scratch() { cudaFree(pointer_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  void* get() const { return pointer_; }

 private:
  void* pointer_ = nullptr;
};

bool is_capturing(cudaStream_t stream) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  check(cudaStreamIsCapturing(stream, &status), "cudaStreamIsCapturing");
  return status != cudaStreamCaptureStatusNone;
}

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
    found = plans_.emplace(key, make_plan(call)).first;
    if (!is_capturing(stream)) tune(found->second, call, stream);
  }
  launch(found->second, found->second.choice, call, stream);
}

Gemm::Plan Gemm::make_plan(const GemmCall& call) const {
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
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment_of(call.a));
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment_of(call.b));
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment_of(call.c ? call.c : call.d));
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment_of(call.d));

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
void Gemm::tune(Plan& plan, const GemmCall& call, cudaStream_t stream) const {
  const std::size_t count = plan.candidates.size();
  if (count < 2) return;
  const auto bytes_of = [](index_t elements, index_t width) {
    return static_cast<std::size_t>((elements * width + 3) / 4 * 4);
  };
  const index_t a_elements = call.lda * (call.transpose_a ? call.m : call.k);
  const index_t b_elements = call.ldb * (call.transpose_b ? call.k : call.n);
  const std::size_t bytes = bytes_of(call.ldd * call.n * call.splits, call.d_type == CUDA_R_32F ? 4 : 2);
  const Scratch a(bytes_of(a_elements, 2)), b(bytes_of(b_elements, 2)), zeros(call.c ? bytes : 4), expected(bytes),
      output(bytes), flag(sizeof(int));
  for (const Scratch* scratch : {&a, &b, &zeros, &expected, &output, &flag}) {
    if (scratch->get() == nullptr) return;  // no memory left to search with: the first candidate serves
  }
  cancelling_kernel<<<1024, 256, 0, stream>>>(a_elements, call.lda, call.k / call.splits, call.transpose_a, 1.f, 1,
                                              static_cast<bf16*>(a.get()));
  cancelling_kernel<<<1024, 256, 0, stream>>>(b_elements, call.ldb, call.k / call.splits, !call.transpose_b, -1.f, 2,
                                              static_cast<bf16*>(b.get()));
  check(cudaMemsetAsync(zeros.get(), 0, call.c ? bytes : 4, stream), "cudaMemsetAsync");
  check(cudaMemsetAsync(expected.get(), 0, bytes, stream), "cudaMemsetAsync");
  check(cudaMemsetAsync(output.get(), 0, bytes, stream), "cudaMemsetAsync");
  GemmCall trial = call;
  trial.a = a.get();
  trial.b = b.get();
  trial.c = call.c ? zeros.get() : nullptr;
  check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");  // other streams would disturb the times
  StreamTimer timer;
  double best = 0;
  const bool log = std::getenv("LAYERMIX_GEMM_LOG") != nullptr;
  for (std::size_t i = 0; i < count; ++i) {
    trial.d = i == 0 ? expected.get() : output.get();
    bool equal = true;
    launch(plan, i, trial, stream);
    if (i > 0) {
      int differs = 0;
      check(cudaMemsetAsync(flag.get(), 0, sizeof differs, stream), "cudaMemsetAsync");
      differs_kernel<<<1024, 256, 0, stream>>>(bytes / 4, static_cast<const std::uint32_t*>(expected.get()),
                                               static_cast<const std::uint32_t*>(output.get()),
                                               static_cast<int*>(flag.get()));
      check(cudaMemcpyAsync(&differs, flag.get(), sizeof differs, cudaMemcpyDeviceToHost, stream), "cudaMemcpyAsync");
      check(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
      equal = differs == 0;
      if (!equal && !log) continue;
    }
    timer.begin(stream);
    launch(plan, i, trial, stream);
    timer.end(stream);
    // Products of a small model take less than their launch, so timing launches would compare the host with itself.
    const int runs = std::clamp(static_cast<int>(kTimedSeconds / timer.seconds()), 2, kMostRuns);
    const Recording recording(stream, [&] {
      for (int run = 0; run < runs; ++run) launch(plan, i, trial, stream);
    });
    double seconds = 0;
    for (int replay = 0; replay <= kTimedReplays; ++replay) {  // the first one warms up
      timer.begin(stream);
      recording.launch(stream);
      timer.end(stream);
      const double once = timer.seconds() / runs;
      if (replay == 1 || (replay > 1 && once < seconds)) seconds = once;
    }
    if (log) {
      std::fprintf(stderr, "gemm %c%c %s m %ld n %ld k %ld: candidate %zu %s %.4f ms\n", call.transpose_a ? 'T' : 'N',
                   call.transpose_b ? 'T' : 'N', call.c ? "+=" : "=", static_cast<long>(call.m),
                   static_cast<long>(call.n), static_cast<long>(call.k), i, equal ? "equal" : "differs", 1e3 * seconds);
    }
    if (i == 0 || (equal && seconds < best)) {
      best = seconds;
      plan.choice = i;
    }
  }
}

void Gemm::launch(const Plan& plan, std::size_t choice, const GemmCall& call, cudaStream_t stream) const {
  const float alpha = 1, beta = call.c == nullptr ? 0.f : 1.f;
  check(cublaslt().matmul(handle_, plan.product.get(), &alpha, call.a, plan.a.get(), call.b, plan.b.get(), &beta,
                          call.c == nullptr ? call.d : call.c, plan.d.get(), call.d, plan.d.get(), &plan.candidates[choice],
                          workspace_, workspace_size_, stream),
        "cublasLtMatmul");
}

}  // namespace lmx::cuda
