// The kernels of decoding against the fp64 oracle on fresh random data: odd shapes, outputs and everything beyond the context full of
// NaN, guards around every buffer, the same bits when run twice. Then whole decoders: a GPU's against the CPU's in fp64 from the same
// seed, a recorded step against one launched call by call. Exits 77 (skipped) where there is no device.
#include <cstdlib>
#include <string>

#include "check.h"
#include "cpu/attention_decode.h"
#include "cpu/causal_conv1d_step.h"
#include "cpu/kv_cache_append.h"
#include "cpu/rms_norm.h"
#include "cpu/ssd_state_update.h"
#include "cuda/attention_decode.cuh"
#include "cuda/causal_conv1d_step.cuh"
#include "cuda/cuda_backend.h"
#include "cuda/fill_normal.cuh"
#include "cuda/full_copy.cuh"
#include "cuda/kv_cache_append.cuh"
#include "cuda/linear_few_rows.cuh"
#include "cuda/select_greedy.cuh"
#include "cuda/ssd_state_update.cuh"
#include "cuda_arrays.h"
#include "decoder_support.h"
#include "operation.h"

using namespace lmx;
using namespace lmx::test;
using cuda::bf16;

namespace {

ThreadPool pool(1);
cpu::Context context() { return {&pool, nullptr, 0}; }

// Eight significant bits, rounded once on the way out; sums and softmaxes of rounded operands a little more.
constexpr double tolerance = 4e-3;

template <class T>
void compare(const std::string& what, DeviceArray<T>& got, const std::vector<double>& expected, double limit = tolerance) {
  std::vector<double> values;
  CHECK(got.fetch(values), "%s: wrote outside", what.c_str());
  const double error = relative_error(values, expected);
  CHECK(error <= limit, "%s: relative error %.3g, limit %.3g", what.c_str(), error, limit);
}

// What `run` leaves in an array is the same, bit for bit, when it starts again from `restore`.
template <class T, class Restore, class Run>
void repeats(const std::string& what, DeviceArray<T>& got, Restore restore, Run run) {
  std::vector<double> first, second;
  got.fetch(first);
  restore();
  run();
  got.fetch(second);
  CHECK(std::memcmp(first.data(), second.data(), first.size() * sizeof(double)) == 0, "%s: differs between two runs",
        what.c_str());
}

template <class... Sizes>
std::string named(const char* name, Sizes... sizes) {
  std::string text = name;
  ((text += " " + std::to_string(sizes)), ...);
  return text;
}

void check_linear(index_t rows, index_t in, index_t out, bool norm, bool residual, bool wide) {
  const std::string what = named("linear_few_rows", rows, in, out, norm, residual, wide);
  DeviceArray<bf16> x(rows, in), w(out, in), skip(rows, out), y(rows, out);
  DeviceArray<float> weight(1, in), wide_y(rows, out);
  x.normal(1, 3);
  w.normal(2, 1 / std::sqrt(double(in)));
  skip.normal(3);
  weight.normal(4, 0.2, 1);
  std::vector<double> normed(x.values()), rstd(rows), expected(rows * out);
  if (norm) cpu::rms_norm_forward<double>(context(), {rows, in, 1e-5}, x.oracle(), weight.oracle(), normed.data(), rstd.data());
  cpu::linear_forward<double>(context(), {rows, in, out}, normed.data(), w.oracle(), residual ? skip.oracle() : nullptr,
                              expected.data());
  cuda::FewRowsLinear call{{rows, in, out}, x, w};
  call.norm_weight = norm ? weight.data() : nullptr;
  call.eps = 1e-5f;
  call.residual = residual ? skip.data() : nullptr;
  call.y = wide ? nullptr : y.data();
  call.wide_y = wide ? wide_y.data() : nullptr;
  const auto run = [&] { cuda::linear_few_rows(call, nullptr); };
  run();
  if (wide) {
    compare(what, wide_y, expected);
    repeats(what, wide_y, [&] { wide_y.poison(); }, run);
  } else {
    compare(what, y, expected);
    repeats(what, y, [&] { y.poison(); }, run);
  }
}

void check_mlp(const MlpShape& s, bool norm) {
  const std::string what = named("mlp_up", s.rows, s.hidden, s.width, int(s.activation), s.gated, norm);
  DeviceArray<bf16> x(s.rows, s.hidden), w(s.up_width(), s.hidden), a(s.rows, s.width);
  DeviceArray<float> weight(1, s.hidden);
  x.normal(1, 2);
  w.normal(2, 1 / std::sqrt(double(s.hidden)));
  weight.normal(4, 0.2, 1);
  std::vector<double> normed(x.values()), rstd(s.rows), u(s.rows * s.up_width()), expected(s.rows * s.width);
  if (norm) {
    cpu::rms_norm_forward<double>(context(), {s.rows, s.hidden, 1e-5}, x.oracle(), weight.oracle(), normed.data(), rstd.data());
  }
  cpu::linear_activation_forward<double>(context(), s, normed.data(), w.oracle(), u.data(), expected.data());
  cuda::FewRowsLinear call{{s.rows, s.hidden, s.up_width()}, x, w};
  call.norm_weight = norm ? weight.data() : nullptr;
  call.eps = 1e-5f;
  cuda::mlp_up_few_rows(s, call, a, nullptr);
  compare(what, a, expected, 6e-3);
}

void check_conv(const ConvShape& s) {
  const std::string what = named("causal_conv1d_step", s.batch, s.time, s.channels, s.width);
  const index_t back = s.width - 1, written = std::min(s.time, std::max(back, index_t{1}));
  DeviceArray<bf16> x(s.batch * s.time, s.channels, 6), window(s.batch * std::max(back, index_t{1}), s.channels),
      y(s.batch * s.time, s.channels);
  DeviceArray<float> w(s.channels, s.width), bias(1, s.channels);
  x.normal(1);
  window.normal(2);
  w.normal(3, 0.5);
  bias.normal(4, 0.5);
  std::vector<double> expected_window(window.values()), expected(y.count());
  cpu::causal_conv1d_step<double>(context(), s, x.oracle_view(), w.oracle(), bias.oracle(), expected_window.data(),
                                  expected.data());
  cuda::causal_conv1d_step(s, x.view(), w, bias, window, y, nullptr);
  std::vector<double> got;
  CHECK(y.fetch(got), "%s: wrote outside", what.c_str());
  std::vector<double> first, wanted;
  for (index_t i = 0; i < y.count(); ++i) {
    if (i / s.channels % s.time < written) {
      first.push_back(got[i]);
      wanted.push_back(expected[i]);
    } else {
      CHECK(std::isnan(got[i]), "%s: row %d is not its to write", what.c_str(), int(i / s.channels));
    }
  }
  const double error = relative_error(first, wanted);
  CHECK(error <= tolerance, "%s: relative error %.3g", what.c_str(), error);
  compare(what + " window", window, expected_window, back > 0 ? 0 : 1e9);
}

template <class State>
void check_ssd(const SsdShape& s) {
  const std::string what = named("ssd_state_update", s.batch, s.time, s.heads, s.head_dim, s.groups, s.state, int(sizeof(State)));
  const index_t rows = s.batch * s.time;
  DeviceArray<bf16> xbc(rows, s.channels()), dt(rows, s.heads, 3), y(rows, s.inner());
  DeviceArray<float> a_log(1, s.heads), d(1, s.heads), bias(1, s.heads);
  DeviceArray<State> state(s.batch * s.heads * s.head_dim, s.state);
  const auto start = [&] { state.normal(7); };
  xbc.normal(1, 0.5);
  dt.normal(2, 1);
  a_log.normal(3, 0.7);
  d.normal(4);
  bias.normal(5, 0.5, -2);
  start();
  std::vector<double> expected_state(state.values()), expected(y.count());
  cpu::ssd_state_update<double>(context(), s, xbc.oracle(), dt.oracle_view(), a_log.oracle(), d.oracle(), bias.oracle(),
                                expected_state.data(), expected.data());
  const auto run = [&] { cuda::ssd_state_update(s, xbc, dt.view(), a_log, d, bias, state.data(), y, nullptr); };
  run();
  compare(what, y, expected);
  compare(what + " state", state, expected_state, sizeof(State) == 4 ? 1e-5 : tolerance);
  repeats(what, state, start, run);
}

CacheShape cache_shape(index_t batch, index_t time, index_t heads, index_t kv_heads, index_t head_dim, index_t room,
                       index_t rotary_dim) {
  return {batch, time, heads, kv_heads, head_dim, room, 1 / std::sqrt(double(head_dim)), rotary_dim, 10000};
}

DeviceArray<std::int32_t>* position_of(index_t value) {
  auto* const array = new DeviceArray<std::int32_t>(1, 1);
  array->fill([&](index_t) { return double(value); });
  return array;
}

void check_append(const CacheShape& s, index_t position) {
  const std::string what = named("kv_cache_append", s.batch, s.time, s.heads, s.kv_heads, s.head_dim, s.rotary_dim, position);
  DeviceArray<bf16> qkv(s.batch * s.time, s.packed_width()), keys(s.batch * s.kv_heads * s.context, s.head_dim),
      values(s.batch * s.kv_heads * s.context, s.head_dim);
  qkv.normal(1);
  keys.normal(2);
  values.normal(3);
  const std::unique_ptr<DeviceArray<std::int32_t>> at(position_of(position));
  std::vector<double> q(qkv.values()), k(keys.values()), v(values.values());
  cpu::kv_cache_append<double>(context(), s, q.data(), k.data(), v.data(), position);
  cuda::kv_cache_append(s, qkv, keys, values, at->data(), nullptr);
  compare(what + " qkv", qkv, q);
  compare(what + " keys", keys, k);
  compare(what + " values", values, v, 0);
}

void check_attention(const CacheShape& s, index_t position) {
  const std::string what = named("attention_decode", s.batch, s.time, s.heads, s.kv_heads, s.head_dim, s.context, position);
  const index_t visible = position + s.time;
  DeviceArray<bf16> qkv(s.batch * s.time, s.packed_width()), keys(s.batch * s.kv_heads * s.context, s.head_dim),
      values(s.batch * s.kv_heads * s.context, s.head_dim), out(s.batch * s.time, s.heads * s.head_dim);
  const auto cached = [&](std::uint64_t seed) {
    return [&, seed](index_t i) {
      return i / s.head_dim % s.context < visible ? random_normal(seed, 0, i) : std::numeric_limits<double>::quiet_NaN();
    };
  };
  qkv.normal(1, 2);
  keys.fill(cached(2));
  values.fill(cached(3));
  const std::unique_ptr<DeviceArray<std::int32_t>> at(position_of(position));
  DeviceArray<float> workspace(1, static_cast<index_t>(cuda::attention_decode_workspace(s) / sizeof(float)) + 1);
  DeviceArray<std::int32_t> counters(1, 4096);
  counters.fill([](index_t) { return 0.0; });
  std::vector<double> expected(out.count());
  cpu::attention_decode<double>(context(), s, qkv.oracle(), keys.oracle(), values.oracle(), position, expected.data());
  const auto run = [&] {
    cuda::attention_decode(s, qkv, keys, values, at->data(), out, workspace.data(), reinterpret_cast<unsigned*>(counters.data()),
                           nullptr);
  };
  run();
  compare(what, out, expected, 6e-3);
  repeats(what, out, [&] { out.poison(); }, run);
  std::vector<double> left;
  counters.fetch(left);
  for (const double count : left) CHECK(count == 0, "%s: a counter is left at %g", what.c_str(), count);
}

void check_greedy(index_t rows, index_t vocab) {
  const std::string what = named("select_greedy", rows, vocab);
  DeviceArray<float> logits(rows, vocab);
  // Few different values: many ties, of which the first counts.
  logits.fill([&](index_t i) { return std::floor(3 * random_normal(rows, 0, i)); });
  DeviceArray<std::int32_t> tokens(1, rows), history(5, rows), scratch(1, static_cast<index_t>(cuda::kGreedyScratchBytes / 4));
  scratch.fill([](index_t) { return 0.0; });
  history.fill([](index_t) { return -1.0; });
  const std::unique_ptr<DeviceArray<std::int32_t>> position(position_of(11));
  const std::vector<int32_t> expected = most_likely(logits.values(), vocab);
  for (int run = 0; run < 2; ++run) {
    cuda::select_greedy(rows, vocab, logits, 2, {tokens, history, position->data(), 5}, scratch.data(), nullptr);
    std::vector<double> got, kept, at;
    CHECK(tokens.fetch(got) && history.fetch(kept) && position->fetch(at), "%s: wrote outside", what.c_str());
    CHECK(at[0] == 13 + 2 * run, "%s: position %g", what.c_str(), at[0]);
    for (index_t r = 0; r < rows; ++r) {
      CHECK(got[r] == expected[r], "%s: row %d: %g instead of %d", what.c_str(), int(r), got[r], expected[r]);
      CHECK(kept[(13 + 2 * run) % 5 * rows + r] == expected[r], "%s: history of row %d", what.c_str(), int(r));
    }
  }
}

void check_fill() {
  DeviceArray<float> values(1, 100003);
  cuda::fill_normal(values.data(), DType::f32, 100003, 0.02, 7, 99, nullptr);
  std::vector<double> expected(100003);
  for (index_t i = 0; i < 100003; ++i) expected[i] = static_cast<float>(0.02 * random_normal(7, 99, i));
  compare("fill_normal", values, expected, 1e-7);
}

void check_copy() {
  for (const index_t count : {1, 3, 4, 1000, 2048 * 4, 100003}) {
    DeviceArray<float> from(1, count), to(1, count);
    cuda::fill_normal(from.data(), DType::f32, count, 1, 7, 98, nullptr);
    cuda::full_copy(to.data(), from.data(), static_cast<std::size_t>(count) * sizeof(float), nullptr);
    std::vector<double> expected;
    from.fetch(expected);
    compare(named("full_copy", count), to, expected, 0);
  }
}

void check_kernels() {
  for (const LinearShape& s : {LinearShape{1, 8, 1}, {1, 72, 17}, {3, 1000, 100}, {8, 2048, 257}, {2, 4104, 40}, {1, 16384, 64},
                               {4, 256, 33}, {8, 1032, 48}, {6, 512, 100}, {7, 4096, 70}, {5, 640, 20000}}) {
    for (const bool residual : {false, true}) {
      for (const bool wide : {false, true}) {
        for (const bool norm : {false, true}) check_linear(s.rows, s.in, s.out, norm, residual, wide);
      }
    }
  }
  for (const Activation activation : {Activation::gelu_tanh, Activation::gelu_erf, Activation::relu2, Activation::silu}) {
    for (const bool gated : {false, true}) {
      for (const index_t rows : {1, 7, 8}) {
        for (const bool norm : {false, true}) check_mlp({rows, 264, 83, activation, gated}, norm);
      }
    }
  }
  for (const index_t width : {1, 2, 3, 4}) {
    for (const index_t time : {1, 2, 3, 5, 40}) {
      check_conv({3, time, 37, width});
      check_conv({2, time, 64, width});
    }
  }
  check_conv({300, 1, 1024, 4});
  for (const SsdShape& s : {SsdShape{1, 1, 1, 1, 1, 1, 64, 0}, {2, 1, 4, 64, 2, 128, 64, 0}, {3, 1, 6, 80, 3, 64, 64, 1e-3},
                            {2, 3, 4, 8, 1, 20, 64, 0}, {1, 5, 2, 64, 2, 256, 64, 0.3}, {2, 2, 3, 48, 1, 5, 64, 0},
                            {1, 1, 5, 33, 5, 33, 64, 0}, {1, 1, 128, 64, 8, 128, 64, 0}, {40, 1, 24, 64, 1, 128, 64, 0},
                            {64, 1, 24, 64, 8, 16, 64, 0}, {2, 33, 4, 128, 1, 200, 64, 0}}) {
    check_ssd<float>(s);
    check_ssd<bf16>(s);
  }
  check_append(cache_shape(2, 1, 4, 2, 64, 9, 64), 3);
  check_append(cache_shape(1, 5, 3, 1, 80, 40, 32), 30);
  check_append(cache_shape(3, 2, 2, 2, 8, 5, 6), 0);
  check_append(cache_shape(1, 1, 8, 8, 128, 100003, 0), 100002);
  check_append(cache_shape(1, 1, 4, 4, 128, 100003, 128), 100001);
  for (const index_t position : {0, 1, 15, 16, 63, 299}) {
    check_attention(cache_shape(2, 1, 4, 2, 64, 300, 0), position);
    check_attention(cache_shape(1, 1, 8, 1, 128, 300, 0), position);
  }
  check_attention(cache_shape(1, 1, 32, 8, 128, 5000, 0), 4321);
  check_attention(cache_shape(1, 1, 32, 8, 128, 5000, 0), 2);
  check_attention(cache_shape(3, 1, 12, 1, 80, 1100, 0), 1050);
  check_attention(cache_shape(2, 1, 20, 1, 64, 700, 0), 640);
  check_attention(cache_shape(2, 1, 3, 3, 8, 600, 0), 500);
  check_attention(cache_shape(2, 1, 10, 2, 40, 600, 0), 511);
  check_attention(cache_shape(2, 5, 6, 2, 128, 600, 0), 400);
  check_attention(cache_shape(64, 1, 16, 8, 128, 150, 0), 130);
  for (const index_t vocab : {1, 7, 4096, 50257, 256000}) {
    for (const index_t rows : {1, 3, 130}) {
      if (rows * vocab < 10'000'000) check_greedy(rows, vocab);
    }
  }
  check_fill();
  check_copy();
}

// ---- decoders --------------------------------------------------------------------------------------------------------

struct Model {
  const char* name;
  std::vector<lmx_layer_config> layers;
  double limit;
};

Config configured(const Model& model) {
  Config config;
  config.layers = model.layers;
  config.value.model.hidden = 128;
  config.value.model.vocab = 300;
  config.value.init_std = 0.08;
  return config;
}

lmx_decoder_config on_gpu(lmx_decoder_config config, lmx_state_type type) {
  config.precision = LMX_BF16;
  config.state_type = type;
  config.device = "cuda:0";
  return config;
}

void check_decoder(const Model& model, int64_t batch, lmx_state_type type) {
  Config config = configured(model);
  constexpr int64_t length = 180, room = 200;
  const Batch tokens(batch, length, config.value.model.vocab, 3);
  TestDecoder oracle(decoder_config(config, batch, room, length));
  TestDecoder gpu(on_gpu(decoder_config(config, batch, room, length), type));
  const auto feed = [&](std::vector<int64_t> prompts) {
    oracle.reset();
    gpu.reset();
    std::vector<double> all;
    int64_t at = 0;
    const auto compare_logits = [&](const std::vector<double>& got, const std::vector<double>& expected, const char* what) {
      const double error = relative_error(got, expected);
      CHECK(error <= model.limit, "%s, batch %d: %s at %d: logits off by %.3g, limit %.3g", model.name, int(batch), what, int(at),
            error, model.limit);
      all.insert(all.end(), got.begin(), got.end());
    };
    for (const int64_t time : prompts) {
      compare_logits(gpu.prefill(tokens.tokens, length, at, time), oracle.prefill(tokens.tokens, length, at, time), "prompt");
      at += time;
    }
    for (int64_t end = std::min(at + 12, length); at < end; ++at) {
      compare_logits(gpu.step(tokens.tokens, length, at), oracle.step(tokens.tokens, length, at), "step");
    }
    return all;
  };
  feed({});
  feed({1});
  feed({130});
  feed({128, 7, 33});
  const std::vector<double> first = feed({37, 50});
  CHECK(feed({37, 50}) == first, "%s: logits differ between two runs", model.name);

  // Greedy generation, recorded, against the same steps one by one.
  gpu.reset();
  std::vector<double> logits = gpu.prefill(tokens.tokens, length, 0, 9);
  std::vector<int32_t> expected;
  for (int i = 0; i < 60; ++i) {
    const std::vector<int32_t> next = most_likely(logits, config.value.model.vocab);
    expected.insert(expected.end(), next.begin(), next.end());
    logits = gpu.step(next);
  }
  gpu.reset();
  gpu.prefill(tokens.tokens, length, 0, 9);
  CHECK(gpu.generate(60) == expected, "%s, batch %d: generated tokens differ from stepped ones", model.name, int(batch));
  setenv("LAYERMIX_CUDA_GRAPH", "0", 1);
  TestDecoder plain(on_gpu(decoder_config(config, batch, room, length), type));
  unsetenv("LAYERMIX_CUDA_GRAPH");
  plain.prefill(tokens.tokens, length, 0, 9);
  CHECK(plain.generate(60) == expected, "%s: tokens differ without a graph", model.name);
}

void check_decoders() {
  const lmx_layer_config m = mamba2(4, 64, 2, 64, 128), m_odd = mamba2(3, 80, 1, 20, 64), a = attention(4, 2, 64, 64),
                         a_odd = attention(5, 1, 40, 24), relu = mlp(256, LMX_RELU2, false), gated = mlp(200, LMX_SILU, true);
  const std::vector<Model> models = {{"hybrid", {m, relu, a, gated, m_odd, a_odd}, 0.06},
                                     {"mamba2", {m, m_odd, m}, 0.05},
                                     {"attention", {a, gated, a_odd, relu}, 0.05}};
  for (const Model& model : models) {  // the oracle runs in fp64 on one thread: large batches once
    for (const int64_t batch : {1, 12}) check_decoder(model, batch, LMX_STATE_FULL);
  }
  for (const int64_t batch : {3, 40}) check_decoder(models[0], batch, LMX_STATE_FULL);
  check_decoder(models[0], 2, LMX_STATE_BF16);
}

}  // namespace

int main() {
  std::string reason;
  if (cuda_device_count(&reason) == 0) {
    std::printf("skipped: %s\n", reason.c_str());
    return 77;
  }
  check_kernels();
  std::printf("kernels checked, %d failures\n", failure_count());
  check_decoders();
  return TEST_RESULT();
}
