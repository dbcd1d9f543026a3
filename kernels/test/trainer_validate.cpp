// What the C ABI refuses, and in which words: every argument, one at a time. Nothing here may crash or throw.

#include <cmath>
#include <functional>

#include "model_support.h"

// An absurd request answers null under AddressSanitizer too.
extern "C" const char* __asan_default_options() { return "allocator_may_return_null=1"; }

namespace {

using namespace lmx::test;

struct Case {
  std::function<void(Config&)> change;
  const char* message;
};

void configurations() {
  constexpr size_t mamba = 0, gated_mlp = 1, rope_attention = 2;
  const Case cases[] = {
      {[](Config& c) { c.value.model.hidden = 0; }, "expected model.hidden from 1 to 2^31, got 0"},
      {[](Config& c) { c.value.model.vocab = -1; }, "expected model.vocab from 1 to 2^31, got -1"},
      {[](Config& c) { c.value.model.norm_eps = 0; }, "expected model.norm_eps finite and above 0, got 0"},
      {[](Config& c) { c.value.batch = 0; }, "expected batch from 1 to 2^31, got 0"},
      {[](Config& c) { c.value.sequence = int64_t{1} << 40; },
       "expected sequence from 1 to 2^31, got 1099511627776"},
      {[](Config& c) { c.value.micro_batch = 3; }, "expected micro_batch to divide batch, got 3 and 4"},
      {[](Config& c) { c.value.precision = 7; }, "expected precision from 0 to 2, got 7"},
      {[](Config& c) { c.value.device = nullptr; }, "expected device, got null"},
      {[](Config& c) { c.value.threads = -1; }, "expected threads from 0 to 4096, got -1"},
      {[](Config& c) { c.value.init_std = NAN; }, "expected init_std finite and not negative, got nan"},
      {[](Config& c) { c.layers[0].kind = 9; }, "expected model.layers[0].kind from 0 to 2, got 9"},
      {[](Config& c) { c.layers[mamba].heads = 0; }, "expected model.layers[0].heads from 1 to 2^31, got 0"},
      {[](Config& c) { c.layers[mamba].groups = 3; },
       "expected model.layers[0].groups to divide heads, got 3 and 4"},
      {[](Config& c) { c.layers[mamba].chunk = 0; }, "expected model.layers[0].chunk from 1 to 2^31, got 0"},
      {[](Config& c) { c.layers[mamba].dt_min = INFINITY; },
       "expected model.layers[0].dt_min finite and not negative, got inf"},
      {[](Config& c) { c.layers[gated_mlp].activation = 4; },
       "expected model.layers[1].activation from 0 to 3, got 4"},
      {[](Config& c) { c.layers[rope_attention].kv_heads = 3; },
       "expected model.layers[2].kv_heads to divide heads, got 3 and 4"},
      {[](Config& c) { c.layers[rope_attention].rotary_dim = 5; },
       "expected model.layers[2].rotary_dim even, from 0 to head_dim, got 5"},
      {[](Config& c) { c.layers[rope_attention].rope_theta = -1; },
       "expected model.layers[2].rope_theta finite and above 0, got -1"},
      {[](Config& c) { c.layers[mamba].heads = c.layers[mamba].groups = c.layers[mamba].head_dim = 1 << 30; },
       "the inner width would have more than 2^53 elements"},
      {[](Config& c) { c.value.model.hidden = c.value.sequence = int64_t{1} << 31; },
       "the residual stream would have more than 2^53 elements"},
      {[](Config& c) { c.value.optimizer.beta2 = 1; },
       "expected optimizer.beta2 at least 0 and below 1, got 1"},
      {[](Config& c) { c.value.optimizer.epsilon = 0; },
       "expected optimizer.epsilon finite and above 0, got 0"},
      {[](Config& c) { c.value.optimizer.learning_rate = INFINITY; },
       "expected optimizer.learning_rate finite and not negative, got inf"},
      {[](Config& c) { c.value.optimizer.warmup_steps = 41; },
       "expected optimizer.warmup_steps from 0 to total_steps, got 41"},
      {[](Config& c) { c.value.precision = LMX_BF16; },
       "expected precision fp32 or fp64 on device cpu, got bf16 (it can be planned, not run)"},
  };
  for (const Case& test : cases) {
    Config config;
    test.change(config);
    lmx_trainer* trainer = nullptr;
    const lmx_status status = lmx_trainer_create(config.get(), &trainer);
    CHECK(status == LMX_INVALID_ARGUMENT, "%s: status %d", test.message, status);
    CHECK(std::string(lmx_last_error()) == test.message, "got \"%s\", expected \"%s\"", lmx_last_error(),
          test.message);
    CHECK(trainer == nullptr, "%s: a trainer came out", test.message);
  }
}

void devices_and_memory() {
  Config config;
  lmx_trainer* trainer = nullptr;
  config.value.device = "cuda:99";
  config.value.precision = LMX_BF16;  // what a GPU trains in: a build with CUDA looks at that first
  CHECK(lmx_trainer_create(config.get(), &trainer) == LMX_NO_DEVICE, "%s", lmx_last_error());
  config.value.device = "cpu";
  config.value.precision = LMX_FP64;
  config.value.model.hidden = 1 << 20;
  config.value.model.vocab = 1 << 27;  // 2^47 parameters of 8 bytes
  CHECK(lmx_trainer_create(config.get(), &trainer) == LMX_OUT_OF_MEMORY, "%s", lmx_last_error());
  lmx_memory memory{};
  CHECK(lmx_memory_plan(config.get(), &memory) == LMX_OK && memory.weights > (int64_t{1} << 51), "%s",
        lmx_last_error());
}

void calls() {
  Config config;
  TestTrainer owner(config);
  lmx_trainer* const trainer = owner.get();
  Batch batch(config.value.batch, config.value.sequence, config.value.model.vocab, 1);
  const auto step = [&] {
    lmx_step_result result{};
    return lmx_trainer_train(trainer, 1, batch.tokens.data(), batch.targets.data(), &result);
  };
  const auto expect = [](lmx_status got, lmx_status status, const std::string& message) {
    CHECK(got == status && lmx_last_error() == message, "status %d, \"%s\", expected \"%s\"", got,
          lmx_last_error(), message.c_str());
  };
  const Batch good = batch;
  batch.tokens[5] = 19;
  expect(step(), LMX_INVALID_ARGUMENT, "expected tokens[5] from 0 to 18, got 19");
  batch.tokens[5] = -1;
  expect(step(), LMX_INVALID_ARGUMENT, "expected tokens[5] from 0 to 18, got -1");
  batch = good;
  batch.targets[43] = 19;
  expect(step(), LMX_INVALID_ARGUMENT, "expected targets[43] below 19, got 19");
  batch.targets.assign(batch.targets.size(), -1);
  expect(step(), LMX_INVALID_ARGUMENT, "expected at least one target >= 0 in the batch, got none");
  double loss = 0, value = 0;
  expect(lmx_trainer_probe(trainer, good.tokens.data(), good.targets.data(), nullptr, nullptr, &loss),
         LMX_INVALID_ARGUMENT, "expected micro_batch equal to batch to probe, got 2 and 4");
  expect(lmx_trainer_evaluate(trainer, -1, good.tokens.data(), good.targets.data(), nullptr, nullptr),
         LMX_INVALID_ARGUMENT, "expected count of at least 0, got -1");
  expect(lmx_trainer_train(trainer, 1, nullptr, nullptr, nullptr), LMX_INVALID_ARGUMENT,
         "expected an argument, got null");
  lmx_step_result result{};
  expect(lmx_trainer_train(trainer, 0, good.tokens.data(), good.targets.data(), &result), LMX_INVALID_ARGUMENT,
         "expected at least 1 step, got 0");
  expect(lmx_trainer_read(trainer, "w", LMX_VALUE, &value, 8), LMX_NOT_FOUND, "no tensor named w");
  expect(lmx_trainer_read(trainer, "lm_head.weight", 5, &value, 8), LMX_INVALID_ARGUMENT,
         "expected a tensor part from 0 to 3, got 5");
  expect(lmx_trainer_read(trainer, "lm_head.weight", LMX_VALUE, &value, 2), LMX_INVALID_ARGUMENT,
         "expected 4 or 8 bytes per element, got 2");
  expect(lmx_trainer_set_step_index(trainer, -3), LMX_INVALID_ARGUMENT,
         "expected a step of at least 0, got -3");
  lmx_tensor_info info{};
  expect(lmx_trainer_tensor_info(trainer, 1000, &info), LMX_NOT_FOUND,
         "no tensor 1000 of " + std::to_string(lmx_trainer_tensor_count(trainer)));
  CHECK(lmx_trainer_step_index(trainer) == 0, "a refused step was counted");
  batch = good;
  CHECK(step() == LMX_OK, "%s", lmx_last_error());
}

}  // namespace

int main() {
  configurations();
  devices_and_memory();
  calls();
  return TEST_RESULT();
}
