// The seam between the model and the hardware: every operation a backend provides, forward and backward.
//
// kernels/model and kernels/train are written once against this interface; kernels/cpu and kernels/cuda implement
// it, one file per operation, under the same names. A call only enqueues work and never waits for it: the CPU backend
// runs it at once, a device backend puts it on its stream (and may capture a whole step as one graph), so nothing
// here returns a number that depends on data. Reductions are done in a fixed order: equal inputs give equal bits, on any
// number of threads.
//
// Conventions
//   rows = batch * time; all matrices are row-major; a `Strided` view is `rows` rows that start `stride` elements apart.
//   act    element type of activations and of their gradients (float, double, later bf16)
//   weight element type of working copies of the weight matrices  (same as act)
//   stat   element type of everything precision-critical: 1-D parameters, conv weights, all parameter gradients,
//          optimizer state, statistics, states passed in and out (float; double where act is double)
//   "+="   the operation accumulates into the buffer; otherwise it overwrites every element it owns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>

namespace lmx {

using index_t = std::int64_t;

enum class DType : std::uint8_t { f32, f64, bf16, i32, u8 };

inline std::size_t dtype_bytes(DType t) {
  switch (t) {
    case DType::f64: return 8;
    case DType::f32: case DType::i32: return 4;
    case DType::bf16: return 2;
    case DType::u8: return 1;
  }
  return 0;
}

// Element types of one backend; see the conventions above.
struct Precision {
  DType act;
  DType weight;
  DType stat;

  // Steps between two states that the SSD scan saves for its backward, in act: GPUs (bf16) have a chunk of their own.
  index_t scan_chunk(index_t of_layer) const { return act == DType::bf16 ? 128 : of_layer; }
};

// What GPUs train in, and the reference of cpu/bf16_backend.h with them.
constexpr Precision bf16_precision() { return {DType::bf16, DType::bf16, DType::f32}; }

template <class Pointer>
struct StridedOf {
  Pointer data;
  index_t stride;  // elements between the starts of two rows
};
using Strided = StridedOf<void*>;
using ConstStrided = StridedOf<const void*>;

// y (rows, out) = x (rows, in) · wᵀ,  w (out, in). Rows of y, of dy and of a residual may start further apart than they
// are wide.
struct LinearShape {
  index_t rows, in, out;
  index_t out_stride = 0;  // elements between the starts of two of these rows; 0: out
  index_t y_stride() const { return out_stride == 0 ? out : out_stride; }
};

enum class Activation : std::uint8_t { gelu_tanh, gelu_erf, relu2, silu };

// Whether the backward of an MLP needs u, the activation's input, beside a, its output. relu2 without a gate does not: its slope
// 2·max(u, 0) is 2·sqrt(a). That loses little: rounding u to bf16 costs 2^-9, the root of an a so rounded another 2^-10. Where u² is
// below the smallest normal number (|u| < 1e-19 in fp32 and bf16) the slope, as small, may come out as 0.
constexpr bool keeps_input(Activation activation, bool gated) { return gated || activation != Activation::relu2; }

// One MLP: hidden -> width (activation, optionally gated) -> hidden. Gated: u = [gate | up], a = act(gate) * up.
struct MlpShape {
  index_t rows, hidden, width;
  Activation activation;
  bool gated;
  index_t up_width() const { return gated ? 2 * width : width; }  // columns of u
  bool keeps_input() const { return lmx::keeps_input(activation, gated); }
};

struct NormShape {
  index_t rows, cols;
  double eps;
};

struct GatedNormShape {
  index_t rows, cols, groups;  // each group of cols/groups channels has its own mean square
  double eps;
};

struct ConvShape {
  index_t batch, time, channels, width;
};

// Mamba-2's state space duality scan. xbc rows are packed [x (heads*head_dim) | B (groups*state) | C (groups*state)].
struct SsdShape {
  index_t batch, time, heads, head_dim, groups, state, chunk;
  double dt_min;  // softplus(dt + dt_bias) is clamped from below at this (0 = Megatron; Hugging Face: time_step_min)
  index_t dt_padding = 0;  // columns after the heads' that backward sets to 0 in ddt: they are multiplied with weights that are 0
  index_t inner() const { return heads * head_dim; }
  index_t channels() const { return inner() + 2 * groups * state; }
  index_t chunks() const { return (time + chunk - 1) / chunk; }
  // elements of `states`: the state at the START of every chunk, laid out (batch, chunks, heads, head_dim, state)
  index_t state_elements() const { return batch * chunks() * heads * head_dim * state; }
};

// Causal softmax attention. qkv rows are packed [q (heads*head_dim) | k (kv_heads*head_dim) | v (kv_heads*head_dim)].
struct AttentionShape {
  index_t batch, time, heads, kv_heads, head_dim;
  double scale;  // usually 1/sqrt(head_dim)
  index_t query_width() const { return heads * head_dim; }
  index_t packed_width() const { return (heads + 2 * kv_heads) * head_dim; }
};

// Rotary position embedding on the first `rotary_dim` channels of each q and k head ("rotate half" convention).
struct RopeShape {
  index_t batch, time, heads, kv_heads, head_dim, rotary_dim;
  double theta;
};

struct CrossEntropyShape {
  index_t rows, vocab;
};

// The flat array of parameters. The first `copied` have a working copy where their master is not what operations read; the first
// `decayed` take weight decay; copied <= decayed <= count.
struct ParameterRanges {
  index_t count, copied, decayed;
};

struct EmbeddingShape {
  index_t rows, cols, vocab;
};

// Numbers of one optimizer step. Lives in backend memory so that a captured step can be replayed; uploaded before the step and
// copied aside after it.
struct StepScalars {
  double learning_rate;
  double beta1, beta2, epsilon, weight_decay;
  double bias_correction1, bias_correction2;  // 1 - beta^t
  double clip_norm;                           // 0 = no clipping
  double inverse_target_count;                // 1 / number of targets >= 0 in the whole batch
  double loss_sum;                            // out: sum of the row losses of the step (divide by the target count)
  double grad_norm;                           // out: global L2 norm of the gradients before clipping
  double clip_scale;                          // out: min(1, clip_norm / grad_norm)
};

class Inference;

class Backend {
 public:
  virtual ~Backend() = default;

  virtual Precision precision() const = 0;
  virtual const char* name() const = 0;  // "cpu", "cuda:0"

  // What generating needs beside the operations below (inference.h); lives as long as the backend. Throws where there is none.
  virtual Inference& inference() { throw std::logic_error("this backend only trains"); }

  // ---- memory -------------------------------------------------------------------------------------------------
  virtual void* allocate(std::size_t bytes) = 0;  // 256-byte aligned; throws lmx::OutOfMemory
  virtual void release(void* pointer) = 0;
  virtual void zero(void* pointer, std::size_t bytes) = 0;
  virtual void upload(void* destination, const void* host_source, std::size_t bytes) = 0;
  virtual void download(void* host_destination, const void* source, std::size_t bytes) = 0;  // waits
  virtual void copy(void* destination, const void* source, std::size_t bytes) = 0;
  virtual void synchronize() = 0;
  // Scratch for all calls below, at least the largest of their workspace_bytes; InvalidArgument where it is less.
  virtual void bind_workspace(void* pointer, std::size_t bytes) = 0;

  // ---- workspace planning: pure functions of the shape, callable without a device -----------------------------
  virtual std::size_t workspace_bytes(const LinearShape&) const = 0;
  virtual std::size_t workspace_bytes(const NormShape&) const = 0;
  virtual std::size_t workspace_bytes(const GatedNormShape&) const = 0;
  virtual std::size_t workspace_bytes(const ConvShape&) const = 0;
  virtual std::size_t workspace_bytes(const SsdShape&) const = 0;
  virtual std::size_t workspace_bytes(const AttentionShape&) const = 0;
  virtual std::size_t workspace_bytes(const CrossEntropyShape&) const = 0;
  virtual std::size_t workspace_bytes(const EmbeddingShape&) const { return 0; }

  // ---- training steps -------------------------------------------------------------------------------------------
  // Between begin_step and end_step the caller makes the same calls with the same pointers in every step; what
  // differs from step to step is data that was uploaded before. So a backend may record a step and replay it: where
  // begin_step returns false it has replayed the recording, and the caller makes neither the calls nor end_step.
  // Binding another workspace or releasing memory ends a recording's life.
  virtual bool begin_step() { return true; }
  virtual void end_step() {}
  // What a device of its own spent on everything queued between the two marks, once it has been waited for; 0 where there is none.
  virtual void start_clock() {}
  virtual void stop_clock() {}
  virtual double clock_seconds() const { return 0; }

  // ---- embedding: x (rows, cols) = weight[tokens] ---------------------------------------------------------------
  virtual void embedding_forward(index_t rows, index_t cols, const std::int32_t* tokens, const void* weight,
                                 void* x) = 0;
  // dweight (vocab, cols) stat += rows of dx scattered by token, summed in row order.
  virtual void embedding_backward(index_t rows, index_t cols, index_t vocab, const std::int32_t* tokens,
                                  const void* dx, void* dweight) = 0;

  // ---- RMSNorm (arXiv 1910.07467): y = x * rstd * weight, rstd = 1/sqrt(mean(x²) + eps) --------------------------
  virtual void rms_norm_forward(const NormShape&, const void* x, const void* weight, void* y, void* rstd) = 0;
  // dx = dresidual + d(norm)/dx · dy;  dx may alias dresidual (null = 0). dweight +=.
  virtual void rms_norm_backward(const NormShape&, const void* dy, const void* x, const void* weight,
                                 const void* rstd, const void* dresidual, void* dx, void* dweight) = 0;

  // ---- linear ---------------------------------------------------------------------------------------------------
  // y = x · wᵀ (+ residual when not null; residual may alias y).
  virtual void linear_forward(const LinearShape&, const void* x, const void* w, const void* residual, void* y) = 0;
  virtual void linear_backward_input(const LinearShape&, const void* dy, const void* w, void* dx) = 0;
  virtual void linear_backward_weight(const LinearShape&, const void* x, const void* dy, void* dw) = 0;  // dw stat +=

  // ---- MLP with the activation fused ----------------------------------------------------------------------------
  // u = x · w_upᵀ (rows, up_width), saved, or null where keeps_input() is false;  a = act(u) (rows, width), saved.
  virtual void linear_activation_forward(const MlpShape&, const void* x, const void* w_up, void* u, void* a) = 0;
  // du = (dy · w_down) ⊙ act'(u);  w_down (hidden, width);  saved: u, or a where keeps_input() is false.
  virtual void linear_activation_backward_input(const MlpShape&, const void* dy, const void* w_down, const void* saved,
                                                void* du) = 0;

  // ---- depthwise causal convolution + SiLU ----------------------------------------------------------------------
  // y[t] = silu(bias + Σ_k w[c,k] x[t - (width-1) + k]), w (channels, width) stat, y (rows, channels) dense.
  virtual void causal_conv1d_forward(const ConvShape&, ConstStrided x, const void* w, const void* bias, void* y) = 0;
  virtual void causal_conv1d_backward(const ConvShape&, const void* dy, ConstStrided x, const void* w,
                                      const void* bias, Strided dx, void* dw, void* dbias) = 0;  // dw, dbias +=

  // ---- SSD scan (arXiv 2405.21060, section 6) -------------------------------------------------------------------
  // y (rows, inner); states (state_elements at the backend's chunk) act, saved for backward. initial_state and final_state
  // (batch, heads, head_dim, state) stat may be null, and may be the same buffer.
  virtual void ssd_scan_forward(const SsdShape&, const void* xbc, ConstStrided dt, const void* a_log, const void* d,
                                const void* dt_bias, const void* initial_state, void* y, void* states,
                                void* final_state) = 0;
  // dxbc (rows, channels) overwritten, ddt (rows, heads + dt_padding) overwritten; da_log, dd, ddt_bias (heads) stat +=.
  // dfinal_state, dinitial_state may be null.
  virtual void ssd_scan_backward(const SsdShape&, const void* dy, const void* xbc, ConstStrided dt,
                                 const void* a_log, const void* d, const void* dt_bias, const void* states,
                                 const void* dfinal_state, void* dxbc, Strided ddt, void* da_log, void* dd,
                                 void* ddt_bias, void* dinitial_state) = 0;

  // ---- gated grouped RMSNorm: out = RMSNorm_group(y ⊙ silu(z)) ⊙ weight ------------------------------------------
  virtual void gated_rms_norm_forward(const GatedNormShape&, const void* y, ConstStrided z, const void* weight,
                                      void* out, void* rstd /* (rows, groups) stat */) = 0;
  virtual void gated_rms_norm_backward(const GatedNormShape&, const void* dout, const void* y, ConstStrided z,
                                       const void* weight, const void* rstd, void* dy, Strided dz,
                                       void* dweight) = 0;  // dweight +=

  // ---- attention ------------------------------------------------------------------------------------------------
  virtual void rope_forward(const RopeShape&, void* qkv) = 0;    // in place
  virtual void rope_backward(const RopeShape&, void* dqkv) = 0;  // in place (the inverse rotation)
  // out (rows, query_width); lse (batch, heads, time) stat: log of the softmax denominator, saved.
  virtual void attention_forward(const AttentionShape&, const void* qkv, void* out, void* lse) = 0;
  virtual void attention_backward(const AttentionShape&, const void* dout, const void* qkv, const void* out,
                                  const void* lse, void* dqkv) = 0;

  // ---- loss -----------------------------------------------------------------------------------------------------
  // row_loss (rows) stat = logsumexp(logits) - logits[target], 0 where target < 0; row_correct (rows) u8 = 1 where
  // the first largest logit is the target (may be null). With write_gradient, logits are overwritten by
  // (softmax - onehot) * scalars.inverse_target_count (0 where target < 0).
  virtual void cross_entropy(const CrossEntropyShape&, void* logits, const std::int32_t* targets, void* row_loss,
                             std::uint8_t* row_correct, const StepScalars* scalars, bool write_gradient) = 0;
  virtual void add_loss(index_t rows, const void* row_loss, StepScalars* scalars) = 0;  // loss_sum += Σ, fixed order

  // ---- optimizer ------------------------------------------------------------------------------------------------
  virtual void gradient_norm(index_t count, const void* gradients, StepScalars* scalars) = 0;  // norm and clip_scale
  // AdamW (arXiv 1711.05101, decoupled decay) over all parameters. `master` stat is updated; when `working` is
  // not null and not master it receives the weight-typed copies.
  virtual void adamw(const ParameterRanges&, void* master, void* working, const void* gradients, void* exp_avg,
                     void* exp_avg_sq, const StepScalars* scalars) = 0;
};

}  // namespace lmx
