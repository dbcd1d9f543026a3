// Where every millisecond of a training step goes: the time of each operation on the device, beside the least it could take there, as a
// Markdown table. Operations are timed by marks in the queue (timed_backend.h), median over steps; the same step as one recording, without
// marks, is what bench_cuda_training times.
//   bench_trace NAME [DEVICE]     NAME: reference long mid large tiny tinier; DEVICE: cuda:0, cpu, or none for the floors alone
// Floors are those of an H200 (790 TFLOP/s, 4.3 TB/s) whatever the device.
#include <cstdio>
#include <cstring>
#include <map>
#include <string>

#include "proxies.h"
#include "timed_backend.h"
#include "train/device.h"
#include "train/trainer.h"

namespace {

using namespace lmx;
using bench::TimedCall;
using bench::TimedStep;

constexpr bench::Ceilings ceilings{790e12, 4.3e12};

struct Row {
  int calls = 0;
  double seconds = 0, floor = 0;
  void add(const TimedCall& call) {
    ++calls;
    seconds += call.seconds;
    floor += call.floor(ceilings);
  }
};

// Every call at its median over the steps, which all make the same calls.
TimedStep median_of(const std::vector<TimedStep>& steps) {
  const auto middle = [&](auto value) {
    std::vector<double> all;
    for (const TimedStep& step : steps) all.push_back(value(step));
    std::sort(all.begin(), all.end());
    return all[all.size() / 2];
  };
  TimedStep median = steps[0];
  median.seconds = middle([](const TimedStep& step) { return step.seconds; });
  for (std::size_t i = 0; i < median.calls.size(); ++i) {
    median.calls[i].seconds = middle([&](const TimedStep& step) { return step.calls[i].seconds; });
  }
  return median;
}

void print(const char* name, const Row& row, bool timed) {
  std::printf("| %-34s | %5d |", name, row.calls);
  if (timed) std::printf(" %8.3f | %8.3f | %4.0f%% |\n", 1e3 * row.seconds, 1e3 * row.floor, 100 * row.floor / row.seconds);
  if (!timed) std::printf("        - | %8.3f |     - |\n", 1e3 * row.floor);
}

void print(const TimedStep& step, bool timed) {
  std::map<std::string, Row> groups, operations;
  std::map<std::string, std::string> group_of;
  Row all;
  for (const TimedCall& call : step.calls) {
    groups[call.group].add(call);
    operations[call.name].add(call);
    group_of[call.name] = call.group;
    all.add(call);
  }
  std::vector<std::pair<std::string, Row>> order(groups.begin(), groups.end());
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    return std::pair(-a.second.seconds, -a.second.floor) < std::pair(-b.second.seconds, -b.second.floor);
  });
  std::printf("| what                               | calls |       ms | floor ms | floor |\n| --- | --- | --- | --- | --- |\n");
  for (const auto& [group, row] : order) {
    print(("**" + group + "**").c_str(), row, timed);
    for (const auto& [name, part] : operations) {
      if (group_of[name] == group) print(name.c_str(), part, timed);
    }
  }
  if (timed) {
    const double gaps = step.seconds - all.seconds;
    std::printf("| %-34s | %5s | %8.3f |          |       |\n", "**between them, marks included**", "", 1e3 * gaps);
    all.seconds = step.seconds;
  }
  print("**step**", all, timed);
}

}  // namespace

int main(int count, char** arguments) {
  const char* const name = count > 1 ? arguments[1] : "reference";
  const std::string device = count > 2 ? arguments[2] : "cuda:0";
  for (const test::Proxy& proxy : test::proxies) {
    if (std::strcmp(proxy.name, name) != 0) continue;
    test::Config config = test::config_of(proxy);
    const bool timed = device != "none";
    if (device == "cpu") config.value.precision = LMX_FP32;
    config.value.device = device.c_str();
    config.value.threads = 0;
    const Precision precision = device == "cpu" ? Precision{DType::f32, DType::f32, DType::f32} : bf16_precision();
    bench::TimedBackend* watched = nullptr;
    try {
      Trainer trainer(*config.get(), [&] {
        auto backend = std::make_unique<bench::TimedBackend>(timed ? open_training_device(device, precision, 0) : nullptr, precision,
                                                             training_planner(precision));
        watched = backend.get();
        return backend;
      });
      const test::Batch batch(proxy.batch, proxy.sequence, proxy.vocab, 5);
      std::vector<TimedStep> steps;
      const int warm = timed ? 2 : 0, measured = !timed ? 1 : device == "cpu" ? 3 : 7;
      for (int i = 0; i < warm + measured; ++i) {
        lmx_step_result result{};
        trainer.train(1, batch.tokens.data(), batch.targets.data(), &result);
        if (i >= warm) steps.push_back(watched->step());
      }
      std::printf("%s on %s\n\n", name, timed ? (device == "cpu" ? "the CPU" : describe_cuda(0).c_str()) : "no device");
      print(median_of(steps), timed);
    } catch (const std::exception& error) {
      std::fprintf(stderr, "bench_trace: %s\n", error.what());
      return 1;
    }
    return 0;
  }
  std::fprintf(stderr, "bench_trace: Expected reference, long, mid, large, tiny or tinier, got %s\n", name);
  return 2;
}
