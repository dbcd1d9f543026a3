// What the card's power allows: watts and joules of work held up for seconds - multiprocessors that only spin, a copy, a square product of
// random operands, the training steps of bench/RESULTS.md - by NVML's energy counter. From joules per FLOP and per byte follows how long a step must
// take at the card's power limit, however well its kernels use their time.
//   bench_cuda_energy [seconds of each [name ...]]      4 reference long
#include <cuda_runtime.h>
#include <dlfcn.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "cuda/check.h"
#include "cuda/cuda_backend.h"
#include "cuda/fill_normal.cuh"
#include "cuda/full_copy.cuh"
#include "cuda/gemm.h"
#include "cuda/launch.h"
#include "cuda/tuning.h"
#include "needs_device.h"
#include "proxies.h"

namespace {

using namespace lmx;
using Clock = std::chrono::steady_clock;

// What device 0 has drawn so far. Throws std::runtime_error where NVML or its counter is not there.
class EnergyCounter {
 public:
  EnergyCounter() {
    void* const library = dlopen("libnvidia-ml.so.1", RTLD_NOW);
    if (library == nullptr) throw std::runtime_error("libnvidia-ml.so.1 was not found");
    const auto init = reinterpret_cast<int (*)()>(dlsym(library, "nvmlInit_v2"));
    const auto open = reinterpret_cast<int (*)(const char*, void**)>(dlsym(library, "nvmlDeviceGetHandleByPciBusId_v2"));
    read_ = reinterpret_cast<int (*)(void*, unsigned long long*)>(dlsym(library, "nvmlDeviceGetTotalEnergyConsumption"));
    char bus[32];
    cuda::check(cudaDeviceGetPCIBusId(bus, sizeof bus, 0), "cudaDeviceGetPCIBusId");
    if (init == nullptr || open == nullptr || read_ == nullptr || init() != 0 || open(bus, &device_) != 0) {
      throw std::runtime_error("NVML does not know the device");
    }
  }
  // It moves in ticks of some 100 ms.
  double joules() const {
    unsigned long long millijoules = 0;
    if (read_(device_, &millijoules) != 0) throw std::runtime_error("the device has no energy counter");
    return static_cast<double>(millijoules) * 1e-3;
  }

 private:
  int (*read_)(void*, unsigned long long*) = nullptr;
  void* device_ = nullptr;
};

struct Held {
  double milliseconds, joules;  // of one call
  double watts() const { return joules / milliseconds * 1e3; }
};

// Calls `work` - `count` calls of what is measured, of which it waits for all but some milliseconds - for a second and then from one tick of the
// counter to another, `seconds` later.
Held hold(const EnergyCounter& counter, double seconds, std::size_t count, const std::function<void()>& work) {
  constexpr double warm = 1;
  const auto begin = Clock::now();
  const auto elapsed = [&] { return std::chrono::duration<double>(Clock::now() - begin).count(); };
  double last = counter.joules(), from = 0, from_joules = 0;
  for (long calls = 0;; ++calls) {
    work();
    const double joules = counter.joules(), at = elapsed();
    if (joules == last) continue;
    last = joules;
    if (from == 0) {
      if (at < warm) continue;
      from = at;
      from_joules = joules;
      calls = -1;
    } else if (at > from + seconds) {
      const double measured = static_cast<double>(calls + 1) * static_cast<double>(count);
      return {(at - from) / measured * 1e3, (joules - from_joules) / measured};
    }
  }
}

// Enqueues ten milliseconds of `launch` at a time and waits for the batch before.
class Queued {
 public:
  Queued(cudaStream_t stream, std::function<void()> launch) : stream_(stream), launch_(std::move(launch)) {
    launch_();  // chooses, where there is something to choose
    launches_ = std::max<std::size_t>(1, static_cast<std::size_t>(10e-3 / cuda::seconds_of(launch_, stream)));
    for (cudaEvent_t& mark : marks_) cuda::check(cudaEventCreateWithFlags(&mark, cudaEventDisableTiming), "cudaEventCreate");
  }
  ~Queued() {
    cudaStreamSynchronize(stream_);
    for (cudaEvent_t mark : marks_) cudaEventDestroy(mark);
  }
  Queued(const Queued&) = delete;
  Queued& operator=(const Queued&) = delete;

  std::size_t launches() const { return launches_; }  // of one batch
  void operator()() {
    for (std::size_t i = 0; i < launches_; ++i) launch_();
    cuda::check(cudaEventRecord(marks_[batch_ % 2], stream_), "cudaEventRecord");
    if (++batch_ > 1) cuda::check(cudaEventSynchronize(marks_[batch_ % 2]), "cudaEventSynchronize");
  }

 private:
  cudaStream_t stream_;
  std::function<void()> launch_;
  std::size_t launches_ = 0, batch_ = 0;
  cudaEvent_t marks_[2] = {};
};

__global__ void spin(long long cycles) {
  for (const long long start = clock64(); clock64() - start < cycles;) {
  }
}

void report(const char* name, const Held& held, const std::string& more) {
  std::printf("%-44s %9.3f ms %6.1f W %8.4f J%s\n", name, held.milliseconds, held.watts(), held.joules, more.c_str());
  std::fflush(stdout);
}

std::string text(const char* format, double first, double second) {
  char buffer[96];
  std::snprintf(buffer, sizeof buffer, format, first, second);
  return buffer;
}

// Joules per FLOP and per byte.
void measure_kernels(const EnergyCounter& counter, double seconds) {
  constexpr index_t size = 8192, elements = index_t{512} << 20;
  cudaStream_t stream = nullptr;
  cuda::check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreate");
  const cuda::Scratch a(elements * 2), b(elements * 2), workspace(cuda::Gemm::workspace_bytes);
  for (const cuda::Scratch* scratch : {&a, &b, &workspace}) {
    if (scratch->get() == nullptr) throw std::runtime_error("not enough memory on the device");
  }
  auto* const left = static_cast<cuda::bf16*>(a.get());
  auto* const right = static_cast<cuda::bf16*>(b.get());
  auto* const product = left + size * size;
  const auto per_launch = [&](const std::function<void()>& launch) {
    Queued work(stream, launch);
    return hold(counter, seconds, work.launches(), std::ref(work));
  };

  report("multiprocessors that spin", per_launch([&] { spin<<<cuda::kMultiprocessors * 8, 256, 0, stream>>>(2'000'000); }), "");
  // Normal, as weights and activations are: how many bits of the operands change from one to the next is part of what a product draws.
  cuda::fill_normal(left, DType::bf16, elements, 1, 1, 0, stream);
  const double bytes = 4.0 * elements;
  const Held copied = per_launch([&] {
    cuda::full_copy(b.get(), a.get(), elements * 2, stream);
  });
  report("copy of 1 GiB", copied, text("  %.2f TB/s  %.0f pJ a byte", bytes / copied.milliseconds * 1e-9, copied.joules / bytes * 1e12));
  cuda::fill_normal(right, DType::bf16, size * size, 0.02, 2, 0, stream);
  cuda::Gemm gemm;
  gemm.bind_workspace(workspace.get(), cuda::Gemm::workspace_bytes);
  const double flops = 2.0 * size * size * size;
  for (const char* name : {"product 8192 x 8192 x 8192", "the same, one operand 0"}) {
    const Held held = per_launch([&] {
      gemm.run({true, false, size, size, size, left, size, right, size, nullptr, product, size, CUDA_R_16BF}, stream);
    });
    report(name, held, text("  %.0f TFLOP/s  %.3f pJ a FLOP", flops / held.milliseconds * 1e-9, held.joules / flops * 1e12));
    cuda::check(cudaMemsetAsync(left, 0, size * size * 2, stream), "cudaMemsetAsync");
  }
  cuda::check(cudaStreamDestroy(stream), "cudaStreamDestroy");
}

void measure_steps(const EnergyCounter& counter, double seconds, const test::Proxy& proxy) {
  test::Config config = test::config_of(proxy);
  test::TestTrainer trainer(config);
  const std::vector<test::Batch> batches(static_cast<std::size_t>(std::max(1.0, 40 / proxy.floor_ms)),
                                         test::Batch(proxy.batch, proxy.sequence, proxy.vocab, 5));
  const Held held = hold(counter, seconds, batches.size(), [&] { trainer.train(batches); });
  report((std::string("training step, ") + proxy.name).c_str(), held, "");
}

}  // namespace

int main(int argc, char** argv) {
  if (lmx::test::lacks_device()) return lmx::test::skipped;
  std::printf("%s\n", cuda_device_description(0).c_str());
  const double seconds = argc > 1 ? std::atof(argv[1]) : 4;
  std::vector<std::string> names(argv + std::min(argc, 2), argv + argc);
  if (names.empty()) names = {"reference", "long"};
  try {
    const EnergyCounter counter;
    measure_kernels(counter, seconds);
    for (const test::Proxy& proxy : test::proxies) {
      if (std::find(names.begin(), names.end(), proxy.name) != names.end()) measure_steps(counter, seconds, proxy);
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_cuda_energy: %s\n", error.what());
    return 1;
  }
  return 0;
}
