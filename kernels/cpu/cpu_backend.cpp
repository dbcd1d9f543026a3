// Maps the virtual calls of Backend to the operations of this folder. Overload resolution picks the
// vectorised float operation where T is float, and the plain template where T is double.
#include "cpu_backend.h"

#include <cstdlib>
#include <cstring>
#include <new>
#include <type_traits>

#include "adamw.h"
#include "attention.h"
#include "blas.h"
#include "causal_conv1d.h"
#include "cpu_inference.h"
#include "cross_entropy.h"
#include "embedding.h"
#include "gated_rms_norm.h"
#include "gradient_norm.h"
#include "linear.h"
#include "mlp.h"
#include "rms_norm.h"
#include "rope.h"
#include "ssd_scan.h"

namespace lmx {

namespace {

constexpr std::size_t alignment_bytes = 256;

template <class T>
const T* in(const void* pointer) {
  return static_cast<const T*>(pointer);
}
template <class T>
T* out(void* pointer) {
  return static_cast<T*>(pointer);
}
template <class T>
StridedOf<const T*> in(ConstStrided view) {
  return {static_cast<const T*>(view.data), view.stride};
}
template <class T>
StridedOf<T*> out(Strided view) {
  return {static_cast<T*>(view.data), view.stride};
}

template <class T>
class CpuBackend final : public Backend {
 public:
  explicit CpuBackend(int threads) : pool_(threads) { context_.pool = &pool_; }

  Precision precision() const override { return {dtype, dtype, dtype}; }
  const char* name() const override { return "cpu"; }
  Inference& inference() override { return *inference_; }

  void* allocate(std::size_t bytes) override {
    const std::size_t rounded = (bytes + alignment_bytes - 1) / alignment_bytes * alignment_bytes;
    void* pointer =
        rounded < bytes ? nullptr : std::aligned_alloc(alignment_bytes, rounded ? rounded : alignment_bytes);
    if (!pointer) throw OutOfMemory(bytes, cpu::free_memory_bytes());
    return pointer;
  }
  void release(void* pointer) override { std::free(pointer); }
  void zero(void* pointer, std::size_t bytes) override { std::memset(pointer, 0, bytes); }
  void upload(void* to, const void* from, std::size_t bytes) override { std::memcpy(to, from, bytes); }
  void download(void* to, const void* from, std::size_t bytes) override { std::memcpy(to, from, bytes); }
  void copy(void* to, const void* from, std::size_t bytes) override { std::memcpy(to, from, bytes); }
  void synchronize() override {}
  void bind_workspace(void* pointer, std::size_t bytes) override {
    context_.workspace = pointer;
    context_.workspace_bytes = bytes;
  }

  std::size_t workspace_bytes(const LinearShape&) const override { return 0; }
  std::size_t workspace_bytes(const NormShape& s) const override {
    return planned(cpu::rms_norm_workspace_bytes(s));
  }
  std::size_t workspace_bytes(const GatedNormShape& s) const override {
    return planned(cpu::gated_rms_norm_workspace_bytes(s));
  }
  std::size_t workspace_bytes(const ConvShape& s) const override {
    return planned(cpu::causal_conv1d_workspace_bytes(s));
  }
  std::size_t workspace_bytes(const SsdShape& s) const override {
    return planned(cpu::ssd_scan_workspace_bytes(s));
  }
  std::size_t workspace_bytes(const AttentionShape&) const override { return 0; }
  std::size_t workspace_bytes(const CrossEntropyShape&) const override { return 0; }

  void embedding_forward(index_t rows, index_t cols, const std::int32_t* tokens, const void* weight,
                         void* x) override {
    cpu::embedding_forward(context_, rows, cols, tokens, in<T>(weight), out<T>(x));
  }
  void embedding_backward(index_t rows, index_t cols, index_t, const std::int32_t* tokens, const void* dx,
                          void* dweight) override {
    cpu::embedding_backward(context_, rows, cols, tokens, in<T>(dx), out<T>(dweight));
  }

  void rms_norm_forward(const NormShape& s, const void* x, const void* weight, void* y, void* rstd) override {
    cpu::rms_norm_forward(context_, s, in<T>(x), in<T>(weight), out<T>(y), out<T>(rstd));
  }
  void rms_norm_backward(const NormShape& s, const void* dy, const void* x, const void* weight,
                         const void* rstd, const void* dresidual, void* dx, void* dweight) override {
    cpu::rms_norm_backward(context_, s, in<T>(dy), in<T>(x), in<T>(weight), in<T>(rstd), in<T>(dresidual),
                           out<T>(dx), out<T>(dweight));
  }

  void linear_forward(const LinearShape& s, const void* x, const void* w, const void* residual,
                      void* y) override {
    cpu::linear_forward(context_, s, in<T>(x), in<T>(w), in<T>(residual), out<T>(y));
  }
  void linear_backward_input(const LinearShape& s, const void* dy, const void* w, void* dx) override {
    cpu::linear_backward_input(context_, s, in<T>(dy), in<T>(w), out<T>(dx));
  }
  void linear_backward_weight(const LinearShape& s, const void* x, const void* dy, void* dw) override {
    cpu::linear_backward_weight(context_, s, in<T>(x), in<T>(dy), out<T>(dw));
  }

  void linear_activation_forward(const MlpShape& s, const void* x, const void* w_up, void* u,
                                 void* a) override {
    cpu::linear_activation_forward(context_, s, in<T>(x), in<T>(w_up), out<T>(u), out<T>(a));
  }
  void linear_activation_backward_input(const MlpShape& s, const void* dy, const void* w_down, const void* saved,
                                        void* du) override {
    cpu::linear_activation_backward_input(context_, s, in<T>(dy), in<T>(w_down), in<T>(saved), out<T>(du));
  }

  void causal_conv1d_forward(const ConvShape& s, ConstStrided x, const void* w, const void* bias,
                             void* y) override {
    cpu::causal_conv1d_forward(context_, s, in<T>(x), in<T>(w), in<T>(bias), out<T>(y));
  }
  void causal_conv1d_backward(const ConvShape& s, const void* dy, ConstStrided x, const void* w,
                              const void* bias, Strided dx, void* dw, void* dbias) override {
    cpu::causal_conv1d_backward(context_, s, in<T>(dy), in<T>(x), in<T>(w), in<T>(bias), out<T>(dx),
                                out<T>(dw), out<T>(dbias));
  }

  void ssd_scan_forward(const SsdShape& s, const void* xbc, ConstStrided dt, const void* a_log, const void* d,
                        const void* dt_bias, const void* initial_state, void* y, void* states,
                        void* final_state) override {
    check(s);
    cpu::ssd_scan_forward(context_, s, in<T>(xbc), in<T>(dt), in<T>(a_log), in<T>(d), in<T>(dt_bias),
                          in<T>(initial_state), out<T>(y), out<T>(states), out<T>(final_state));
  }
  void ssd_scan_backward(const SsdShape& s, const void* dy, const void* xbc, ConstStrided dt,
                         const void* a_log, const void* d, const void* dt_bias, const void* states,
                         const void* dfinal_state, void* dxbc, Strided ddt, void* da_log, void* dd,
                         void* ddt_bias, void* dinitial_state) override {
    check(s);
    cpu::ssd_scan_backward(context_, s, in<T>(dy), in<T>(xbc), in<T>(dt), in<T>(a_log), in<T>(d),
                           in<T>(dt_bias), in<T>(states), in<T>(dfinal_state), out<T>(dxbc), out<T>(ddt),
                           out<T>(da_log), out<T>(dd), out<T>(ddt_bias), out<T>(dinitial_state));
  }

  void gated_rms_norm_forward(const GatedNormShape& s, const void* y, ConstStrided z, const void* weight,
                              void* result, void* rstd) override {
    require(s.groups > 0 && s.cols % s.groups == 0, "gated norm: Expected groups to divide cols", s.groups,
            s.cols);
    cpu::gated_rms_norm_forward(context_, s, in<T>(y), in<T>(z), in<T>(weight), out<T>(result), out<T>(rstd));
  }
  void gated_rms_norm_backward(const GatedNormShape& s, const void* dout, const void* y, ConstStrided z,
                               const void* weight, const void* rstd, void* dy, Strided dz,
                               void* dweight) override {
    require(s.groups > 0 && s.cols % s.groups == 0, "gated norm: Expected groups to divide cols", s.groups,
            s.cols);
    cpu::gated_rms_norm_backward(context_, s, in<T>(dout), in<T>(y), in<T>(z), in<T>(weight), in<T>(rstd),
                                 out<T>(dy), out<T>(dz), out<T>(dweight));
  }

  void rope_forward(const RopeShape& s, void* qkv) override { rope(s, qkv, +1); }
  void rope_backward(const RopeShape& s, void* dqkv) override { rope(s, dqkv, -1); }
  void attention_forward(const AttentionShape& s, const void* qkv, void* result, void* lse) override {
    check(s);
    cpu::attention_forward(context_, s, in<T>(qkv), out<T>(result), out<T>(lse));
  }
  void attention_backward(const AttentionShape& s, const void* dout, const void* qkv, const void* result,
                          const void* lse, void* dqkv) override {
    check(s);
    cpu::attention_backward(context_, s, in<T>(dout), in<T>(qkv), in<T>(result), in<T>(lse), out<T>(dqkv));
  }

  void cross_entropy(const CrossEntropyShape& s, void* logits, const std::int32_t* targets, void* row_loss,
                     std::uint8_t* row_correct, const StepScalars* scalars, bool write_gradient) override {
    cpu::cross_entropy(context_, s, out<T>(logits), targets, out<T>(row_loss), row_correct,
                       write_gradient ? scalars->inverse_target_count : 0.0, write_gradient);
  }
  void add_loss(index_t rows, const void* row_loss, StepScalars* scalars) override {
    scalars->loss_sum += cpu::sum_losses(context_, rows, in<T>(row_loss));
  }

  void gradient_norm(index_t count, const void* gradients, StepScalars* scalars) override {
    scalars->grad_norm = std::sqrt(cpu::sum_of_squares(context_, count, in<T>(gradients)));
    const bool clips = scalars->clip_norm > 0 && scalars->grad_norm > scalars->clip_norm;
    scalars->clip_scale = clips ? scalars->clip_norm / scalars->grad_norm : 1.0;
  }
  void adamw(const ParameterRanges& p, void* master, void* working, const void* gradients, void* exp_avg,
             void* exp_avg_sq, const StepScalars* scalars) override {
    const auto range = [&](index_t first, index_t end, T* copy, bool decay) {
      if (first == end) return;
      cpu::adamw(context_, end - first, out<T>(master) + first, copy, in<T>(gradients) + first, out<T>(exp_avg) + first,
                 out<T>(exp_avg_sq) + first, decay, *scalars);
    };
    range(0, p.copied, out<T>(working), true);
    range(p.copied, p.decayed, nullptr, true);
    range(p.decayed, p.count, nullptr, false);
  }

 private:
  static constexpr DType dtype = sizeof(T) == 8 ? DType::f64 : DType::f32;

  // The plain operations keep their scratch to themselves.
  static std::size_t planned(std::size_t bytes) { return std::is_same_v<T, float> ? bytes : 0; }

  static void require(bool holds, const char* expectation, index_t a, index_t b) {
    if (!holds)
      throw InvalidArgument(std::string(expectation) + ", got " + std::to_string(a) + " and " +
                            std::to_string(b));
  }
  static void check(const SsdShape& s) {
    require(s.groups > 0 && s.heads % s.groups == 0, "ssd_scan: Expected groups to divide heads", s.groups,
            s.heads);
    require(s.chunk > 0 && s.time > 0, "ssd_scan: Expected chunk and time of at least 1", s.chunk, s.time);
  }
  static void check(const AttentionShape& s) {
    require(s.kv_heads > 0 && s.heads % s.kv_heads == 0, "attention: Expected kv_heads to divide heads",
            s.kv_heads, s.heads);
  }
  void rope(const RopeShape& s, void* qkv, int direction) {
    require(s.rotary_dim % 2 == 0 && s.rotary_dim <= s.head_dim,
            "rope: Expected an even rotary_dim within head_dim", s.rotary_dim, s.head_dim);
    cpu::rope(context_, s, out<T>(qkv), direction);
  }

  ThreadPool pool_;
  cpu::Context context_;
  const std::unique_ptr<Inference> inference_ = cpu::make_inference<T>(*this, context_);
};

}  // namespace

std::unique_ptr<Backend> make_cpu_backend(DType act, int threads) {
  if (threads < 1) throw InvalidArgument("threads: Expected at least 1, got " + std::to_string(threads));
  if (act == DType::f32) return std::make_unique<CpuBackend<float>>(threads);
  if (act == DType::f64)
    return std::make_unique<CpuBackend<double>>(1);  // the oracle: plain loops, one thread
  throw InvalidArgument("precision: Expected float or double on the CPU");
}

std::string cpu_build_info() {
#if defined(__clang__)
  const std::string compiler = "clang " __clang_version__;
#else
  const std::string compiler = "gcc " __VERSION__;
#endif
  return compiler + ", " + std::to_string(LMX_VECTOR_BYTES * 8) + "-bit vectors, BLAS: " + cpu::blas_name();
}

}  // namespace lmx
