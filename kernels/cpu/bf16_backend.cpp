#include "bf16_backend.h"

#include <cstring>
#include <string>

#include "../common/error.h"
#include "../common/gpu_workspace.h"
#include "bf16_attention.h"
#include "bf16_call.h"
#include "bf16_ssd_scan.h"
#include "causal_conv1d.h"
#include "cpu_backend.h"
#include "cross_entropy.h"
#include "embedding.h"
#include "gated_rms_norm.h"
#include "linear.h"
#include "mlp.h"
#include "rms_norm.h"
#include "rope.h"

namespace lmx {

namespace {

using Call = cpu::Bf16Call;

// The shape of the copies that a call holds.
LinearShape dense(const LinearShape& s) { return {s.rows, s.in, s.out}; }

class Bf16Backend final : public Backend {
 public:
  Precision precision() const override { return bf16_precision(); }
  const char* name() const override { return "cpu"; }

  void* allocate(std::size_t bytes) override { return floats_->allocate(bytes); }
  void release(void* pointer) override { floats_->release(pointer); }
  void zero(void* pointer, std::size_t bytes) override { std::memset(pointer, 0, bytes); }
  void upload(void* to, const void* from, std::size_t bytes) override { std::memcpy(to, from, bytes); }
  void download(void* to, const void* from, std::size_t bytes) override { std::memcpy(to, from, bytes); }
  void copy(void* to, const void* from, std::size_t bytes) override { std::memcpy(to, from, bytes); }
  void synchronize() override {}
  void bind_workspace(void*, std::size_t) override {}  // planned as on a GPU, not used

  std::size_t workspace_bytes(const LinearShape& s) const override { return gpu::workspace_bytes(s); }
  std::size_t workspace_bytes(const NormShape& s) const override { return gpu::workspace_bytes(s); }
  std::size_t workspace_bytes(const GatedNormShape& s) const override { return gpu::workspace_bytes(s); }
  std::size_t workspace_bytes(const ConvShape& s) const override { return gpu::workspace_bytes(s); }
  std::size_t workspace_bytes(const SsdShape& s) const override { return gpu::workspace_bytes(s); }
  std::size_t workspace_bytes(const AttentionShape& s) const override { return gpu::workspace_bytes(s); }
  std::size_t workspace_bytes(const CrossEntropyShape& s) const override { return gpu::workspace_bytes(s); }
  std::size_t workspace_bytes(const EmbeddingShape& s) const override { return gpu::workspace_bytes(s); }

  void embedding_forward(index_t rows, index_t cols, const std::int32_t* tokens, const void* weight,
                         void* x) override {
    cpu::embedding_forward({}, rows, cols, tokens, static_cast<const std::uint16_t*>(weight),
                           static_cast<std::uint16_t*>(x));
  }
  void embedding_backward(index_t rows, index_t cols, index_t vocab, const std::int32_t* tokens, const void* dx,
                          void* dweight) override {
    Call c;
    cpu::embedding_backward({}, rows, cols, tokens, c.in(dx, rows * cols), c.add_stat(dweight, vocab * cols));
  }

  void rms_norm_forward(const NormShape& s, const void* x, const void* weight, void* y, void* rstd) override {
    Call c;
    const index_t n = s.rows * s.cols;
    cpu::rms_norm_forward({}, s, c.in(x, n), c.stat(weight, s.cols), c.out(y, n), c.out_stat(rstd, s.rows));
  }
  void rms_norm_backward(const NormShape& s, const void* dy, const void* x, const void* weight, const void* rstd,
                         const void* dresidual, void* dx, void* dweight) override {
    Call c;
    const index_t n = s.rows * s.cols;
    cpu::rms_norm_backward({}, s, c.in(dy, n), c.in(x, n), c.stat(weight, s.cols), c.stat(rstd, s.rows),
                           c.in(dresidual, n), c.out(dx, n), c.add_stat(dweight, s.cols));
  }

  void linear_forward(const LinearShape& s, const void* x, const void* w, const void* residual, void* y) override {
    Call c;
    const index_t n = s.rows * s.out;
    double* const out = c.out(Strided{y, s.y_stride()}, s.rows, s.out).data;
    const double* const add = c.in(ConstStrided{residual, s.y_stride()}, s.rows, s.out).data;
    cpu::linear_forward<double>({}, dense(s), c.in(x, s.rows * s.in), c.in(w, s.out * s.in), nullptr, out);
    if (add == nullptr) return;
    cpu::round_to_bf16(out, n);
    for (index_t i = 0; i < n; ++i) out[i] += add[i];
  }
  void linear_backward_input(const LinearShape& s, const void* dy, const void* w, void* dx) override {
    Call c;
    cpu::linear_backward_input({}, dense(s), c.in(ConstStrided{dy, s.y_stride()}, s.rows, s.out).data, c.in(w, s.out * s.in), c.out(dx, s.rows * s.in));
  }
  void linear_backward_weight(const LinearShape& s, const void* x, const void* dy, void* dw) override {
    Call c;
    cpu::linear_backward_weight({}, dense(s), c.in(x, s.rows * s.in), c.in(ConstStrided{dy, s.y_stride()}, s.rows, s.out).data, c.add_stat(dw, s.out * s.in));
  }

  void linear_activation_forward(const MlpShape& s, const void* x, const void* w_up, void* u, void* a) override {
    Call c;
    double* const up = s.keeps_input() ? c.out(u, s.rows * s.up_width()) : c.scratch(s.rows * s.width);
    double* const activated = c.out(a, s.rows * s.width);
    cpu::linear_forward<double>({}, {s.rows, s.hidden, s.up_width()}, c.in(x, s.rows * s.hidden),
                                c.in(w_up, s.up_width() * s.hidden), nullptr, up);
    cpu::round_to_bf16(up, s.rows * s.up_width());
    for (index_t r = 0; r < s.rows; ++r) {
      const double* const row = up + r * s.up_width();
      for (index_t i = 0; i < s.width; ++i) {
        const double gate = cpu::activate(s.activation, row[i]);
        activated[r * s.width + i] = s.gated ? bf16_rounded(gate) * row[s.width + i] : gate;
      }
    }
  }
  void linear_activation_backward_input(const MlpShape& s, const void* dy, const void* w_down, const void* saved,
                                        void* du) override {
    Call c;
    const double* const up = c.in(saved, s.rows * s.up_width());
    double* const out = c.out(du, s.rows * s.up_width());
    double* const da = c.scratch(s.rows * s.width);
    cpu::linear_backward_input({}, {s.rows, s.width, s.hidden}, c.in(dy, s.rows * s.hidden),
                               c.in(w_down, s.hidden * s.width), da);
    cpu::round_to_bf16(da, s.rows * s.width);
    for (index_t r = 0; r < s.rows; ++r) {
      const double* const row = up + r * s.up_width();
      double* const to = out + r * s.up_width();
      for (index_t i = 0; i < s.width; ++i) {
        const double d = da[r * s.width + i], x = row[i];
        if (!s.gated) {
          to[i] = d * cpu::saved_slope(s, x);
          continue;
        }
        to[i] = bf16_rounded(d * row[s.width + i]) * cpu::activate_slope(s.activation, x);
        to[s.width + i] = d * bf16_rounded(cpu::activate(s.activation, x));
      }
    }
  }

  void causal_conv1d_forward(const ConvShape& s, ConstStrided x, const void* w, const void* bias, void* y) override {
    Call c;
    const index_t rows = s.batch * s.time;
    cpu::causal_conv1d_forward({}, s, c.in(x, rows, s.channels), c.stat(w, s.channels * s.width),
                               c.stat(bias, s.channels), c.out(y, rows * s.channels));
  }
  void causal_conv1d_backward(const ConvShape& s, const void* dy, ConstStrided x, const void* w, const void* bias,
                              Strided dx, void* dw, void* dbias) override {
    Call c;
    const index_t rows = s.batch * s.time;
    cpu::causal_conv1d_backward({}, s, c.in(dy, rows * s.channels), c.in(x, rows, s.channels),
                                c.stat(w, s.channels * s.width), c.stat(bias, s.channels),
                                c.out(dx, rows, s.channels), c.add_stat(dw, s.channels * s.width),
                                c.add_stat(dbias, s.channels));
  }

  void ssd_scan_forward(const SsdShape& shape, const void* xbc, ConstStrided dt, const void* a_log, const void* d,
                        const void* dt_bias, const void* initial_state, void* y, void* states,
                        void* final_state) override {
    Call c;
    const SsdShape s = chunked(shape);
    const index_t rows = s.batch * s.time, cells = s.batch * s.heads * s.head_dim * s.state;
    cpu::bf16_ssd_scan_forward(s, c.in(xbc, rows * s.channels()), c.in(dt, rows, s.heads), c.stat(a_log, s.heads),
                               c.stat(d, s.heads), c.stat(dt_bias, s.heads), c.stat(initial_state, cells),
                               c.out(y, rows * s.inner()), c.out(states, s.state_elements()),
                               c.out_stat(final_state, cells));
  }
  void ssd_scan_backward(const SsdShape& shape, const void* dy, const void* xbc, ConstStrided dt, const void* a_log,
                         const void* d, const void* dt_bias, const void* states, const void* dfinal_state,
                         void* dxbc, Strided ddt, void* da_log, void* dd, void* ddt_bias,
                         void* dinitial_state) override {
    Call c;
    const SsdShape s = chunked(shape);
    const index_t rows = s.batch * s.time, cells = s.batch * s.heads * s.head_dim * s.state;
    cpu::bf16_ssd_scan_backward(
        s, c.in(dy, rows * s.inner()), c.in(xbc, rows * s.channels()), c.in(dt, rows, s.heads),
        c.stat(a_log, s.heads), c.stat(d, s.heads), c.stat(dt_bias, s.heads), c.in(states, s.state_elements()),
        c.stat(dfinal_state, cells), c.out(dxbc, rows * s.channels()), c.out(ddt, rows, s.heads + s.dt_padding),
        c.add_stat(da_log, s.heads), c.add_stat(dd, s.heads), c.add_stat(ddt_bias, s.heads),
        c.out_stat(dinitial_state, cells));
  }

  void gated_rms_norm_forward(const GatedNormShape& s, const void* y, ConstStrided z, const void* weight,
                              void* result, void* rstd) override {
    Call c;
    const index_t n = s.rows * s.cols;
    cpu::gated_rms_norm_forward({}, s, c.in(y, n), c.in(z, s.rows, s.cols), c.stat(weight, s.cols), c.out(result, n),
                                c.out_stat(rstd, s.rows * s.groups));
  }
  void gated_rms_norm_backward(const GatedNormShape& s, const void* dout, const void* y, ConstStrided z,
                               const void* weight, const void* rstd, void* dy, Strided dz, void* dweight) override {
    Call c;
    const index_t n = s.rows * s.cols;
    cpu::gated_rms_norm_backward({}, s, c.in(dout, n), c.in(y, n), c.in(z, s.rows, s.cols), c.stat(weight, s.cols),
                                 c.stat(rstd, s.rows * s.groups), c.out(dy, n), c.out(dz, s.rows, s.cols),
                                 c.add_stat(dweight, s.cols));
  }

  void rope_forward(const RopeShape& s, void* qkv) override { rope(s, qkv, +1); }
  void rope_backward(const RopeShape& s, void* dqkv) override { rope(s, dqkv, -1); }
  void attention_forward(const AttentionShape& s, const void* qkv, void* result, void* lse) override {
    Call c;
    const index_t rows = s.batch * s.time;
    cpu::bf16_attention_forward(s, c.in(qkv, rows * s.packed_width()), c.out(result, rows * s.query_width()),
                                c.out_stat(lse, rows * s.heads));
  }
  void attention_backward(const AttentionShape& s, const void* dout, const void* qkv, const void* result,
                          const void* lse, void* dqkv) override {
    Call c;
    const index_t rows = s.batch * s.time;
    cpu::bf16_attention_backward(s, c.in(dout, rows * s.query_width()), c.in(qkv, rows * s.packed_width()),
                                 c.in(result, rows * s.query_width()), c.stat(lse, rows * s.heads),
                                 c.out(dqkv, rows * s.packed_width()));
  }

  void cross_entropy(const CrossEntropyShape& s, void* logits, const std::int32_t* targets, void* row_loss,
                     std::uint8_t* row_correct, const StepScalars* scalars, bool write_gradient) override {
    Call c;
    const index_t n = s.rows * s.vocab;
    double* const values = c.out(logits, n);
    std::copy_n(c.in(logits, n), n, values);
    cpu::cross_entropy({}, s, values, targets, c.out_stat(row_loss, s.rows), row_correct,
                       write_gradient ? scalars->inverse_target_count : 0.0, write_gradient);
  }
  void add_loss(index_t rows, const void* row_loss, StepScalars* scalars) override {
    floats_->add_loss(rows, row_loss, scalars);
  }

  void gradient_norm(index_t count, const void* gradients, StepScalars* scalars) override {
    floats_->gradient_norm(count, gradients, scalars);
  }
  void adamw(const ParameterRanges& p, void* master, void* working, const void* gradients, void* exp_avg, void* exp_avg_sq,
             const StepScalars* scalars) override {
    floats_->adamw(p, master, nullptr, gradients, exp_avg, exp_avg_sq, scalars);
    if (working == nullptr || working == master) return;
    for (index_t i = 0; i < p.copied; ++i) {
      static_cast<std::uint16_t*>(working)[i] = float_to_bf16(static_cast<const float*>(master)[i]);
    }
  }

 private:
  static SsdShape chunked(SsdShape s) {
    if (s.groups < 1 || s.heads % s.groups != 0) {
      throw InvalidArgument("ssd_scan: Expected groups to divide heads, got " + std::to_string(s.groups) + " and " +
                            std::to_string(s.heads));
    }
    s.chunk = gpu::kScanChunk;
    return s;
  }
  static void rope(const RopeShape& s, void* qkv, int direction) {
    Call c;
    const index_t n = s.batch * s.time * (s.heads + 2 * s.kv_heads) * s.head_dim;
    double* const values = c.out(qkv, n);
    std::copy_n(c.in(qkv, n), n, values);
    cpu::rope({}, s, values, direction);
  }

  const std::unique_ptr<Backend> floats_ = make_cpu_backend(DType::f32, 1);  // what is fp32 on a GPU, too
};

}  // namespace

std::unique_ptr<Backend> make_bf16_backend() { return std::make_unique<Bf16Backend>(); }

}  // namespace lmx
