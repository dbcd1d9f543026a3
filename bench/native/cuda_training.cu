// Whole training steps of the proxies in bench/RESULTS.md: forward, backward, clip, AdamW over fp32 master weights, driven through the C
// ABI as a sweep drives it - tokens from the host every step, the loss read back every step. Wall time, median of steps.
//   bench_cuda_training [name ...]              reference long mid large tiny tinier
//   bench_cuda_training --profile name          three steps, the last between cudaProfilerStart and Stop: for a profiler
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "cuda/cuda_backend.h"
#include "model_support.h"

// Of cuda_profiler_api.h, which minimal toolkits leave out.
extern "C" cudaError_t cudaProfilerStart(void);
extern "C" cudaError_t cudaProfilerStop(void);

namespace {

using namespace lmx::test;

// Floors in milliseconds: the roofline model (copy 4.3 TB/s, bf16 790 TFLOP/s).
struct Proxy {
  const char* name;
  const char* pattern;
  int64_t hidden, ssm_head_dim, state, heads, vocab, batch, sequence;
  double floor_ms, best_other_ms;
};

constexpr const char* reference_pattern = "M-M-M-M*-M-M-M-M*-M-M-M-";
const Proxy proxies[] = {
    {"reference", reference_pattern, 768, 64, 128, 12, 50304, 16, 4096, 92.6, 179.7},
    {"long", reference_pattern, 768, 64, 128, 12, 50304, 4, 16384, 103.6, 199.6},
    {"mid", reference_pattern, 512, 64, 128, 4, 8192, 64, 1024, 36.8, 96.2},
    {"large", "M-M-M-M*-M-M-M-M*-M-M-M-M-M-M-M*-M-M-M-M*-M-M-M-", 1024, 64, 128, 8, 50304, 8, 4096, 130.8, 232.1},
    {"tiny", "M-M-M*-M-M-M", 256, 64, 64, 4, 256, 32, 512, 1.48, 7.34},
    {"tinier", "M-M-M*-M-M-M", 128, 64, 64, 4, 64, 32, 256, 0.37, 3.97},
};

Config config_of(const Proxy& proxy) {
  Config config;
  config.layers.clear();
  for (const char* symbol = proxy.pattern; *symbol != 0; ++symbol) {
    if (*symbol == 'M') {
      config.layers.push_back(mamba2(2 * proxy.hidden / proxy.ssm_head_dim, proxy.ssm_head_dim, 1, proxy.state, 128));
    }
    if (*symbol == '*') config.layers.push_back(attention(proxy.heads, proxy.heads, proxy.hidden / proxy.heads, 0));
    if (*symbol == '-') config.layers.push_back(mlp(4 * proxy.hidden, LMX_RELU2, false));
  }
  config.value.model.hidden = proxy.hidden;
  config.value.model.vocab = proxy.vocab;
  config.value.model.tie_embeddings = 1;
  config.value.optimizer = {1e-3, 0.9, 0.95, 1e-8, 0.1, 1.0, LMX_COSINE, 10000, 100, 0, 1e-4};
  config.value.batch = config.value.micro_batch = proxy.batch;
  config.value.sequence = proxy.sequence;
  config.value.precision = LMX_BF16;
  config.value.device = "cuda:0";
  config.value.init_std = 0.02;
  return config;
}

void measure(const Proxy& proxy) {
  Config config = config_of(proxy);
  const auto now = [] { return std::chrono::steady_clock::now(); };
  const auto seconds = [](auto from, auto to) { return std::chrono::duration<double>(to - from).count(); };
  const auto created = now();
  TestTrainer trainer(config);
  lmx_memory memory{};
  OK(lmx_trainer_memory(trainer.get(), &memory));
  const Batch batch(proxy.batch, proxy.sequence, proxy.vocab, 5);
  const auto started = now();
  const double floor_ms = proxy.floor_ms;
  std::vector<double> times;
  lmx_step_result result{};
  const int steps = floor_ms > 20 ? 12 : 100;
  double first_loss = 0;
  for (int i = 0; i < steps + 3; ++i) {  // the first chooses algorithms, the second is captured
    const auto begin = now();
    OK(lmx_trainer_step(trainer.get(), batch.tokens.data(), batch.targets.data(), &result));
    if (i >= 3) times.push_back(1e3 * seconds(begin, now()));
    if (i == 0) {
      first_loss = result.loss;
      std::printf("    created in %.1f s, first step %.1f s\n", seconds(created, started), seconds(begin, now()));
    }
  }
  std::sort(times.begin(), times.end());
  const double ms = times[times.size() / 2];
  std::printf("%-10s %8.2f ms (%.2f to %.2f) %8.1f K tokens/s  %5.1f%% of the floor %6.2f ms  %5.2fx of %6.2f ms  %6.2f GiB  "
              "loss %.3f -> %.3f\n",
              proxy.name, ms, times.front(), times.back(), static_cast<double>(proxy.batch * proxy.sequence) / ms,
              100 * floor_ms / ms, floor_ms, proxy.best_other_ms / ms, proxy.best_other_ms,
              static_cast<double>(memory.total) / (1 << 30), first_loss, result.loss);
  std::fflush(stdout);
}

void profile(const Proxy& proxy) {
  Config config = config_of(proxy);
  TestTrainer trainer(config);
  const Batch batch(proxy.batch, proxy.sequence, proxy.vocab, 5);
  for (int i = 0; i < 3; ++i) {
    if (i == 2) cudaProfilerStart();
    lmx_step_result result{};
    OK(lmx_trainer_step(trainer.get(), batch.tokens.data(), batch.targets.data(), &result));
  }
  cudaProfilerStop();
}

}  // namespace

int main(int argc, char** argv) {
  std::string reason;
  if (lmx::cuda_device_count(&reason) == 0) {
    std::printf("skipped: no CUDA device (%s)\n", reason.c_str());
    return 77;
  }
  std::printf("%s\n", lmx::cuda_device_description(0).c_str());
  const bool profiled = argc > 2 && std::strcmp(argv[1], "--profile") == 0;
  for (const Proxy& proxy : proxies) {
    const bool wanted = argc < 2 || std::any_of(argv + 1, argv + argc, [&](const char* name) {
                          return std::strcmp(name, proxy.name) == 0;
                        });
    if (wanted) profiled ? profile(proxy) : measure(proxy);
  }
  return 0;
}
