// A device backend as the table of operations wants it: host pointers to floats in, host pointers out, done when the call
// returns. Every call copies its arguments to the device - activations and weights rounded to bf16 -, runs, and copies back.
//
// Device copies stand between guard zones, and rows of strided views keep their gap; both are checked after every call. Whatever
// the host buffer held travels along, so a NaN that an operation should have overwritten comes back as NaN.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "backend.h"
#include "train/convert.h"

namespace lmx::test {

class StagedBackend final : public Backend {
 public:
  explicit StagedBackend(Backend& device) : device_(device) {}
  ~StagedBackend() override { drop_workspace(); }

  // Writes outside a buffer that were noticed so far, in words.
  const std::vector<std::string>& violations() const { return violations_; }

  Precision precision() const override { return {DType::f32, DType::f32, DType::f32}; }
  const char* name() const override { return device_.name(); }
  void* allocate(std::size_t bytes) override { return std::malloc(bytes + 1); }
  void release(void* pointer) override { std::free(pointer); }
  void zero(void* p, std::size_t bytes) override { std::memset(p, 0, bytes); }
  void upload(void* to, const void* from, std::size_t bytes) override { std::memcpy(to, from, bytes); }
  void download(void* to, const void* from, std::size_t bytes) override { std::memcpy(to, from, bytes); }
  void copy(void* to, const void* from, std::size_t bytes) override { std::memcpy(to, from, bytes); }
  void synchronize() override {}
  // The device gets a workspace of its own, as large, full of NaN.
  void bind_workspace(void*, std::size_t bytes) override {
    drop_workspace();
    if (bytes > 0) {
      workspace_ = device_.allocate(bytes);
      const std::vector<unsigned char> poison(bytes, 0xFF);
      device_.upload(workspace_, poison.data(), bytes);
    }
    device_.bind_workspace(workspace_, bytes);
  }

  std::size_t workspace_bytes(const LinearShape& s) const override { return device_.workspace_bytes(s); }
  std::size_t workspace_bytes(const NormShape& s) const override { return device_.workspace_bytes(s); }
  std::size_t workspace_bytes(const GatedNormShape& s) const override { return device_.workspace_bytes(s); }
  std::size_t workspace_bytes(const ConvShape& s) const override { return device_.workspace_bytes(s); }
  std::size_t workspace_bytes(const SsdShape& s) const override { return device_.workspace_bytes(s); }
  std::size_t workspace_bytes(const AttentionShape& s) const override { return device_.workspace_bytes(s); }
  std::size_t workspace_bytes(const CrossEntropyShape& s) const override { return device_.workspace_bytes(s); }
  std::size_t workspace_bytes(const EmbeddingShape& s) const override { return device_.workspace_bytes(s); }

  void embedding_forward(index_t rows, index_t cols, const std::int32_t* tokens, const void* weight,
                         void* x) override {
    index_t vocab = 0;
    for (index_t r = 0; r < rows; ++r) vocab = tokens[r] >= vocab ? tokens[r] + 1 : vocab;
    Call c(*this, "embedding_forward");
    device_.embedding_forward(rows, cols, c.words(tokens, rows), c.act(weight, vocab * cols), c.act(x, rows * cols));
  }
  void embedding_backward(index_t rows, index_t cols, index_t vocab, const std::int32_t* tokens, const void* dx,
                          void* dweight) override {
    Call c(*this, "embedding_backward");
    device_.embedding_backward(rows, cols, vocab, c.words(tokens, rows), c.act(dx, rows * cols),
                               c.stat(dweight, vocab * cols));
  }
  void rms_norm_forward(const NormShape& s, const void* x, const void* weight, void* y, void* rstd) override {
    Call c(*this, "rms_norm_forward");
    device_.rms_norm_forward(s, c.act(x, s.rows * s.cols), c.stat(weight, s.cols), c.act(y, s.rows * s.cols),
                             c.stat(rstd, s.rows));
  }
  void rms_norm_backward(const NormShape& s, const void* dy, const void* x, const void* weight, const void* rstd,
                         const void* dresidual, void* dx, void* dweight) override {
    const index_t n = s.rows * s.cols;
    Call c(*this, "rms_norm_backward");
    device_.rms_norm_backward(s, c.act(dy, n), c.act(x, n), c.stat(weight, s.cols), c.stat(rstd, s.rows),
                              c.act(dresidual, n), c.act(dx, n), c.stat(dweight, s.cols));
  }
  void linear_forward(const LinearShape& s, const void* x, const void* w, const void* residual, void* y) override {
    Call c(*this, "linear_forward");
    device_.linear_forward(s, c.act(x, s.rows * s.in), c.act(w, s.out * s.in),
                           c.view(ConstStrided{residual, s.y_stride()}, s.rows, s.out).data,
                           c.view(Strided{y, s.y_stride()}, s.rows, s.out).data);
  }
  void linear_backward_input(const LinearShape& s, const void* dy, const void* w, void* dx) override {
    Call c(*this, "linear_backward_input");
    device_.linear_backward_input(s, c.view(ConstStrided{dy, s.y_stride()}, s.rows, s.out).data, c.act(w, s.out * s.in),
                                  c.act(dx, s.rows * s.in));
  }
  void linear_backward_weight(const LinearShape& s, const void* x, const void* dy, void* dw) override {
    Call c(*this, "linear_backward_weight");
    device_.linear_backward_weight(s, c.act(x, s.rows * s.in), c.view(ConstStrided{dy, s.y_stride()}, s.rows, s.out).data,
                                   c.stat(dw, s.out * s.in));
  }
  void linear_activation_forward(const MlpShape& s, const void* x, const void* w_up, void* u, void* a) override {
    Call c(*this, "linear_activation_forward");
    device_.linear_activation_forward(s, c.act(x, s.rows * s.hidden), c.act(w_up, s.up_width() * s.hidden),
                                      c.act(u, s.rows * s.up_width()), c.act(a, s.rows * s.width));
  }
  void linear_activation_backward_input(const MlpShape& s, const void* dy, const void* w_down, const void* saved,
                                        void* du) override {
    Call c(*this, "linear_activation_backward_input");
    device_.linear_activation_backward_input(s, c.act(dy, s.rows * s.hidden), c.act(w_down, s.hidden * s.width),
                                             c.act(saved, s.rows * s.up_width()), c.act(du, s.rows * s.up_width()));
  }
  void causal_conv1d_forward(const ConvShape& s, ConstStrided x, const void* w, const void* bias, void* y) override {
    const index_t rows = s.batch * s.time;
    Call c(*this, "causal_conv1d_forward");
    device_.causal_conv1d_forward(s, c.view(x, rows, s.channels), c.stat(w, s.channels * s.width),
                                  c.stat(bias, s.channels), c.act(y, rows * s.channels));
  }
  void causal_conv1d_backward(const ConvShape& s, const void* dy, ConstStrided x, const void* w, const void* bias,
                              Strided dx, void* dw, void* dbias) override {
    const index_t rows = s.batch * s.time;
    Call c(*this, "causal_conv1d_backward");
    device_.causal_conv1d_backward(s, c.act(dy, rows * s.channels), c.view(x, rows, s.channels),
                                   c.stat(w, s.channels * s.width), c.stat(bias, s.channels),
                                   c.view(dx, rows, s.channels), c.stat(dw, s.channels * s.width),
                                   c.stat(dbias, s.channels));
  }
  // The device decides what its states look like; the host carries them as bytes.
  void ssd_scan_forward(const SsdShape& s, const void* xbc, ConstStrided dt, const void* a_log, const void* d,
                        const void* dt_bias, const void* initial_state, void* y, void* states,
                        void* final_state) override {
    const index_t rows = s.batch * s.time, cells = s.batch * s.heads * s.head_dim * s.state;
    Call c(*this, "ssd_scan_forward");
    device_.ssd_scan_forward(s, c.act(xbc, rows * s.channels()), c.view(dt, rows, s.heads), c.stat(a_log, s.heads),
                             c.stat(d, s.heads), c.stat(dt_bias, s.heads), c.stat(initial_state, cells),
                             c.act(y, rows * s.inner()), c.bytes(states, s.state_elements() * 4),
                             c.stat(final_state, cells));
  }
  void ssd_scan_backward(const SsdShape& s, const void* dy, const void* xbc, ConstStrided dt, const void* a_log,
                         const void* d, const void* dt_bias, const void* states, const void* dfinal_state, void* dxbc,
                         Strided ddt, void* da_log, void* dd, void* ddt_bias, void* dinitial_state) override {
    const index_t rows = s.batch * s.time, cells = s.batch * s.heads * s.head_dim * s.state;
    Call c(*this, "ssd_scan_backward");
    device_.ssd_scan_backward(s, c.act(dy, rows * s.inner()), c.act(xbc, rows * s.channels()),
                              c.view(dt, rows, s.heads), c.stat(a_log, s.heads), c.stat(d, s.heads),
                              c.stat(dt_bias, s.heads), c.bytes(states, s.state_elements() * 4),
                              c.stat(dfinal_state, cells), c.act(dxbc, rows * s.channels()),
                              c.view(ddt, rows, s.heads), c.stat(da_log, s.heads), c.stat(dd, s.heads),
                              c.stat(ddt_bias, s.heads), c.stat(dinitial_state, cells));
  }
  void gated_rms_norm_forward(const GatedNormShape& s, const void* y, ConstStrided z, const void* weight, void* out,
                              void* rstd) override {
    Call c(*this, "gated_rms_norm_forward");
    device_.gated_rms_norm_forward(s, c.act(y, s.rows * s.cols), c.view(z, s.rows, s.cols), c.stat(weight, s.cols),
                                   c.act(out, s.rows * s.cols), c.stat(rstd, s.rows * s.groups));
  }
  void gated_rms_norm_backward(const GatedNormShape& s, const void* dout, const void* y, ConstStrided z,
                               const void* weight, const void* rstd, void* dy, Strided dz, void* dweight) override {
    const index_t n = s.rows * s.cols;
    Call c(*this, "gated_rms_norm_backward");
    device_.gated_rms_norm_backward(s, c.act(dout, n), c.act(y, n), c.view(z, s.rows, s.cols), c.stat(weight, s.cols),
                                    c.stat(rstd, s.rows * s.groups), c.act(dy, n), c.view(dz, s.rows, s.cols),
                                    c.stat(dweight, s.cols));
  }
  void rope_forward(const RopeShape& s, void* qkv) override {
    Call c(*this, "rope_forward");
    device_.rope_forward(s, c.act(qkv, s.batch * s.time * (s.heads + 2 * s.kv_heads) * s.head_dim));
  }
  void rope_backward(const RopeShape& s, void* dqkv) override {
    Call c(*this, "rope_backward");
    device_.rope_backward(s, c.act(dqkv, s.batch * s.time * (s.heads + 2 * s.kv_heads) * s.head_dim));
  }
  void attention_forward(const AttentionShape& s, const void* qkv, void* out, void* lse) override {
    const index_t rows = s.batch * s.time;
    Call c(*this, "attention_forward");
    device_.attention_forward(s, c.act(qkv, rows * s.packed_width()), c.act(out, rows * s.query_width()),
                              c.stat(lse, rows * s.heads));
  }
  void attention_backward(const AttentionShape& s, const void* dout, const void* qkv, const void* out,
                          const void* lse, void* dqkv) override {
    const index_t rows = s.batch * s.time;
    Call c(*this, "attention_backward");
    device_.attention_backward(s, c.act(dout, rows * s.query_width()), c.act(qkv, rows * s.packed_width()),
                               c.act(out, rows * s.query_width()), c.stat(lse, rows * s.heads),
                               c.act(dqkv, rows * s.packed_width()));
  }
  void cross_entropy(const CrossEntropyShape& s, void* logits, const std::int32_t* targets, void* row_loss,
                     std::uint8_t* row_correct, const StepScalars* scalars, bool write_gradient) override {
    Call c(*this, "cross_entropy");
    device_.cross_entropy(s, c.act(logits, s.rows * s.vocab), c.words(targets, s.rows), c.stat(row_loss, s.rows),
                          static_cast<std::uint8_t*>(c.bytes(row_correct, s.rows)), c.scalars(scalars), write_gradient);
  }
  void add_loss(index_t rows, const void* row_loss, StepScalars* scalars) override {
    Call c(*this, "add_loss");
    device_.add_loss(rows, c.stat(row_loss, rows), c.scalars(scalars));
  }
  void gradient_norm(index_t count, const void* gradients, StepScalars* scalars) override {
    Call c(*this, "gradient_norm");
    device_.gradient_norm(count, c.stat(gradients, count), c.scalars(scalars));
  }
  void adamw(const ParameterRanges& p, void* master, void* working, const void* gradients, void* exp_avg, void* exp_avg_sq,
             const StepScalars* scalars) override {
    Call c(*this, "adamw");
    device_.adamw(p, c.stat(master, p.count), c.act(working, p.copied), c.stat(gradients, p.count),
                  c.stat(exp_avg, p.count), c.stat(exp_avg_sq, p.count), c.scalars(scalars));
  }

 private:
  // The device copies of one call's arguments; its end waits, checks the guards and copies back.
  class Call {
   public:
    Call(StagedBackend& owner, const char* name) : owner_(owner), name_(name) {}
    ~Call() {
      for (Copy& copy : copies_) copy_back(copy);
    }
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

    void* act(const void* host, index_t count) { return add(host, 1, count, count, 2, true); }
    void* stat(const void* host, index_t count) { return add(host, 1, count, count, 4, false); }
    void* bytes(const void* host, index_t count) { return add(host, 1, count, count, 1, false); }
    const std::int32_t* words(const std::int32_t* host, index_t count) {
      return static_cast<const std::int32_t*>(add(host, 1, count, count, 4, false));
    }
    StepScalars* scalars(const StepScalars* host) {
      return static_cast<StepScalars*>(bytes(host, static_cast<index_t>(sizeof(StepScalars))));
    }
    ConstStrided view(ConstStrided v, index_t rows, index_t cols) {
      return {add(v.data, rows, cols, v.stride, 2, true), v.stride};
    }
    Strided view(Strided v, index_t rows, index_t cols) {
      return {add(v.data, rows, cols, v.stride, 2, true), v.stride};
    }

   private:
    struct Copy {
      void *host, *device;
      index_t rows, cols, stride;
      index_t width;  // bytes of a device element
      bool rounded;   // host floats, device bf16
      std::vector<unsigned char> before;
    };
    static constexpr index_t guard = 256;  // bytes
    static constexpr unsigned char guard_byte = 0xA5;

    void* add(const void* host, index_t rows, index_t cols, index_t stride, index_t width, bool rounded) {
      if (host == nullptr) return nullptr;
      for (const Copy& copy : copies_) {
        if (copy.host == host) return static_cast<char*>(copy.device) + guard;  // arguments may alias
      }
      std::vector<unsigned char> bytes(2 * guard + rows * stride * width, guard_byte);
      for (index_t r = 0; r < rows; ++r) {
        for (index_t c = 0; c < cols; ++c) {
          unsigned char* at = bytes.data() + guard + (r * stride + c) * width;
          if (rounded) {
            const std::uint16_t half = float_to_bf16(static_cast<const float*>(host)[r * stride + c]);
            std::memcpy(at, &half, 2);
          } else {
            std::memcpy(at, static_cast<const unsigned char*>(host) + (r * stride + c) * width, width);
          }
        }
      }
      void* device = owner_.device_.allocate(bytes.size());
      owner_.device_.upload(device, bytes.data(), bytes.size());
      copies_.push_back({const_cast<void*>(host), device, rows, cols, stride, width, rounded, std::move(bytes)});
      return static_cast<char*>(device) + guard;
    }

    void copy_back(Copy& copy) {
      std::vector<unsigned char> after(copy.before.size());
      owner_.device_.download(after.data(), copy.device, after.size());
      owner_.device_.release(copy.device);
      for (std::size_t i = 0; i < after.size(); ++i) {
        const index_t at = static_cast<index_t>(i) - guard, element = at < 0 ? -1 : at / copy.width;
        const bool owned = element >= 0 && element < copy.rows * copy.stride && element % copy.stride < copy.cols;
        if (owned || after[i] == copy.before[i]) continue;
        owner_.violations_.push_back(std::string(name_) + ": wrote byte " + std::to_string(at) + " of a buffer of " +
                                     std::to_string(copy.rows * copy.stride * copy.width));
        break;
      }
      for (index_t r = 0; r < copy.rows; ++r) {
        for (index_t c = 0; c < copy.cols; ++c) {
          const index_t element = r * copy.stride + c, at = guard + element * copy.width;
          if (std::memcmp(&after[at], &copy.before[at], copy.width) == 0) continue;  // inputs stay as they are
          if (copy.rounded) {
            std::uint16_t half;
            std::memcpy(&half, &after[at], 2);
            static_cast<float*>(copy.host)[element] = bf16_to_float(half);
          } else {
            std::memcpy(static_cast<unsigned char*>(copy.host) + element * copy.width, &after[at], copy.width);
          }
        }
      }
    }

    StagedBackend& owner_;
    const char* name_;
    std::vector<Copy> copies_;
  };

  void drop_workspace() {
    device_.bind_workspace(nullptr, 0);
    if (workspace_ != nullptr) device_.release(workspace_);
    workspace_ = nullptr;
  }

  Backend& device_;
  void* workspace_ = nullptr;
  std::vector<std::string> violations_;
};

}  // namespace lmx::test
