// A backend that passes every call on to another and puts a mark into its queue before and after: how long each operation of a training
// step takes on the device, and the least it could take there. Works on any backend that has inference(); needs no profiler.
//
// The step is never recorded, so operations are launched one by one; where they are too short for that the marks show the host's pace.
// Floors are what each operation must do: FLOPs over the rate of a large matrix product, bytes - every input read once, every output
// written once - over the speed of a large copy; the larger of the two.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "inference.h"

namespace lmx::bench {

struct Ceilings {
  double flops_per_second, bytes_per_second;
};

struct TimedCall {
  const char* group;  // a row of the table
  const char* name;   // the backend's method
  double flops, bytes;
  double seconds;  // on the device
  double floor(const Ceilings& c) const { return std::max(flops / c.flops_per_second, bytes / c.bytes_per_second); }
};

// One step: its calls in order, and the time from the first mark to the last.
struct TimedStep {
  std::vector<TimedCall> calls;
  double seconds = 0;
};

class TimedBackend final : public Backend {
 public:
  // `device` null: every call does nothing and takes no time, for the floors alone.
  TimedBackend(std::unique_ptr<Backend> device, Precision precision, std::unique_ptr<Backend> planner)
      : device_(std::move(device)), precision_(precision), planner_(std::move(planner)) {}

  // Of the last step; waits for it.
  TimedStep step() {
    TimedStep all{calls_, 0};
    if (!device_ || calls_.empty()) return all;
    Inference& queue = device_->inference();
    for (std::size_t i = 0; i < calls_.size(); ++i) all.calls[i].seconds = queue.seconds(2 * i, 2 * i + 1);
    all.seconds = queue.seconds(0, 2 * calls_.size() - 1);
    return all;
  }

  Precision precision() const override { return precision_; }
  const char* name() const override { return device_ ? device_->name() : "none"; }
  void* allocate(std::size_t bytes) override { return device_ ? device_->allocate(bytes) : reinterpret_cast<void*>(256); }
  void release(void* p) override { if (device_) device_->release(p); }
  void upload(void* to, const void* from, std::size_t bytes) override { if (device_) device_->upload(to, from, bytes); }
  void download(void* to, const void* from, std::size_t bytes) override { if (device_) device_->download(to, from, bytes); }
  void copy(void* to, const void* from, std::size_t bytes) override { if (device_) device_->copy(to, from, bytes); }
  void synchronize() override { if (device_) device_->synchronize(); }
  void bind_workspace(void* p, std::size_t bytes) override { if (device_) device_->bind_workspace(p, bytes); }

  std::size_t workspace_bytes(const LinearShape& s) const override { return planner_->workspace_bytes(s); }
  std::size_t workspace_bytes(const NormShape& s) const override { return planner_->workspace_bytes(s); }
  std::size_t workspace_bytes(const GatedNormShape& s) const override { return planner_->workspace_bytes(s); }
  std::size_t workspace_bytes(const ConvShape& s) const override { return planner_->workspace_bytes(s); }
  std::size_t workspace_bytes(const SsdShape& s) const override { return planner_->workspace_bytes(s); }
  std::size_t workspace_bytes(const AttentionShape& s) const override { return planner_->workspace_bytes(s); }
  std::size_t workspace_bytes(const CrossEntropyShape& s) const override { return planner_->workspace_bytes(s); }
  std::size_t workspace_bytes(const EmbeddingShape& s) const override { return planner_->workspace_bytes(s); }

  bool begin_step() override {
    calls_.clear();
    return true;
  }
  void end_step() override {}

  void zero(void* p, std::size_t bytes) override {
    timed("copies and zeros", "zero", 0, double(bytes), [&](Backend& b) { b.zero(p, bytes); });
  }
  void embedding_forward(index_t rows, index_t cols, const std::int32_t* tokens, const void* weight, void* x) override {
    timed("embedding", "embedding_forward", 0, 2 * act(rows * cols),
          [&](Backend& b) { b.embedding_forward(rows, cols, tokens, weight, x); });
  }
  void embedding_backward(index_t rows, index_t cols, index_t vocab, const std::int32_t* tokens, const void* dx,
                          void* dweight) override {
    timed("embedding", "embedding_backward", 0, act(rows * cols) + 8.0 * double(std::min(rows, vocab)) * double(cols),
          [&](Backend& b) { b.embedding_backward(rows, cols, vocab, tokens, dx, dweight); });
  }
  void rms_norm_forward(const NormShape& s, const void* x, const void* w, void* y, void* rstd) override {
    timed("RMSNorm", "rms_norm_forward", 0, 2 * act(s.rows * s.cols), [&](Backend& b) { b.rms_norm_forward(s, x, w, y, rstd); });
  }
  void rms_norm_backward(const NormShape& s, const void* dy, const void* x, const void* w, const void* rstd, const void* dresidual,
                         void* dx, void* dw) override {
    timed("RMSNorm", "rms_norm_backward", 0, (dresidual ? 4 : 3) * act(s.rows * s.cols),
          [&](Backend& b) { b.rms_norm_backward(s, dy, x, w, rstd, dresidual, dx, dw); });
  }
  void linear_forward(const LinearShape& s, const void* x, const void* w, const void* residual, void* y) override {
    product("linear_forward", s, act(s.rows * s.in + s.in * s.out + (residual ? 2 : 1) * s.rows * s.out),
            [&](Backend& b) { b.linear_forward(s, x, w, residual, y); });
  }
  void linear_backward_input(const LinearShape& s, const void* dy, const void* w, void* dx) override {
    product("linear_backward_input", s, act(s.rows * s.in + s.in * s.out + s.rows * s.out),
            [&](Backend& b) { b.linear_backward_input(s, dy, w, dx); });
  }
  void linear_backward_weight(const LinearShape& s, const void* x, const void* dy, void* dw) override {
    product("linear_backward_weight", s, act(s.rows * s.in + s.rows * s.out) + 8.0 * double(s.in * s.out),
            [&](Backend& b) { b.linear_backward_weight(s, x, dy, dw); });
  }
  void linear_activation_forward(const MlpShape& s, const void* x, const void* w, void* u, void* a) override {
    product("linear_activation_forward", {s.rows, s.hidden, s.up_width()},
            act(s.rows * (s.hidden + (s.keeps_input() ? s.up_width() : 0) + s.width) + s.hidden * s.up_width()),
            [&](Backend& b) { b.linear_activation_forward(s, x, w, u, a); });
  }
  void linear_activation_backward_input(const MlpShape& s, const void* dy, const void* w, const void* saved, void* du) override {
    product("linear_activation_backward_input", {s.rows, s.width, s.hidden},
            act(s.rows * (s.hidden + 2 * s.up_width()) + s.hidden * s.width),
            [&](Backend& b) { b.linear_activation_backward_input(s, dy, w, saved, du); });
  }
  void causal_conv1d_forward(const ConvShape& s, ConstStrided x, const void* w, const void* bias, void* y) override {
    timed("causal convolution", "causal_conv1d_forward", 0, 2 * act(s.batch * s.time * s.channels),
          [&](Backend& b) { b.causal_conv1d_forward(s, x, w, bias, y); });
  }
  void causal_conv1d_backward(const ConvShape& s, const void* dy, ConstStrided x, const void* w, const void* bias, Strided dx, void* dw,
                              void* dbias) override {
    timed("causal convolution", "causal_conv1d_backward", 0, 3 * act(s.batch * s.time * s.channels),
          [&](Backend& b) { b.causal_conv1d_backward(s, dy, x, w, bias, dx, dw, dbias); });
  }
  // In chunks of L steps, C·B once per head: 2 L N and 2 L P for what steps read of each other, 4 N P for the state; backward 2 L N,
  // 4 L P and 8 N P, and 4 L N per group.
  void ssd_scan_forward(const SsdShape& s, const void* xbc, ConstStrided dt, const void* a_log, const void* d, const void* dt_bias,
                        const void* initial, void* y, void* states, void* final) override {
    const double rows = double(s.batch * s.time), head = double(s.heads), p = double(s.head_dim), n = double(s.state);
    timed("SSD scan", "ssd_scan_forward", rows * head * (2 * kChunk * n + 2 * kChunk * p + 4 * n * p),
          act(s.batch * s.time * (s.channels() + s.inner() + s.heads)) + states_bytes(s),
          [&](Backend& b) { b.ssd_scan_forward(s, xbc, dt, a_log, d, dt_bias, initial, y, states, final); });
  }
  void ssd_scan_backward(const SsdShape& s, const void* dy, const void* xbc, ConstStrided dt, const void* a_log, const void* d,
                         const void* dt_bias, const void* states, const void* dfinal, void* dxbc, Strided ddt, void* da_log, void* dd,
                         void* ddt_bias, void* dinitial) override {
    const double rows = double(s.batch * s.time), head = double(s.heads), p = double(s.head_dim), n = double(s.state);
    timed("SSD scan", "ssd_scan_backward",
          rows * (head * (2 * kChunk * n + 4 * kChunk * p + 8 * n * p) + 4 * kChunk * n * double(s.groups)),
          act(s.batch * s.time * (2 * s.channels() + s.inner() + 2 * s.heads)) + states_bytes(s), [&](Backend& b) {
            b.ssd_scan_backward(s, dy, xbc, dt, a_log, d, dt_bias, states, dfinal, dxbc, ddt, da_log, dd, ddt_bias, dinitial);
          });
  }
  void gated_rms_norm_forward(const GatedNormShape& s, const void* y, ConstStrided z, const void* w, void* out, void* rstd) override {
    timed("gated RMSNorm", "gated_rms_norm_forward", 0, 3 * act(s.rows * s.cols),
          [&](Backend& b) { b.gated_rms_norm_forward(s, y, z, w, out, rstd); });
  }
  void gated_rms_norm_backward(const GatedNormShape& s, const void* dout, const void* y, ConstStrided z, const void* w, const void* rstd,
                               void* dy, Strided dz, void* dw) override {
    timed("gated RMSNorm", "gated_rms_norm_backward", 0, 5 * act(s.rows * s.cols),
          [&](Backend& b) { b.gated_rms_norm_backward(s, dout, y, z, w, rstd, dy, dz, dw); });
  }
  void rope_forward(const RopeShape& s, void* qkv) override {
    timed("rotary embedding", "rope_forward", 0, rope_bytes(s), [&](Backend& b) { b.rope_forward(s, qkv); });
  }
  void rope_backward(const RopeShape& s, void* dqkv) override {
    timed("rotary embedding", "rope_backward", 0, rope_bytes(s), [&](Backend& b) { b.rope_backward(s, dqkv); });
  }
  void attention_forward(const AttentionShape& s, const void* qkv, void* out, void* lse) override {
    timed("attention", "attention_forward", attention_flops(s), act(s.batch * s.time * (s.packed_width() + s.query_width())),
          [&](Backend& b) { b.attention_forward(s, qkv, out, lse); });
  }
  void attention_backward(const AttentionShape& s, const void* dout, const void* qkv, const void* out, const void* lse,
                          void* dqkv) override {
    timed("attention", "attention_backward", 2.5 * attention_flops(s),
          act(s.batch * s.time * (2 * s.packed_width() + 2 * s.query_width())),
          [&](Backend& b) { b.attention_backward(s, dout, qkv, out, lse, dqkv); });
  }
  void cross_entropy(const CrossEntropyShape& s, void* logits, const std::int32_t* targets, void* row_loss, std::uint8_t* row_correct,
                     const StepScalars* scalars, bool write_gradient) override {
    timed("cross-entropy", "cross_entropy", 0, (write_gradient ? 2 : 1) * act(s.rows * s.vocab),
          [&](Backend& b) { b.cross_entropy(s, logits, targets, row_loss, row_correct, scalars, write_gradient); });
  }
  void add_loss(index_t rows, const void* row_loss, StepScalars* scalars) override {
    timed("cross-entropy", "add_loss", 0, 4.0 * double(rows), [&](Backend& b) { b.add_loss(rows, row_loss, scalars); });
  }
  void gradient_norm(index_t count, const void* gradients, StepScalars* scalars) override {
    timed("optimizer", "gradient_norm", 0, 4.0 * double(count), [&](Backend& b) { b.gradient_norm(count, gradients, scalars); });
  }
  void adamw(const ParameterRanges& p, void* master, void* working, const void* gradients, void* exp_avg, void* exp_avg_sq,
             const StepScalars* scalars) override {
    timed("optimizer", "adamw", 0, 28.0 * double(p.count) + (working == master ? 0 : act(p.copied)),
          [&](Backend& b) { b.adamw(p, master, working, gradients, exp_avg, exp_avg_sq, scalars); });
  }

 private:
  static constexpr double kChunk = 128;

  double act(index_t elements) const { return double(elements) * double(dtype_bytes(precision_.act)); }
  double states_bytes(const SsdShape& s) const {
    return act(s.batch * ((s.time + 127) / 128) * s.heads * s.head_dim * s.state);
  }
  double rope_bytes(const RopeShape& s) const { return 2 * act(s.batch * s.time * (s.heads + s.kv_heads) * s.rotary_dim); }
  static double attention_flops(const AttentionShape& s) {
    return 2.0 * double(s.batch * s.time) * double(s.time + 1) * double(s.query_width());
  }
  template <class Call>
  void product(const char* name, const LinearShape& s, double bytes, const Call& call) {
    timed("matrix products", name, 2.0 * double(s.rows) * double(s.in) * double(s.out), bytes, call);
  }
  template <class Call>
  void timed(const char* group, const char* name, double flops, double bytes, const Call& call) {
    const std::size_t slot = 2 * calls_.size();
    calls_.push_back({group, name, flops, bytes, 0});
    if (!device_) return;
    device_->inference().mark(slot);
    call(*device_);
    device_->inference().mark(slot + 1);
  }

  const std::unique_ptr<Backend> device_;
  const Precision precision_;
  const std::unique_ptr<Backend> planner_;
  std::vector<TimedCall> calls_;
};

}  // namespace lmx::bench
