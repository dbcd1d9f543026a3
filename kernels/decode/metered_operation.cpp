#include "decode/metered_operation.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "common/error.h"
#include "model/mlp.h"

namespace lmx {

namespace {

constexpr std::size_t most_copies = 64;

// What copies of an operand must come to together: several times the last cache (50 MB on an H100, less on most CPUs).
std::size_t rotation_bytes(const Backend& backend) {
  return backend.precision().act == DType::bf16 ? std::size_t{256} << 20 : std::size_t{64} << 20;
}

void require(const char* name, int64_t value, int64_t most = int64_t{1} << 31) {
  if (value >= 1 && value <= most) return;
  throw InvalidArgument(std::string("expected ") + name + " from 1 to " + std::to_string(most) + ", got " +
                        std::to_string(value));
}

// Builds one operation; a method per kind, named after it.
class Builder {
 public:
  Builder(Backend& backend, OperandMemory& memory, const lmx_operation& operation)
      : backend_(backend), inference_(backend.inference()), memory_(memory), o_(operation), types_(backend.precision()) {}

  MeteredOperation linear() {
    require_matrix();
    const LinearShape s{o_.rows, o_.in, o_.out};
    void *const x = act(o_.rows * o_.in), *const residual = act(o_.rows * o_.out), *const y = act(o_.rows * o_.out);
    const auto weights = memory_.rotated(o_.out * o_.in, types_.weight, weight_scale());
    return made(weights.size(), [=, &inference = inference_](std::size_t i) {
      inference.linear(s, x, weights[i], residual, y);
    }, inference_.workspace_bytes(s), act_bytes(o_.rows * (o_.in + 2 * o_.out) + o_.in * o_.out), 2.0 * o_.rows * o_.in * o_.out);
  }

  MeteredOperation norm_linear() {
    require_matrix();
    const LinearShape s{o_.rows, o_.in, o_.out};
    const bool wide = o_.logits != 0;
    const DType y_type = wide ? types_.stat : types_.act;
    void *const x = act(o_.rows * o_.in), *const y = memory_.random(o_.rows * o_.out, y_type);
    const PreNorm norm = pre_norm(o_.rows, o_.in);
    const auto weights = memory_.rotated(o_.out * o_.in, types_.weight, weight_scale());
    return made(weights.size(), [=, &inference = inference_](std::size_t i) {
      inference.norm_linear(s, norm, x, weights[i], y, wide);
    }, inference_.workspace_bytes(s), act_bytes(o_.rows * o_.in + o_.in * o_.out) + bytes_of(o_.rows * o_.out, y_type),
                2.0 * o_.rows * o_.in * o_.out);
  }

  MeteredOperation mlp_up() {
    require_matrix();
    if (o_.activation < LMX_GELU_TANH || o_.activation > LMX_SILU) {
      throw InvalidArgument("expected activation from 0 to 3, got " + std::to_string(o_.activation));
    }
    const MlpShape s{o_.rows, o_.in, o_.out, mlp_activation(o_.activation), o_.gated != 0};
    void *const x = act(s.rows * s.hidden), *const a = act(s.rows * s.width);
    void* const u = s.keeps_input() ? act(s.rows * s.up_width()) : nullptr;
    const PreNorm norm = pre_norm(s.rows, s.hidden);
    const auto weights = memory_.rotated(s.up_width() * s.hidden, types_.weight, weight_scale());
    return made(weights.size(), [=, &inference = inference_](std::size_t i) {
      inference.norm_linear_activation(s, norm, x, weights[i], u, a);
    }, inference_.workspace_bytes(LinearShape{s.rows, s.hidden, s.up_width()}),
                act_bytes(s.rows * (s.hidden + s.width) + s.up_width() * s.hidden), 2.0 * s.rows * s.hidden * s.up_width());
  }

  MeteredOperation rms_norm() {
    require("rows", o_.rows);
    require("cols", o_.in);
    return norm_of(o_.rows, o_.in);
  }
  MeteredOperation launch() { return norm_of(1, 8); }

  MeteredOperation gated_rms_norm() {
    require("rows", o_.rows);
    require("cols", o_.in);
    require("groups", o_.groups, o_.in);
    const GatedNormShape s{o_.rows, o_.in, o_.groups, 1e-5};
    void *const y = act(s.rows * s.cols), *const z = act(s.rows * s.cols), *const out = act(s.rows * s.cols);
    void *const weight = memory_.random(s.cols, types_.stat), *const rstd = memory_.take(s.rows * s.groups, types_.stat);
    return made(1, [=, &backend = backend_](std::size_t) {
      backend.gated_rms_norm_forward(s, y, {z, s.cols}, weight, out, rstd);
    }, 0, act_bytes(3 * s.rows * s.cols), 0);
  }

  MeteredOperation attention_prefill() {
    require_attention();
    require("time", o_.time);
    const AttentionShape s{o_.batch, o_.time, o_.heads, o_.kv_heads, o_.head_dim, scale()};
    const index_t rows = o_.batch * o_.time;
    void *const qkv = act(rows * s.packed_width()), *const out = act(rows * s.query_width());
    void* const lse = memory_.take(rows * o_.heads, types_.stat);
    return made(1, [=, &inference = inference_](std::size_t) { inference.attention_prompt(s, qkv, out, lse); },
                inference_.workspace_bytes(s), act_bytes(rows * (s.packed_width() + s.query_width())),
                2.0 * o_.batch * o_.heads * o_.head_dim * o_.time * (o_.time + 1));
  }

  MeteredOperation attention_decode() {
    require_attention();
    require("context", o_.context);
    const CacheShape s = cache(1, o_.context);
    const auto last = static_cast<std::int32_t>(o_.context - 1);
    auto* const position = static_cast<std::int32_t*>(memory_.take(1, DType::i32));
    backend_.upload(position, &last, sizeof last);
    void *const qkv = act(o_.batch * s.packed_width()), *const out = act(o_.batch * o_.heads * o_.head_dim);
    const auto keys = memory_.rotated(s.elements(), types_.act), values = memory_.rotated(s.elements(), types_.act);
    return made(keys.size(), [=, &inference = inference_](std::size_t i) {
      inference.attention_decode(s, qkv, keys[i], values[i], position, out);
    }, inference_.workspace_bytes(s), act_bytes(2 * s.elements() + o_.batch * o_.heads * o_.head_dim * 2),
                4.0 * o_.batch * o_.heads * o_.head_dim * o_.context);
  }

  MeteredOperation cache_append() {
    require_attention();
    require("time", o_.time);
    CacheShape s = cache(o_.time, std::max<index_t>(o_.time, 256));
    s.rotary_dim = s.head_dim / 2 * 2;
    s.rope_theta = 10000;
    auto* const position = static_cast<std::int32_t*>(memory_.take(1, DType::i32));
    backend_.zero(position, sizeof *position);
    const index_t rows = o_.batch * o_.time;
    void* const qkv = act(rows * s.packed_width());
    const auto keys = memory_.rotated(s.elements(), types_.act), values = memory_.rotated(s.elements(), types_.act);
    return made(keys.size(), [=, &inference = inference_](std::size_t i) {
      inference.kv_cache_append(s, qkv, keys[i], values[i], position);
    }, 0, act_bytes(rows * (2 * (s.heads + s.kv_heads) + 3 * s.kv_heads) * s.head_dim), 0);
  }

  MeteredOperation ssd(index_t time) {
    require("batch", o_.batch);
    require("time", time);
    require("heads", o_.heads);
    require("head_dim", o_.head_dim);
    require("groups", o_.groups, o_.heads);
    require("state", o_.state);
    const SsdShape s{o_.batch, time, o_.heads, o_.head_dim, o_.groups, o_.state, 128, 0};
    const index_t rows = s.batch * s.time, cells = s.batch * s.inner() * s.state;
    const StateType type = o_.state_type == LMX_STATE_BF16 ? StateType::bf16 : StateType::full;
    if (!inference_.offers(type)) throw InvalidArgument("expected a full state type on this device, got bf16");
    const DType stored = state_dtype(type, types_);
    void *const xbc = act(rows * s.channels()), *const dt = act(rows * s.heads), *const y = act(rows * s.inner());
    void *const a_log = memory_.random(s.heads, types_.stat), *const d = memory_.random(s.heads, types_.stat);
    void *const bias = memory_.random(s.heads, types_.stat);
    void* const chunks = time > 1 ? memory_.take(s.state_elements(), types_.stat) : nullptr;
    void* const wide = time > 1 ? memory_.take(cells, types_.stat) : nullptr;
    const auto states = memory_.rotated(cells, stored);
    return made(states.size(), [=, &inference = inference_](std::size_t i) {
      inference.ssd_state_update(s, type, xbc, {dt, s.heads}, a_log, d, bias, states[i], y, chunks, wide);
    }, inference_.workspace_bytes(s), act_bytes(rows * (s.channels() + s.inner() + s.heads)) + bytes_of(2 * cells, stored),
                rows * (5.0 * s.inner() * s.state + 3.0 * s.inner()));
  }

  MeteredOperation conv(index_t time) {
    require("batch", o_.batch);
    require("time", time);
    require("channels", o_.in);
    require("width", o_.width, 64);
    const ConvShape s{o_.batch, time, o_.in, o_.width};
    const index_t rows = s.batch * s.time, window_count = s.batch * (s.width - 1) * s.channels;
    void *const x = act(rows * s.channels), *const y = act(rows * s.channels), *const window = act(window_count);
    void *const w = memory_.random(s.channels * s.width, types_.stat), *const bias = memory_.random(s.channels, types_.stat);
    return made(1, [=, &inference = inference_](std::size_t) {
      inference.causal_conv1d_step(s, {x, s.channels}, w, bias, window, y);
    }, 0, act_bytes(2 * rows * s.channels + 2 * window_count) + bytes_of(s.channels * (s.width + 1), types_.stat),
                2.0 * rows * s.channels * s.width);
  }

  MeteredOperation embedding() {
    require_matrix();
    std::vector<std::int32_t> tokens(static_cast<std::size_t>(o_.rows));
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      tokens[i] = static_cast<std::int32_t>(i * 2654435761u % static_cast<std::uint64_t>(o_.out));
    }
    auto* const ids = static_cast<std::int32_t*>(memory_.take(o_.rows, DType::i32));
    backend_.upload(ids, tokens.data(), tokens.size() * sizeof(std::int32_t));
    void *const weight = memory_.random(o_.out * o_.in, types_.weight), *const x = act(o_.rows * o_.in);
    return made(1, [=, &backend = backend_, rows = o_.rows, cols = o_.in](std::size_t) {
      backend.embedding_forward(rows, cols, ids, weight, x);
    }, 0, act_bytes(2 * o_.rows * o_.in), 0);
  }

  MeteredOperation argmax() {
    require("rows", o_.rows);
    require("vocab", o_.out);
    const auto ints = [&](index_t count) { return static_cast<std::int32_t*>(memory_.take(count, DType::i32)); };
    const TokenBuffers to{ints(o_.rows), ints(o_.rows), ints(1), 1};
    backend_.zero(to.position, sizeof *to.position);
    void* const logits = memory_.random(o_.rows * o_.out, types_.stat);
    return made(1, [=, &inference = inference_, rows = o_.rows, vocab = o_.out](std::size_t) {
      inference.select_greedy(rows, vocab, logits, 0, to);
    }, 0, bytes_of(o_.rows * o_.out, types_.stat), 0);
  }

  MeteredOperation copy() {
    require("bytes", o_.bytes, int64_t{1} << 40);
    const auto from = memory_.rotated((o_.bytes + 3) / 4, DType::f32);
    void* const to = memory_.take(o_.bytes, DType::u8);
    return made(from.size(), [=, &inference = inference_, bytes = static_cast<std::size_t>(o_.bytes)](std::size_t i) {
      inference.full_copy(to, from[i], bytes);
    }, 0, 2.0 * o_.bytes, 0);
  }

 private:
  static MeteredOperation made(std::size_t copies, std::function<void(std::size_t)> call, std::size_t workspace,
                               double bytes, double flops) {
    return {std::move(call), copies, workspace, bytes, flops};
  }
  static double bytes_of(index_t count, DType type) { return static_cast<double>(count) * static_cast<double>(dtype_bytes(type)); }
  double act_bytes(index_t count) const { return bytes_of(count, types_.act); }
  void* act(index_t count) { return memory_.random(count, types_.act); }
  double weight_scale() const { return 1 / std::sqrt(static_cast<double>(o_.in)); }
  double scale() const { return 1 / std::sqrt(static_cast<double>(o_.head_dim)); }
  PreNorm pre_norm(index_t rows, index_t cols) {
    return {memory_.random(cols, types_.stat), 1e-5, memory_.take(rows * cols, types_.act), memory_.take(rows, types_.stat)};
  }
  CacheShape cache(index_t time, index_t context) const {
    return {o_.batch, time, o_.heads, o_.kv_heads, o_.head_dim, context, scale(), 0, 0};
  }
  MeteredOperation norm_of(index_t rows, index_t cols) {
    const NormShape s{rows, cols, 1e-5};
    void *const x = act(rows * cols), *const y = act(rows * cols);
    void *const weight = memory_.random(cols, types_.stat), *const rstd = memory_.take(rows, types_.stat);
    return made(1, [=, &backend = backend_](std::size_t) { backend.rms_norm_forward(s, x, weight, y, rstd); }, 0,
                act_bytes(2 * rows * cols), 0);
  }
  void require_matrix() const {
    require("rows", o_.rows);
    require("in", o_.in);
    require("out", o_.out);
  }
  void require_attention() const {
    require("batch", o_.batch);
    require("heads", o_.heads);
    require("kv_heads", o_.kv_heads, o_.heads);
    require("head_dim", o_.head_dim);
    if (o_.heads % o_.kv_heads != 0) {
      throw InvalidArgument("expected kv_heads to divide the " + std::to_string(o_.heads) + " heads, got " +
                            std::to_string(o_.kv_heads));
    }
  }

  Backend& backend_;
  Inference& inference_;
  OperandMemory& memory_;
  const lmx_operation& o_;
  Precision types_;
};

}  // namespace

OperandMemory::~OperandMemory() {
  for (void* pointer : pointers_) backend_.release(pointer);
}

void* OperandMemory::take(index_t count, DType type) {
  pointers_.reserve(pointers_.size() + 1);
  pointers_.push_back(backend_.allocate(static_cast<std::size_t>(count) * dtype_bytes(type)));
  return pointers_.back();
}

void* OperandMemory::random(index_t count, DType type, double scale) {
  void* const values = take(count, type);
  if (type == DType::u8) {
    backend_.zero(values, static_cast<std::size_t>(count));
  } else {
    backend_.inference().fill_normal(values, type, count, scale, 1, stream_++);
  }
  return values;
}

std::vector<void*> OperandMemory::rotated(index_t count, DType type, double scale) {
  const std::size_t bytes = static_cast<std::size_t>(count) * dtype_bytes(type);
  const std::size_t copies = std::clamp<std::size_t>(rotation_bytes(backend_) / std::max<std::size_t>(bytes, 1), 1, most_copies);
  std::vector<void*> all{random(count, type, scale)};
  while (all.size() < copies) {
    all.push_back(take(count, type));
    backend_.copy(all.back(), all.front(), bytes);
  }
  return all;
}

MeteredOperation metered_operation(Backend& backend, OperandMemory& memory, const lmx_operation& operation) {
  Builder builder(backend, memory, operation);
  switch (operation.kind) {
    case LMX_OP_LINEAR: return builder.linear();
    case LMX_OP_NORM_LINEAR: return builder.norm_linear();
    case LMX_OP_MLP_UP: return builder.mlp_up();
    case LMX_OP_RMS_NORM: return builder.rms_norm();
    case LMX_OP_GATED_RMS_NORM: return builder.gated_rms_norm();
    case LMX_OP_ATTENTION_PREFILL: return builder.attention_prefill();
    case LMX_OP_ATTENTION_DECODE: return builder.attention_decode();
    case LMX_OP_CACHE_APPEND: return builder.cache_append();
    case LMX_OP_SSD_PREFILL: return builder.ssd(operation.time);
    case LMX_OP_SSD_UPDATE: return builder.ssd(1);
    case LMX_OP_CONV_PREFILL: return builder.conv(operation.time);
    case LMX_OP_CONV_STEP: return builder.conv(1);
    case LMX_OP_EMBEDDING: return builder.embedding();
    case LMX_OP_ARGMAX: return builder.argmax();
    case LMX_OP_COPY: return builder.copy();
    case LMX_OP_LAUNCH: return builder.launch();
  }
  throw InvalidArgument("expected an operation from 0 to 15, got " + std::to_string(operation.kind));
}

}  // namespace lmx
