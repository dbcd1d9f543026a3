// A training step of a small hybrid (14 layers: 6 Mamba-2, 1 attention, 7 MLP) through the C ABI: tokens/s,
// and what part of the step its matrix products take when they run alone at the same shapes. Usage:
// bench_step [threads] [hidden] [batch] [sequence] [seconds]
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "common/philox.h"
#include "cpu/cpu_backend.h"
#include "layermix.h"
#include "timing.h"

using namespace lmx;

// Seconds of forward and both backward products of one linear layer.
static double linear_seconds(Backend& backend, const LinearShape& s, double budget, int threads) {
  std::vector<float> x(s.rows * s.in, 0.5f), w(s.out * s.in, 0.5f), y(s.rows * s.out, 0.5f);
  return bench::fastest({[&] {
                          backend.linear_forward(s, x.data(), w.data(), nullptr, y.data());
                          backend.linear_backward_input(s, y.data(), w.data(), x.data());
                          backend.linear_backward_weight(s, x.data(), y.data(), w.data());
                        }},
                        budget, threads)[0];
}

int main(int argc, char** argv) {
  const auto argument = [&](int i, int otherwise) { return argc > i ? std::atoi(argv[i]) : otherwise; };
  const int threads = argument(1, 2);
  const index_t hidden = argument(2, 256), batch = argument(3, 8), sequence = argument(4, 512), vocab = 256;
  const double budget = argument(5, 5);
  const index_t heads = 2 * hidden / 64, state = 64, rows = batch * sequence;

  lmx_layer_config mamba{}, attention{}, mlp{};
  mamba.kind = LMX_LAYER_MAMBA2;
  mamba.heads = heads;
  mamba.head_dim = 64;
  mamba.groups = 1;
  mamba.state = state;
  mamba.conv = 4;
  mamba.chunk = 64;
  attention.kind = LMX_LAYER_ATTENTION;
  attention.heads = hidden / 32;
  attention.kv_heads = hidden / 64;
  attention.head_dim = 32;
  mlp.kind = LMX_LAYER_MLP;
  mlp.width = 4 * hidden;
  mlp.activation = LMX_GELU_TANH;
  std::vector<lmx_layer_config> layers;
  for (const char kind : std::string("M-M-M-M*-M-M--")) {
    layers.push_back(kind == 'M' ? mamba : kind == '*' ? attention : mlp);
  }
  lmx_trainer_config config{};
  config.model = {hidden, vocab, 0, 1e-5, int64_t(layers.size()), layers.data()};
  config.optimizer = {1e-3, 0.9, 0.95, 1e-8, 0.1, 1.0, LMX_COSINE, 1000000, 10, 0, 1e-4};
  config.batch = config.micro_batch = batch;
  config.sequence = sequence;
  config.precision = LMX_FP32;
  config.device = "cpu";
  config.threads = threads;
  config.seed = 1;
  config.init_std = 0.02;
  lmx_trainer* trainer = nullptr;
  if (lmx_trainer_create(&config, &trainer) != LMX_OK) {
    std::fprintf(stderr, "%s\n", lmx_last_error());
    return 1;
  }
  std::vector<int32_t> tokens(rows), targets(rows);
  for (index_t i = 0; i < rows; ++i) {
    tokens[i] = int32_t(random_uniform(1, 1, i) * double(vocab));
    targets[i] = int32_t(random_uniform(1, 2, i) * double(vocab));
  }
  lmx_step_result result{};
  const double step = bench::fastest(
      {[&] { lmx_trainer_train(trainer, 1, tokens.data(), targets.data(), &result); }}, budget, threads)[0];
  lmx_trainer_destroy(trainer);

  const auto backend = make_cpu_backend(DType::f32, threads);
  const index_t inner = 2 * hidden, query = attention.heads * attention.head_dim;
  const std::map<const char*, std::pair<int, LinearShape>> products = {
      {"in_proj", {6, {rows, hidden, 2 * inner + 2 * state + heads}}},
      {"out_proj", {6, {rows, inner, hidden}}},
      {"qkv", {1, {rows, hidden, query + 2 * attention.kv_heads * attention.head_dim}}},
      {"o_proj", {1, {rows, query, hidden}}},
      {"up", {7, {rows, hidden, mlp.width}}},
      {"down", {7, {rows, mlp.width, hidden}}},
      {"lm_head", {1, {rows, hidden, vocab}}},
  };
  double gemm = 0, flops = 0;
  for (const auto& [name, product] : products) {
    const auto& [count, shape] = product;
    gemm += count * linear_seconds(*backend, shape, budget / 10, threads);
    flops += 6.0 * count * double(shape.rows) * double(shape.in) * double(shape.out);
  }
  std::printf("%s, %d threads, hidden %d, %d x %d tokens, loss %.4f\n", lmx_build_info(), threads,
              int(hidden), int(batch), int(sequence), result.loss);
  std::printf(
      "step %.1f ms, %.0f tokens/s; matrix products alone %.1f ms (%.1f GFLOP/s) = %.0f%% of the step\n",
      step * 1e3, double(rows) / step, gemm * 1e3, flops / gemm * 1e-9, 100 * gemm / step);
  return 0;
}
