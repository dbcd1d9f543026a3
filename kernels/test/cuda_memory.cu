// What a GPU trainer really holds is what was planned without a GPU: within 2%, measured by the driver while it trains, in a process whose
// CUDA context and libraries are loaded already. Prints both. Exits 77 (skipped) without a device.
#include <cmath>
#include <string>

#include "model_support.h"
#include "needs_device.h"

namespace {

using namespace lmx::test;

std::size_t used_bytes() {
  std::size_t free = 0, total = 0;
  cudaMemGetInfo(&free, &total);
  return total - free;
}

Config hybrid(int64_t batch) {
  Config config;
  config.layers = {mamba2(16, 64, 1, 128, 128), mlp(2048, LMX_RELU2, false), attention(8, 8, 64, 64), mlp(2048, LMX_SILU, true),
                   mamba2(16, 64, 1, 64, 64)};
  config.value.model.hidden = 512;
  config.value.model.vocab = 8192;
  config.value.batch = config.value.micro_batch = batch;
  config.value.sequence = 1024;
  config.value.precision = LMX_BF16;
  config.value.device = "cuda:0";
  return config;
}

void train(TestTrainer& trainer) {
  for (int i = 0; i < 3; ++i) trainer.step();  // call by call, recorded, replayed
}

void holds_what_was_planned() {
  Config small = hybrid(1), large = hybrid(32);
  TestTrainer loaded(small);  // context, cuBLASLt, cuDNN and their kernels are in memory from here on
  train(loaded);
  lmx_memory planned{};
  OK(lmx_memory_plan(large.get(), &planned));
  const std::size_t before = used_bytes();
  TestTrainer trainer(large);
  const std::size_t created = used_bytes() - before;
  train(trainer);
  const std::size_t trained = used_bytes() - before;
  std::printf("planned %.1f MiB, held after creation %.1f, after three steps %.1f; context and libraries %.1f\n",
              static_cast<double>(planned.total) / (1 << 20), static_cast<double>(created) / (1 << 20),
              static_cast<double>(trained) / (1 << 20), static_cast<double>(before) / (1 << 20));
  for (const std::size_t held : {created, trained}) {
    const double off = static_cast<double>(held) / static_cast<double>(planned.total) - 1;
    CHECK(std::abs(off) < 0.02, "%zu bytes held, %lld planned", held, static_cast<long long>(planned.total));
  }
}

// More than the device has: an error with bytes asked and free, and the device is as before.
void refuses_what_does_not_fit() {
  std::size_t free = 0, total = 0;
  cudaMemGetInfo(&free, &total);
  Config huge = hybrid(1);
  huge.value.model.vocab = static_cast<int64_t>(total / 4 / 512);  // masters alone are as large as the device
  lmx_trainer* trainer = nullptr;
  const lmx_status status = lmx_trainer_create(huge.get(), &trainer);
  CHECK(status == LMX_OUT_OF_MEMORY, "status %d: %s", status, lmx_last_error());
  CHECK(std::string(lmx_last_error()).find("out of memory: asked for ") == 0, "%s", lmx_last_error());
  std::printf("%s\n", lmx_last_error());
  Config small = hybrid(1);
  TestTrainer after(small);
  train(after);
}

}  // namespace

int main() {
  if (lmx::test::lacks_device()) return lmx::test::skipped;
  holds_what_was_planned();
  refuses_what_does_not_fit();
  return TEST_RESULT();
}
