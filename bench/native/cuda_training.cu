// Whole training steps of the proxies in bench/RESULTS.md: forward, backward, clip, AdamW over fp32 master weights, driven through the C
// ABI as a sweep drives it - tokens from the host for every step, losses read back once per call of some 50 ms. Wall time per
// step, median of calls; beside it that of steps in calls of their own.
//   bench_cuda_training [name ...]              reference long mid large tiny tinier
//   bench_cuda_training --profile name          three steps, the last between cudaProfilerStart and Stop: for a profiler
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "cuda/cuda_backend.h"
#include "needs_device.h"
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
  double loss = 0;
  // Sorted milliseconds per step of `calls` calls.
  const auto timed = [&](int calls, int steps) {
    const std::vector<Batch> batches(static_cast<size_t>(steps), batch);
    std::vector<double> times;
    for (int i = 0; i < calls; ++i) {
      const auto begin = now();
      loss = trainer.train(batches).back().loss;
      times.push_back(1e3 * seconds(begin, now()) / steps);
    }
    std::sort(times.begin(), times.end());
    return times;
  };
  const std::vector<double> first = timed(1, 1);
  const double first_loss = loss;
  std::printf("    created in %.1f s, first step %.1f s\n", seconds(created, started), first[0] / 1e3);
  timed(2, 1);  // the second is recorded
  const bool large = floor_ms > 20;
  const std::vector<double> single = timed(large ? 6 : 50, 1), times = timed(large ? 12 : 20, large ? 1 : static_cast<int>(20 / floor_ms));
  const double ms = times[times.size() / 2];
  std::printf("%-10s %8.2f ms (%.2f to %.2f; alone %.2f) %8.1f K tokens/s  %5.1f%% of the floor %6.2f ms  %5.2fx of %6.2f ms  %6.2f GiB  "
              "loss %.3f -> %.3f\n",
              proxy.name, ms, times.front(), times.back(), single[single.size() / 2],
              static_cast<double>(proxy.batch * proxy.sequence) / ms, 100 * floor_ms / ms, floor_ms, proxy.best_other_ms / ms,
              proxy.best_other_ms, static_cast<double>(memory.total) / (1 << 30), first_loss, loss);
  std::fflush(stdout);
}

void profile(const Proxy& proxy) {
  Config config = config_of(proxy);
  TestTrainer trainer(config);
  const Batch batch(proxy.batch, proxy.sequence, proxy.vocab, 5);
  for (int i = 0; i < 3; ++i) {
    if (i == 2) cudaProfilerStart();
    trainer.step(batch);
  }
  cudaProfilerStop();
}

}  // namespace

int main(int argc, char** argv) {
  if (lmx::test::lacks_device()) return lmx::test::skipped;
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
