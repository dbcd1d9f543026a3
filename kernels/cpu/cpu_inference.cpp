// Maps the virtual calls of Inference to the operations of this folder.
#include "cpu_inference.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <type_traits>
#include <vector>

#include "../common/philox.h"
#include "attention_decode.h"
#include "causal_conv1d_step.h"
#include "kv_cache_append.h"
#include "linear_few_rows.h"
#include "ssd_state_update.h"

namespace lmx::cpu {

namespace {

// Tokens from which on the chunked scan beats the recurrence.
constexpr index_t scan_from = 16;

template <class T>
class CpuInference final : public Inference {
 public:
  CpuInference(Backend& backend, const Context& context) : backend_(backend), context_(context) {}

  std::size_t workspace_bytes(const LinearShape& s) const override { return backend_.workspace_bytes(s); }
  std::size_t workspace_bytes(const AttentionShape& s) const override { return backend_.workspace_bytes(s); }
  std::size_t workspace_bytes(const CacheShape&) const override { return 0; }
  std::size_t workspace_bytes(const SsdShape&) const override { return 0; }
  bool offers(StateType type) const override { return type == StateType::full; }

  std::size_t free_bytes() const override { return free_memory_bytes(); }
  void fill_normal(void* values, DType, index_t count, double scale, std::uint64_t seed, std::uint64_t stream) override {
    constexpr index_t share = 1 << 14;
    T* const to = static_cast<T*>(values);
    context_.pool->parallel_for((count + share - 1) / share, [&](index_t task) {
      for (index_t i = task * share; i < std::min(count, (task + 1) * share); ++i) {
        to[i] = T(scale * random_normal(seed, stream, static_cast<std::uint64_t>(i)));
      }
    });
  }
  void full_copy(void* to, const void* from, std::size_t bytes) override { backend_.copy(to, from, bytes); }
  void mark(std::size_t slot) override {
    if (slot >= marks_.size()) marks_.resize(slot + 1);
    marks_[slot] = Clock::now();
  }
  double seconds(std::size_t from, std::size_t to) override {
    return std::chrono::duration<double>(marks_.at(to) - marks_.at(from)).count();
  }

  void linear(const LinearShape& s, const void* x, const void* w, const void* residual, void* y) override {
    if constexpr (std::is_same_v<T, float>) {
      if (s.rows <= most_few_rows && s.y_stride() == s.out)
        return linear_few_rows(context_, s, in(x), in(w), in(residual), static_cast<T*>(y));
    }
    backend_.linear_forward(s, x, w, residual, y);
  }
  void norm_linear(const LinearShape& s, const PreNorm& norm, const void* x, const void* w, void* y, bool) override {
    backend_.rms_norm_forward({s.rows, s.in, norm.eps}, x, norm.weight, norm.normed, norm.rstd);
    linear(s, norm.normed, w, nullptr, y);
  }
  void norm_linear_activation(const MlpShape& s, const PreNorm& norm, const void* x, const void* w_up, void* u,
                              void* a) override {
    void* const up = s.keeps_input() ? u : a;
    norm_linear({s.rows, s.hidden, s.up_width()}, norm, x, w_up, up, false);
    T* const to = static_cast<T*>(a);
    context_.pool->parallel_for(s.rows, [&](index_t r) {
      const T* const row = in(up) + r * s.up_width();
      for (index_t c = 0; c < s.width; ++c) {
        to[r * s.width + c] = activate(s.activation, row[c]) * (s.gated ? row[s.width + c] : T(1));
      }
    });
  }

  void causal_conv1d_step(const ConvShape& s, ConstStrided x, const void* w, const void* bias, void* window,
                          void* y) override {
    if (s.time > std::max(s.width - 1, index_t{1})) backend_.causal_conv1d_forward(s, x, w, bias, y);
    cpu::causal_conv1d_step(context_, s, in(x), in(w), in(bias), static_cast<T*>(window), static_cast<T*>(y));
  }
  void ssd_state_update(const SsdShape& s, StateType type, const void* xbc, ConstStrided dt, const void* a_log,
                        const void* d, const void* dt_bias, void* state, void* y, void* chunks, void*) override {
    if (!offers(type)) throw InvalidArgument("expected a full state on device cpu, got bf16 (it can be planned, not run)");
    if (s.time >= scan_from) {
      return backend_.ssd_scan_forward(s, xbc, dt, a_log, d, dt_bias, state, y, chunks, state);
    }
    cpu::ssd_state_update(context_, s, in(xbc), in(dt), in(a_log), in(d), in(dt_bias), static_cast<T*>(state),
                          static_cast<T*>(y));
  }

  void kv_cache_append(const CacheShape& s, void* qkv, void* keys, void* values, const std::int32_t* position) override {
    cpu::kv_cache_append(context_, s, static_cast<T*>(qkv), static_cast<T*>(keys), static_cast<T*>(values), *position);
  }
  void attention_decode(const CacheShape& s, const void* qkv, const void* keys, const void* values,
                        const std::int32_t* position, void* out) override {
    cpu::attention_decode(context_, s, in(qkv), in(keys), in(values), *position, static_cast<T*>(out));
  }
  void attention_prompt(const AttentionShape& s, const void* qkv, void* out, void* lse) override {
    backend_.attention_forward(s, qkv, out, lse);
  }

  void select_greedy(index_t rows, index_t vocab, const void* logits, index_t seen, const TokenBuffers& to) override {
    *to.position += static_cast<std::int32_t>(seen);
    std::int32_t* const history = to.history + *to.position % to.ring * rows;
    for (index_t r = 0; r < rows; ++r) {
      const T* const row = in(logits) + r * vocab;
      to.tokens[r] = history[r] = static_cast<std::int32_t>(std::max_element(row, row + vocab) - row);
    }
  }

 private:
  using Clock = std::chrono::steady_clock;
  static const T* in(const void* pointer) { return static_cast<const T*>(pointer); }
  static StridedOf<const T*> in(ConstStrided view) { return {static_cast<const T*>(view.data), view.stride}; }

  Backend& backend_;
  const Context& context_;
  std::vector<Clock::time_point> marks_;
};

}  // namespace

template <class T>
std::unique_ptr<Inference> make_inference(Backend& backend, const Context& context) {
  return std::make_unique<CpuInference<T>>(backend, context);
}
template std::unique_ptr<Inference> make_inference<float>(Backend&, const Context&);
template std::unique_ptr<Inference> make_inference<double>(Backend&, const Context&);

std::size_t free_memory_bytes() {
#if defined(_SC_AVPHYS_PAGES)
  return static_cast<std::size_t>(sysconf(_SC_AVPHYS_PAGES)) * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
#else
  return 0;
#endif
}

}  // namespace lmx::cpu
