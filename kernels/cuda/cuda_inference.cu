// Maps the virtual calls of Inference to the operations of this folder.
#include "cuda_inference.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "../common/error.h"
#include "attention_decode.cuh"
#include "causal_conv1d_step.cuh"
#include "check.h"
#include "fill_normal.cuh"
#include "full_copy.cuh"
#include "kv_cache_append.cuh"
#include "linear_few_rows.cuh"
#include "mlp_activation.cuh"
#include "select_greedy.cuh"
#include "ssd_scan.cuh"
#include "ssd_scan_padded.cuh"
#include "ssd_state_update.cuh"

namespace lmx::cuda {
namespace {

// Tokens from which on the chunked scan beats the recurrence.
constexpr index_t kScanFrom = 32;

template <class T>
const T* in(const void* pointer) {
  return static_cast<const T*>(pointer);
}
template <class T>
T* out(void* pointer) {
  return static_cast<T*>(pointer);
}
StridedOf<const bf16*> in(ConstStrided view) { return {static_cast<const bf16*>(view.data), view.stride}; }

// Device memory that starts as zeros.
class Zeros {
 public:
  explicit Zeros(std::size_t bytes) {
    check(cudaMalloc(&pointer_, bytes), "cudaMalloc");
    check(cudaMemset(pointer_, 0, bytes), "cudaMemset");
    check(cudaStreamSynchronize(cudaStreamLegacy), "cudaStreamSynchronize");  // the backend's stream does not wait for that one
  }
  ~Zeros() { cudaFree(pointer_); }
  Zeros(const Zeros&) = delete;
  Zeros& operator=(const Zeros&) = delete;
  void* get() const { return pointer_; }

 private:
  void* pointer_ = nullptr;
};

class CudaInference final : public Inference {
 public:
  explicit CudaInference(InferenceParts parts)
      : parts_(std::move(parts)), counters_(kAttentionCounters * sizeof(unsigned)), greedy_(kGreedyScratchBytes) {}
  ~CudaInference() override {
    for (cudaEvent_t event : marks_) cudaEventDestroy(event);
  }

  std::size_t workspace_bytes(const LinearShape&) const override { return Gemm::workspace_bytes; }
  std::size_t workspace_bytes(const AttentionShape&) const override { return kPromptAttentionWorkspace; }
  std::size_t workspace_bytes(const CacheShape& s) const override { return attention_decode_workspace(s); }
  std::size_t workspace_bytes(const SsdShape& s) const override { return scans(s) ? ssd_scan_forward_workspace(s) : 0; }
  bool offers(StateType) const override { return true; }

  std::size_t free_bytes() const override {
    stream();
    std::size_t free = 0, total = 0;
    check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
    return free;
  }
  void fill_normal(void* values, DType type, index_t count, double scale, std::uint64_t seed,
                   std::uint64_t stream_number) override {
    cuda::fill_normal(values, type, count, scale, seed, stream_number, stream());
  }
  void full_copy(void* to, const void* from, std::size_t bytes) override { cuda::full_copy(to, from, bytes, stream()); }
  void mark(std::size_t slot) override {
    const cudaStream_t on = stream();
    while (marks_.size() <= slot) {
      cudaEvent_t event = nullptr;
      check(cudaEventCreate(&event), "cudaEventCreate");
      marks_.push_back(event);
    }
    check(cudaEventRecord(marks_[slot], on), "cudaEventRecord");
  }
  double seconds(std::size_t from, std::size_t to) override {
    check(cudaEventSynchronize(marks_.at(to)), "cudaEventSynchronize");
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, marks_.at(from), marks_.at(to)), "cudaEventElapsedTime");
    return milliseconds * 1e-3;
  }

  void linear(const LinearShape& s, const void* x, const void* w, const void* residual, void* y) override {
    if (!takes_few_rows(s, x, w)) return parts_.backend.linear_forward(s, x, w, residual, y);
    FewRowsLinear call{s, in<bf16>(x), in<bf16>(w)};
    call.residual = in<bf16>(residual);
    call.y = out<bf16>(y);
    linear_few_rows(call, stream());
  }
  void norm_linear(const LinearShape& s, const PreNorm& norm, const void* x, const void* w, void* y, bool wide) override {
    if (takes_few_rows(s, x, w)) {
      FewRowsLinear call = with_norm({s, in<bf16>(x), in<bf16>(w)}, norm);
      if (wide) {
        call.wide_y = out<float>(y);
      } else {
        call.y = out<bf16>(y);
      }
      return linear_few_rows(call, stream());
    }
    x = normed({s.rows, s.in, norm.eps}, norm, x);
    if (!wide) return parts_.backend.linear_forward(s, x, w, nullptr, y);
    parts_.gemm.run({true, false, s.out, s.rows, s.in, w, s.in, x, s.in, nullptr, y, s.y_stride(), CUDA_R_32F}, stream());
  }
  void norm_linear_activation(const MlpShape& s, const PreNorm& norm, const void* x, const void* w_up, void* u,
                              void* a) override {
    const LinearShape shape{s.rows, s.hidden, s.up_width()};
    if (takes_few_rows(shape, x, w_up)) {
      return mlp_up_few_rows(s, with_norm({shape, in<bf16>(x), in<bf16>(w_up)}, norm), out<bf16>(a), stream());
    }
    parts_.backend.linear_activation_forward(s, normed({s.rows, s.hidden, norm.eps}, norm, x), w_up, u, a);
  }

  void causal_conv1d_step(const ConvShape& s, ConstStrided x, const void* w, const void* bias, void* window,
                          void* y) override {
    if (s.time > std::max(s.width - 1, index_t{1})) parts_.backend.causal_conv1d_forward(s, x, w, bias, y);
    cuda::causal_conv1d_step(s, in(x), in<float>(w), in<float>(bias), out<bf16>(window), out<bf16>(y), stream());
  }
  void ssd_state_update(const SsdShape& s, StateType type, const void* xbc, ConstStrided dt, const void* a_log,
                        const void* d, const void* dt_bias, void* state, void* y, void* chunks, void* wide) override {
    const cudaStream_t on = stream();
    const auto update = [&](auto* cells) {
      cuda::ssd_state_update(s, in<bf16>(xbc), in(dt), in<float>(a_log), in<float>(d), in<float>(dt_bias), cells,
                             out<bf16>(y), on);
    };
    if (!scans(s)) return type == StateType::bf16 ? update(out<bf16>(state)) : update(out<float>(state));
    if (ssd_scan_states_bytes(s) > static_cast<std::size_t>(s.state_elements()) * sizeof(float)) {
      throw InvalidArgument("ssd_scan on a GPU: Expected a chunk of at most 256, got " + std::to_string(s.chunk));
    }
    const index_t cells = s.batch * s.inner() * s.state;
    float* const full = type == StateType::bf16 ? out<float>(wide) : out<float>(state);
    if (type == StateType::bf16) widen(cells, state, full, on);
    ssd_scan_forward(s, in<bf16>(xbc), in(dt), in<float>(a_log), in<float>(d), in<float>(dt_bias), full, out<bf16>(y),
                     out<bf16>(chunks), full, parts_.scratch(ssd_scan_forward_workspace(s)), on);
    if (type == StateType::bf16) narrow(cells, full, state, on);
  }

  void kv_cache_append(const CacheShape& s, void* qkv, void* keys, void* values, const std::int32_t* position) override {
    cuda::kv_cache_append(s, out<bf16>(qkv), out<bf16>(keys), out<bf16>(values), position, stream());
  }
  void attention_decode(const CacheShape& s, const void* qkv, const void* keys, const void* values,
                        const std::int32_t* position, void* result) override {
    cuda::attention_decode(s, in<bf16>(qkv), in<bf16>(keys), in<bf16>(values), position, out<bf16>(result),
                           parts_.scratch(attention_decode_workspace(s)), static_cast<unsigned*>(counters_.get()), stream());
  }
  void attention_prompt(const AttentionShape& s, const void* qkv, void* result, void* lse) override {
    parts_.attention.forward_only(s, qkv, result, out<float>(lse), parts_.scratch(kPromptAttentionWorkspace),
                                  kPromptAttentionWorkspace, stream());
  }

  void select_greedy(index_t rows, index_t vocab, const void* logits, index_t seen, const TokenBuffers& to) override {
    if (rows > kGreedyMostBlocks) {
      throw InvalidArgument("Expected at most " + std::to_string(kGreedyMostBlocks) + " sequences on a GPU, got " +
                            std::to_string(rows));
    }
    cuda::select_greedy(rows, vocab, in<float>(logits), seen, to, greedy_.get(), stream());
  }

 private:
  static constexpr std::size_t kPromptAttentionWorkspace = std::size_t{64} << 20;

  // Whether the chunked scan takes the shape and is worth it; otherwise the recurrence, token by token in one kernel.
  static bool scans(const SsdShape& s) { return s.time >= kScanFrom && !ssd_scan_needs_padding(s); }
  cudaStream_t stream() const { return parts_.stream(); }
  static FewRowsLinear with_norm(FewRowsLinear call, const PreNorm& norm) {
    call.norm_weight = in<float>(norm.weight);
    call.eps = static_cast<float>(norm.eps);
    return call;
  }
  // x after the norm, by a kernel of its own.
  const void* normed(const NormShape& s, const PreNorm& norm, const void* x) {
    parts_.backend.rms_norm_forward(s, x, norm.weight, norm.normed, norm.rstd);
    return norm.normed;
  }

  InferenceParts parts_;
  Zeros counters_, greedy_;
  std::vector<cudaEvent_t> marks_;
};

}  // namespace

std::unique_ptr<Inference> make_inference(InferenceParts parts) { return std::make_unique<CudaInference>(std::move(parts)); }

}  // namespace lmx::cuda
