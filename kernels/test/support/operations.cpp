// See operations.h. FLOPs count a multiply-add as two; the SSD scan and attention count causal work only.
#include "../operations.h"

#include <algorithm>
#include <memory>

namespace lmx::test {

namespace {

using Tokens = std::shared_ptr<std::vector<std::int32_t>>;

// Integers in [low, high), fixed by the seed.
Tokens random_tokens(index_t count, index_t low, index_t high, std::uint64_t seed) {
  auto tokens = std::make_shared<std::vector<std::int32_t>>(count);
  for (index_t i = 0; i < count; ++i) {
    (*tokens)[i] =
        static_cast<std::int32_t>(low + std::floor(random_uniform(seed, 3, i) * double(high - low)));
  }
  return tokens;
}

Tensor tensor(const char* name, index_t rows, index_t cols, double scale = 1, double offset = 0) {
  Tensor result;
  result.name = name;
  result.rows = rows;
  result.cols = cols;
  result.scale = scale;
  result.offset = offset;
  return result;
}

Tensor parameter(const char* name, index_t rows, index_t cols, double scale = 1, double offset = 0) {
  Tensor result = tensor(name, rows, cols, scale, offset);
  result.accumulates = true;
  return result;
}

Tensor strided(Tensor result, index_t gap) {
  result.gap = gap;
  return result;
}

std::string shape_name(const char* name, std::initializer_list<index_t> sizes) {
  std::string result = name;
  char separator = ' ';
  for (index_t size : sizes) {
    result += separator + std::to_string(size);
    separator = 'x';
  }
  return result;
}

}  // namespace

Operation embedding_operation(index_t rows, index_t cols, index_t vocab) {
  const Tokens tokens = random_tokens(rows, 0, vocab, 11);
  Operation op;
  op.name = shape_name("embedding", {rows, cols, vocab});
  op.inputs = {parameter("weight", vocab, cols)};
  op.outputs = {tensor("x", rows, cols)};
  op.forward = [=](Backend& b, Run& r) {
    b.embedding_forward(rows, cols, tokens->data(), r.inputs[0], r.outputs[0]);
  };
  op.backward = [=](Backend& b, Run& r) {
    b.embedding_backward(rows, cols, vocab, tokens->data(), r.output_gradients[0], r.input_gradients[0]);
  };
  op.workspace = [=](const Backend& b) { return b.workspace_bytes(EmbeddingShape{rows, cols, vocab}); };
  op.forward_bytes = 8.0 * rows * cols;
  op.backward_bytes = 12.0 * rows * cols;
  return op;
}

Operation rms_norm_operation(index_t rows, index_t cols, bool residual) {
  const NormShape s{rows, cols, 1e-5};
  Operation op;
  op.name = shape_name(residual ? "rms_norm+residual" : "rms_norm", {rows, cols});
  op.inputs = {tensor("x", rows, cols), parameter("weight", 1, cols, 0.1, 1)};
  op.outputs = {tensor("y", rows, cols)};
  if (residual)
    op.outputs.push_back(tensor("skip", rows, cols));  // the branch around the norm: d(skip) is dresidual
  op.saved = {tensor("rstd", rows, 1)};
  op.forward = [=](Backend& b, Run& r) {
    b.rms_norm_forward(s, r.inputs[0], r.inputs[1], r.outputs[0], r.saved[0]);
    if (residual) r.outputs[1].copy(r.inputs[0]);
  };
  op.backward = [=](Backend& b, Run& r) {
    b.rms_norm_backward(s, r.output_gradients[0], r.inputs[0], r.inputs[1], r.saved[0],
                        residual ? r.output_gradients[1].data() : nullptr, r.input_gradients[0],
                        r.input_gradients[1]);
  };
  op.workspace = [=](const Backend& b) { return b.workspace_bytes(s); };
  if (cols == 1)
    op.tolerance = 1e-2;  // the norm of one number has no slope but through eps: all digits cancel
  op.forward_bytes = 8.0 * rows * cols;
  op.backward_bytes = (residual ? 16.0 : 12.0) * rows * cols;
  return op;
}

Operation linear_operation(index_t rows, index_t in, index_t out, bool residual, index_t gap) {
  const LinearShape s{rows, in, out, out + gap};
  Operation op;
  op.name = shape_name(residual ? "linear+residual" : "linear", {rows, in, out, gap});
  op.inputs = {tensor("x", rows, in), parameter("w", out, in, 1 / std::sqrt(double(in)))};
  if (residual) op.inputs.push_back(strided(tensor("residual", rows, out), gap));
  op.outputs = {strided(tensor("y", rows, out), gap)};
  op.forward = [=](Backend& b, Run& r) {
    b.linear_forward(s, r.inputs[0], r.inputs[1], residual ? r.inputs[2].data() : nullptr, r.outputs[0]);
  };
  op.backward = [=](Backend& b, Run& r) {
    b.linear_backward_input(s, r.output_gradients[0], r.inputs[1], r.input_gradients[0]);
    b.linear_backward_weight(s, r.inputs[0], r.output_gradients[0], r.input_gradients[1]);
    if (residual) r.input_gradients[2].copy(r.output_gradients[0]);
  };
  op.workspace = [=](const Backend& b) { return b.workspace_bytes(s); };
  op.forward_flops = 2.0 * rows * in * out;
  op.backward_flops = 2 * op.forward_flops;
  return op;
}

Operation mlp_operation(index_t rows, index_t hidden, index_t width, Activation activation, bool gated) {
  const MlpShape s{rows, hidden, width, activation, gated};
  const LinearShape up{rows, hidden, s.up_width()}, down{rows, width, hidden};
  static const char* const names[] = {"gelu_tanh", "gelu_erf", "relu2", "silu"};
  Operation op;
  op.name = shape_name((std::string("mlp ") + names[int(activation)] + (gated ? " gated" : "")).c_str(),
                       {rows, hidden, width});
  op.inputs = {tensor("x", rows, hidden),
               parameter("w_up", s.up_width(), hidden, 1.5 / std::sqrt(double(hidden))),
               parameter("w_down", hidden, width, 1 / std::sqrt(double(width)))};
  op.outputs = {tensor("y", rows, hidden)};
  op.saved = {tensor("a", rows, width), tensor("du", rows, s.up_width())};
  if (s.keeps_input()) op.saved.push_back(tensor("u", rows, s.up_width()));
  op.forward = [=](Backend& b, Run& r) {
    b.linear_activation_forward(s, r.inputs[0], r.inputs[1], s.keeps_input() ? r.saved[2].data() : nullptr, r.saved[0]);
    b.linear_forward(down, r.saved[0], r.inputs[2], nullptr, r.outputs[0]);
  };
  op.backward = [=](Backend& b, Run& r) {
    b.linear_activation_backward_input(s, r.output_gradients[0], r.inputs[2], r.saved[s.keeps_input() ? 2 : 0], r.saved[1]);
    b.linear_backward_input(up, r.saved[1], r.inputs[1], r.input_gradients[0]);
    b.linear_backward_weight(up, r.inputs[0], r.saved[1], r.input_gradients[1]);
    b.linear_backward_weight(down, r.saved[0], r.output_gradients[0], r.input_gradients[2]);
  };
  op.workspace = [=](const Backend& b) { return std::max(b.workspace_bytes(up), b.workspace_bytes(down)); };
  op.forward_flops = 2.0 * rows * hidden * (s.up_width() + width);
  op.backward_flops = 2 * op.forward_flops;
  return op;
}

Operation causal_conv1d_operation(index_t batch, index_t time, index_t channels, index_t width, index_t gap) {
  const ConvShape s{batch, time, channels, width};
  Operation op;
  op.name = shape_name("causal_conv1d", {batch, time, channels, width, gap});
  op.inputs = {strided(tensor("x", batch * time, channels), gap), parameter("w", channels, width, 0.5),
               parameter("bias", 1, channels, 0.5)};
  op.outputs = {tensor("y", batch * time, channels)};
  op.forward = [=](Backend& b, Run& r) {
    b.causal_conv1d_forward(s, r.inputs[0].view(), r.inputs[1], r.inputs[2], r.outputs[0]);
  };
  op.backward = [=](Backend& b, Run& r) {
    b.causal_conv1d_backward(s, r.output_gradients[0], r.inputs[0].view(), r.inputs[1], r.inputs[2],
                             r.input_gradients[0].strided(), r.input_gradients[1], r.input_gradients[2]);
  };
  op.workspace = [=](const Backend& b) { return b.workspace_bytes(s); };
  op.forward_bytes = 8.0 * batch * time * channels;
  op.backward_bytes = 12.0 * batch * time * channels;
  return op;
}

Operation gated_rms_norm_operation(index_t rows, index_t cols, index_t groups, index_t gap) {
  const GatedNormShape s{rows, cols, groups, 1e-5};
  Operation op;
  op.name = shape_name("gated_rms_norm", {rows, cols, groups, gap});
  op.inputs = {tensor("y", rows, cols), strided(tensor("z", rows, cols), gap),
               parameter("weight", 1, cols, 0.1, 1)};
  op.outputs = {tensor("out", rows, cols)};
  op.saved = {tensor("rstd", rows, groups)};
  op.forward = [=](Backend& b, Run& r) {
    b.gated_rms_norm_forward(s, r.inputs[0], r.inputs[1].view(), r.inputs[2], r.outputs[0], r.saved[0]);
  };
  op.backward = [=](Backend& b, Run& r) {
    b.gated_rms_norm_backward(s, r.output_gradients[0], r.inputs[0], r.inputs[1].view(), r.inputs[2],
                              r.saved[0], r.input_gradients[0], r.input_gradients[1].strided(),
                              r.input_gradients[2]);
  };
  op.workspace = [=](const Backend& b) { return b.workspace_bytes(s); };
  if (cols == groups) op.tolerance = 1e-2;  // as in rms_norm
  op.forward_bytes = 12.0 * rows * cols;
  op.backward_bytes = 20.0 * rows * cols;
  return op;
}

Operation ssd_scan_operation(const SsdShape& s, bool boundary_states) {
  const index_t rows = s.batch * s.time, cells = s.head_dim * s.state;
  Operation op;
  op.name = shape_name(boundary_states ? "ssd_scan+states" : "ssd_scan",
                       {s.batch, s.time, s.heads, s.head_dim, s.groups, s.state, s.chunk});
  op.inputs = {tensor("xbc", rows, s.channels(), 0.5), strided(tensor("dt", rows, s.heads), 3),
               parameter("a_log", 1, s.heads, 0.5, 0.7), parameter("d", 1, s.heads, 1, 1),
               parameter("dt_bias", 1, s.heads, 0.5, -1)};
  op.outputs = {tensor("y", rows, s.inner())};
  if (boundary_states) {
    op.inputs.push_back(tensor("initial_state", s.batch * s.heads, cells));
    op.outputs.push_back(tensor("final_state", s.batch * s.heads, cells));
  }
  op.saved = {tensor("states", 1, s.state_elements())};
  op.forward = [=](Backend& b, Run& r) {
    b.ssd_scan_forward(s, r.inputs[0], r.inputs[1].view(), r.inputs[2], r.inputs[3], r.inputs[4],
                       boundary_states ? r.inputs[5].data() : nullptr, r.outputs[0], r.saved[0],
                       boundary_states ? r.outputs[1].data() : nullptr);
  };
  op.backward = [=](Backend& b, Run& r) {
    b.ssd_scan_backward(s, r.output_gradients[0], r.inputs[0], r.inputs[1].view(), r.inputs[2], r.inputs[3],
                        r.inputs[4], r.saved[0], boundary_states ? r.output_gradients[1].data() : nullptr,
                        r.input_gradients[0], r.input_gradients[1].strided(), r.input_gradients[2],
                        r.input_gradients[3], r.input_gradients[4],
                        boundary_states ? r.input_gradients[5].data() : nullptr);
  };
  op.workspace = [=](const Backend& b) { return b.workspace_bytes(s); };
  op.tolerance =
      3e-5;  // the gradients of a_log and dt_bias are sums over all steps in which most of the terms cancel
  const double L = double(std::min(s.chunk, s.time)),
               inside = L + 1;  // two FLOPs for each of (L+1)/2 pairs a row
  op.forward_flops = rows * (inside * s.groups * s.state + s.heads * s.head_dim * (inside + 4.0 * s.state));
  op.backward_flops =
      rows * (inside * 3 * s.groups * s.state + s.heads * s.head_dim * (2 * inside + 8.0 * s.state));
  return op;
}

Operation rope_operation(const RopeShape& s) {
  const index_t rows = s.batch * s.time, width = (s.heads + 2 * s.kv_heads) * s.head_dim;
  Operation op;
  op.name = shape_name("rope", {s.batch, s.time, s.heads, s.kv_heads, s.head_dim, s.rotary_dim});
  op.inputs = {tensor("qkv", rows, width)};
  op.outputs = {tensor("turned", rows, width)};
  op.restore = [=](Run& r) { r.outputs[0].copy(r.inputs[0]); };
  op.forward = [=](Backend& b, Run& r) { b.rope_forward(s, r.outputs[0]); };
  op.backward = [=](Backend& b, Run& r) {
    r.input_gradients[0].copy(r.output_gradients[0]);
    b.rope_backward(s, r.input_gradients[0]);
  };
  return op;
}

Operation attention_operation(const AttentionShape& s) {
  const index_t rows = s.batch * s.time;
  Operation op;
  op.name = shape_name("attention", {s.batch, s.time, s.heads, s.kv_heads, s.head_dim});
  op.inputs = {tensor("qkv", rows, s.packed_width())};
  op.outputs = {tensor("out", rows, s.query_width())};
  op.saved = {tensor("lse", s.batch * s.heads, s.time)};
  op.forward = [=](Backend& b, Run& r) { b.attention_forward(s, r.inputs[0], r.outputs[0], r.saved[0]); };
  op.backward = [=](Backend& b, Run& r) {
    b.attention_backward(s, r.output_gradients[0], r.inputs[0], r.outputs[0], r.saved[0],
                         r.input_gradients[0]);
  };
  op.workspace = [=](const Backend& b) { return b.workspace_bytes(s); };
  op.forward_flops = 2.0 * rows * (s.time + 1) * s.query_width();
  op.backward_flops = 2.5 * op.forward_flops;
  return op;
}

Operation cross_entropy_operation(index_t rows, index_t vocab) {
  const CrossEntropyShape s{rows, vocab};
  const Tokens targets = random_tokens(rows, -1, vocab, 12);
  Operation op;
  op.name = shape_name("cross_entropy", {rows, vocab});
  op.inputs = {tensor("logits", rows, vocab, 2)};
  op.outputs = {tensor("row_loss", rows, 1)};
  op.saved = {tensor("work", rows, vocab), tensor("correct", rows, 1)};
  op.cotangent = 1.0 / double(rows);
  op.restore = [=](Run& r) { r.saved[0].copy(r.inputs[0]); };
  op.forward = [=](Backend& b, Run& r) {
    StepScalars scalars{};
    scalars.inverse_target_count = 1.0 / double(rows);
    std::vector<std::uint8_t> correct(rows, 255);
    b.cross_entropy(s, r.saved[0], targets->data(), r.outputs[0], correct.data(), &scalars, true);
    for (index_t i = 0; i < rows; ++i) r.saved[1].set(i, correct[i]);
  };
  op.backward = [=](Backend&, Run& r) { r.input_gradients[0].copy(r.saved[0]); };
  op.workspace = [=](const Backend& b) { return b.workspace_bytes(s); };
  op.forward_bytes = 8.0 * rows * vocab;
  return op;
}

Operation adamw_operation(index_t count, bool working_copy) {
  Operation op;
  op.name = shape_name(working_copy ? "adamw+copy" : "adamw", {count});
  op.inputs = {tensor("p", 1, count), tensor("g", 1, count), tensor("m", 1, count, 0.1),
               tensor("v_root", 1, count, 0.1)};
  op.outputs = {tensor("p'", 1, count), tensor("m'", 1, count), tensor("v'", 1, count)};
  const ParameterRanges ranges{count, count - count / 2, count - count / 3};  // boundaries anywhere
  if (working_copy) op.outputs.push_back(tensor("working", 1, ranges.copied));
  op.restore = [=](Run& r) {
    r.outputs[0].copy(r.inputs[0]);
    r.outputs[1].copy(r.inputs[2]);
    for (index_t i = 0; i < count; ++i)
      r.outputs[2].set(i, static_cast<float>(std::pow(r.inputs[3].get(i), 2)));
  };
  op.forward = [=](Backend& b, Run& r) {
    StepScalars k{};
    k.learning_rate = 1e-2;
    k.beta1 = 0.9;
    k.beta2 = 0.95;
    k.epsilon = 1e-8;
    k.weight_decay = 0.1;
    k.bias_correction1 = 1 - std::pow(k.beta1, 3);
    k.bias_correction2 = 1 - std::pow(k.beta2, 3);
    k.clip_scale = 0.5;
    b.adamw(ranges, r.outputs[0], working_copy ? r.outputs[3].data() : nullptr, r.inputs[1], r.outputs[1],
            r.outputs[2], &k);
  };
  op.forward_bytes = 28.0 * count + (working_copy ? 4.0 * ranges.copied : 0.0);
  return op;
}

Operation gradient_norm_operation(index_t count) {
  Operation op;
  op.name = shape_name("gradient_norm", {count});
  op.inputs = {tensor("g", 1, count)};
  op.outputs = {tensor("norm", 1, 1), tensor("clip_scale", 1, 1)};
  op.forward = [=](Backend& b, Run& r) {
    StepScalars k{};
    k.clip_norm = 0.25;
    b.gradient_norm(count, r.inputs[0], &k);
    r.outputs[0].set(0, k.grad_norm);
    r.outputs[1].set(0, k.clip_scale);
  };
  op.forward_bytes = 4.0 * count;
  return op;
}

std::vector<Operation> odd_operations() {
  std::vector<Operation> list;
  for (const auto& [rows, cols] :
       {std::pair<index_t, index_t>{1, 1}, {3, 63}, {100, 100}, {257, 33}, {70, 256}}) {
    list.push_back(embedding_operation(rows, cols, 7));
    list.push_back(rms_norm_operation(rows, cols, rows % 2 == 0));
    list.push_back(linear_operation(rows, cols, 63, rows % 2 == 1));
    list.push_back(cross_entropy_operation(rows, cols));
    list.push_back(gradient_norm_operation(rows * cols));
    list.push_back(adamw_operation(rows * cols, rows % 2 == 1));
  }
  for (const LinearShape& s : {LinearShape{1, 1, 1},
                                      {300, 600, 100},
                                      {513, 31, 257},
                                      {64, 64, 64},
                                      {1100, 130, 70},
                                      {2100, 300, 40}}) {
    list.push_back(linear_operation(s.rows, s.in, s.out, false));
    list.push_back(linear_operation(s.rows, s.in, s.out, true));
  }
  list.push_back(linear_operation(130, 70, 33, false, 7));
  list.push_back(linear_operation(7, 64, 24, false, 40));
  list.push_back(linear_operation(130, 70, 33, true, 31));
  for (const Activation activation :
       {Activation::gelu_tanh, Activation::gelu_erf, Activation::relu2, Activation::silu}) {
    for (const bool gated : {false, true}) {
      list.push_back(mlp_operation(37, 24, 63, activation, gated));
      list.push_back(mlp_operation(130, 32, 128, activation, gated));
    }
  }
  for (const ConvShape& s : {ConvShape{1, 1, 1, 4},
                             {2, 100, 33, 4},
                             {3, 63, 64, 2},
                             {2, 130, 100, 3},
                             {1, 2, 16, 4},
                             {2, 40, 48, 6},
                             {2, 17, 20, 1}}) {
    list.push_back(causal_conv1d_operation(s.batch, s.time, s.channels, s.width));
  }
  for (const GatedNormShape& s :
       {GatedNormShape{1, 1, 1, 0}, {63, 100, 4, 0}, {130, 96, 2, 0}, {100, 64, 1, 0}}) {
    list.push_back(gated_rms_norm_operation(s.rows, s.cols, s.groups));
  }
  for (const SsdShape& s : {SsdShape{1, 1, 1, 1, 1, 1, 4, 0},
                            {2, 7, 4, 3, 2, 4, 3, 0},
                            {1, 63, 2, 16, 1, 16, 16, 0},
                            {2, 100, 4, 32, 2, 16, 32, 1e-3},
                            {1, 130, 3, 20, 1, 33, 64, 0},
                            {2, 50, 6, 8, 3, 24, 128, 0.3},
                            {1, 70, 8, 64, 1, 64, 64, 0}}) {
    list.push_back(ssd_scan_operation(s, false));
    list.push_back(ssd_scan_operation(s, true));
  }
  list.push_back(rope_operation({2, 33, 3, 1, 8, 8, 10000}));
  list.push_back(rope_operation({1, 100, 2, 2, 64, 32, 500}));
  for (const AttentionShape& s : {AttentionShape{1, 1, 1, 1, 1, 1},
                                  {2, 63, 4, 2, 16, 0.25},
                                  {1, 100, 3, 3, 33, 0.2},
                                  {2, 130, 4, 1, 64, 0.125},
                                  {1, 257, 2, 1, 8, 0.5}}) {
    list.push_back(attention_operation(s));
  }
  list.push_back(cross_entropy_operation(5, 1000));
  list.push_back(adamw_operation(100000, false));
  list.push_back(gradient_norm_operation(100000));
  return list;
}

std::vector<Operation> typical_operations() {
  const index_t batch = 8, time = 512, rows = batch * time, hidden = 256, inner = 2 * hidden, state = 64;
  const index_t heads = 8, channels = inner + 2 * state;
  return {
      embedding_operation(rows, hidden, 256),
      rms_norm_operation(rows, hidden, true),
      linear_operation(rows, hidden, inner + channels + heads, false),
      linear_operation(rows, inner, hidden, true),
      mlp_operation(rows, hidden, 4 * hidden, Activation::gelu_tanh, false),
      mlp_operation(rows, hidden, 4 * hidden, Activation::relu2, false),
      mlp_operation(rows, hidden, 2 * hidden, Activation::silu, true),
      causal_conv1d_operation(batch, time, channels, 4),
      ssd_scan_operation({batch, time, heads, inner / heads, 1, state, 64, 0}, false),
      ssd_scan_operation({batch, time, heads, inner / heads, 1, 16, 64, 0}, false),
      ssd_scan_operation({batch, time, heads, inner / heads, 1, state, 128, 0}, false),
      gated_rms_norm_operation(rows, inner, 1),
      rope_operation({batch, time, 8, 2, 32, 32, 10000}),
      attention_operation({batch, time, 8, 2, 32, 0.1767766952966369}),
      attention_operation({batch, time, 4, 4, 64, 0.125}),
      linear_operation(rows, hidden, 256, false),
      cross_entropy_operation(rows, 256),
      cross_entropy_operation(rows, 8192),
      gradient_norm_operation(4000000),
      adamw_operation(4000000, false),
  };
}

}  // namespace lmx::test
