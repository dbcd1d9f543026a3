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
#include "proxies.h"

// Of cuda_profiler_api.h, which minimal toolkits leave out.
extern "C" cudaError_t cudaProfilerStart(void);
extern "C" cudaError_t cudaProfilerStop(void);

namespace {

using namespace lmx::test;

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
