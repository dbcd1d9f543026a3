// Several proxies on one GPU at once: T trainers in one process, each with its own thread, stream and step graph, or P processes with
// one trainer each. Tokens per second of all together against one alone, the bits of every trainer against those it has alone, and
// what the GPU really held against the plan.
//   bench_cuda_packing [name ...]        tinier tiny small mid
// Every arrangement runs in processes of its own; this one never touches the GPU, so that it may fork.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "cuda/cuda_backend.h"
#include "model_support.h"
#include "proxies.h"

namespace {

using namespace lmx::test;

struct Packed : Proxy {
  int steps;
};

const Packed packed[] = {
    {{"tinier", "M-M-M*-M-M-M", 128, 64, 64, 4, 64, 32, 256, 0, 0}, 400},
    {{"tiny", "M-M-M*-M-M-M", 256, 64, 64, 4, 256, 32, 512, 0, 0}, 300},
    {{"small", reference_pattern, 512, 64, 128, 8, 256, 16, 1024, 0, 0}, 100},
    {{"mid", reference_pattern, 512, 64, 128, 4, 8192, 64, 1024, 0, 0}, 20},
};

Config seeded(const Packed& proxy, uint64_t seed) {
  Config config = config_of(proxy);
  config.value.seed = seed;
  config.value.threads = 1;
  return config;
}

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::size_t used_bytes() {
  std::size_t free = 0, total = 0;
  cudaMemGetInfo(&free, &total);
  return total - free;
}

constexpr int kWarmSteps = 3;  // the first chooses algorithms, the second is captured
constexpr int kStepsPerCall = 10;
constexpr int kMostTrainers = 16;

// What a child process tells its parent.
struct Report {
  int trainers;
  double first_step_seconds, begin, end;
  double losses[kMostTrainers];  // of the last step
  int64_t planned;
  std::size_t context, created, peak, settled;
};

// `count` trainers, seeds from `first_seed` on. Writes the report when warm, waits for a byte, trains, and writes it again.
[[noreturn]] void child(const Packed& proxy, int count, uint64_t first_seed, int to_parent, int from_parent) {
  Report report{};
  report.trainers = count;
  cudaFree(nullptr);
  report.context = used_bytes();
  std::atomic<bool> watching{true};
  std::atomic<std::size_t> peak{0};
  std::thread watch([&] {  // where one trainer is alone, what the whole device holds is its own
    while (watching) {
      const std::size_t used = used_bytes();
      if (used > peak) peak = used;
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
  });
  std::vector<Config> configs;
  for (int i = 0; i < count; ++i) configs.push_back(seeded(proxy, first_seed + static_cast<uint64_t>(i)));
  std::vector<std::unique_ptr<TestTrainer>> trainers;
  for (Config& config : configs) trainers.push_back(std::make_unique<TestTrainer>(config));
  report.created = used_bytes();
  lmx_memory memory{};
  OK(lmx_trainer_memory(trainers[0]->get(), &memory));
  report.planned = memory.total;
  std::vector<Batch> batches;
  for (uint64_t i = 0; i < 8; ++i) batches.emplace_back(proxy.batch, proxy.sequence, proxy.vocab, 100 + i);
  // Steps from number `first` on, in one call.
  const auto train = [&](int trainer, int first, int steps) {
    std::vector<Batch> given;
    for (int number = first; number < first + steps; ++number) given.push_back(batches[static_cast<size_t>(number % 8)]);
    report.losses[trainer] = trainers[static_cast<size_t>(trainer)]->train(given).back().loss;
  };
  const double first = seconds_now();
  for (int i = 0; i < count; ++i) train(i, 0, 1);
  report.first_step_seconds = seconds_now() - first;
  for (int i = 0; i < count; ++i) {
    for (int number = 1; number < kWarmSteps; ++number) train(i, number, 1);
  }
  watching = false;
  watch.join();
  report.peak = peak;
  report.settled = used_bytes();
  if (write(to_parent, &report, sizeof report) != sizeof report) std::exit(1);
  char go = 0;
  if (read(from_parent, &go, 1) != 1) std::exit(1);
  report.begin = seconds_now();
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) {
    threads.emplace_back([&, i] {
      for (int number = 0; number < proxy.steps; number += kStepsPerCall) train(i, kWarmSteps + number, kStepsPerCall);
    });
  }
  for (std::thread& thread : threads) thread.join();
  report.end = seconds_now();
  if (write(to_parent, &report, sizeof report) != sizeof report) std::exit(1);
  trainers.clear();
  std::exit(0);
}

struct Arrangement {
  double tokens_per_second = 0;
  std::vector<double> losses;
  Report first{};
};

Arrangement run(const Packed& proxy, int processes, int trainers) {
  struct Child {
    pid_t pid;
    int from, to;
  };
  std::vector<Child> children;
  for (int i = 0; i < processes; ++i) {
    int up[2], down[2];
    if (pipe(up) != 0 || pipe(down) != 0) std::exit(1);
    std::fflush(stdout);
    const pid_t pid = fork();
    if (pid == 0) {
      close(up[0]);
      close(down[1]);
      child(proxy, trainers, static_cast<uint64_t>(i * trainers), up[1], down[0]);
    }
    close(up[1]);
    close(down[0]);
    children.push_back({pid, up[0], down[1]});
  }
  Arrangement result;
  const auto receive = [](Child& c) {
    Report report{};
    if (read(c.from, &report, sizeof report) != sizeof report) std::exit(1);
    return report;
  };
  for (Child& c : children) result.first = receive(c);
  for (Child& c : children) {
    if (write(c.to, "g", 1) != 1) std::exit(1);
  }
  double begin = 1e300, end = 0;
  for (Child& c : children) {
    const Report report = receive(c);
    begin = std::min(begin, report.begin);
    end = std::max(end, report.end);
    result.losses.insert(result.losses.end(), report.losses, report.losses + report.trainers);
    close(c.from);
    close(c.to);
    waitpid(c.pid, nullptr, 0);
  }
  result.tokens_per_second =
      static_cast<double>(proxy.batch * proxy.sequence) * proxy.steps * processes * trainers / (end - begin);
  return result;
}

void measure(const Packed& proxy) {
  const auto mib = [](std::size_t bytes) { return static_cast<double>(bytes) / (1 << 20); };
  std::vector<double> alone;
  double one = 0;
  const auto print = [&](const char* what, int count, const Arrangement& a) {
    bool same = true;
    for (size_t i = 0; i < a.losses.size() && i < alone.size(); ++i) same = same && a.losses[i] == alone[i];
    std::printf("%-7s %2d %-10s %8.0f K tokens/s  %5.2fx  first steps %5.1f s  %s\n", proxy.name, count, what,
                a.tokens_per_second / 1e3, a.tokens_per_second / one, a.first.first_step_seconds,
                same ? "same bits" : "OTHER BITS");
    std::fflush(stdout);
  };
  {
    const Arrangement a = run(proxy, 1, 1);
    const Report& r = a.first;
    one = a.tokens_per_second;
    alone = a.losses;
    std::printf("%-7s memory MiB: planned %.1f, context %.1f, trainer %.1f, settled %.1f, highest %.1f\n", proxy.name,
                mib(static_cast<std::size_t>(r.planned)), mib(r.context), mib(r.created - r.context),
                mib(r.settled - r.context), mib(r.peak - r.context));
    print("alone", 1, a);
  }
  for (int i = 1; i < 4; ++i) {  // the bits of each seed, alone: one trainer per process, one process at a time
    Packed other = proxy;
    int up[2], down[2];
    if (pipe(up) != 0 || pipe(down) != 0) std::exit(1);
    const pid_t pid = fork();
    if (pid == 0) child(other, 1, static_cast<uint64_t>(i), up[1], down[0]);
    close(up[1]);
    close(down[0]);
    Report report{};
    if (read(up[0], &report, sizeof report) != sizeof report || write(down[1], "g", 1) != 1 ||
        read(up[0], &report, sizeof report) != sizeof report) {
      std::exit(1);
    }
    alone.push_back(report.losses[0]);
    waitpid(pid, nullptr, 0);
  }
  for (const int count : {2, 4, 8}) print("threads", count, run(proxy, 1, count));
  for (const int count : {2, 4, 8}) print("processes", count, run(proxy, count, 1));
}

}  // namespace

int main(int argc, char** argv) {
  for (const Packed& proxy : packed) {
    const bool wanted = argc < 2 || std::any_of(argv + 1, argv + argc, [&](const char* name) {
                          return std::strcmp(name, proxy.name) == 0;
                        });
    if (wanted) measure(proxy);
  }
  return 0;
}
