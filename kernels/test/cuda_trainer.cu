// Training on a GPU: follows the CPU's loss curve, gives the same bits every time - replayed as a graph or launched call by call,
// resumed in the middle, with evaluation in between, beside other trainers that begin - and has gradients that agree with the CPU's.
// Exits 77 (skipped) without a device.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <thread>

#include "model_support.h"
#include "needs_device.h"
#include "operation.h"

namespace {

using namespace lmx::test;

Config hybrid(const char* device) {
  Config config;
  config.layers = {mamba2(4, 32, 1, 16, 64), mlp(256, LMX_RELU2, false), attention(2, 1, 32, 32),
                   mlp(96, LMX_SILU, true),  mamba2(2, 64, 2, 32, 64),   mlp(128, LMX_GELU_TANH, false)};
  config.value.model.hidden = 64;
  config.value.model.vocab = 61;
  config.value.optimizer = {3e-3, 0.9, 0.95, 1e-8, 0.1, 1.0, LMX_COSINE, 200, 20, 0, 1e-4};
  config.value.batch = 8;
  config.value.micro_batch = 4;
  config.value.sequence = 90;
  config.value.precision = std::string(device) == "cpu" ? LMX_FP32 : LMX_BF16;
  config.value.device = device;
  config.value.threads = 0;
  config.value.init_std = 0.05;
  return config;
}

// Something to learn: each token is followed by a fixed other one nine times out of ten.
Batch chain(const lmx_trainer_config& config, uint64_t seed) {
  Batch batch(config.batch, config.sequence, config.model.vocab, seed);
  const auto vocab = static_cast<int32_t>(config.model.vocab);
  for (size_t i = 1; i < batch.tokens.size(); ++i) {
    if (lmx::random_uniform(seed, 5, i) < 0.9) batch.tokens[i] = (batch.tokens[i - 1] * 17 + 5) % vocab;
  }
  for (size_t i = 0; i < batch.tokens.size(); ++i) {
    batch.targets[i] = i % 7 == 3 ? -1 : batch.tokens[(i + 1) % batch.tokens.size()];
  }
  return batch;
}

struct Curve {
  std::vector<double> losses, norms, state;
};

double step(TestTrainer& trainer, const lmx_trainer_config& config, Curve& curve) {
  const Batch batch = chain(config, 1000 + static_cast<uint64_t>(lmx_trainer_step_index(trainer.get())));
  const lmx_step_result result = trainer.step(batch);
  curve.losses.push_back(result.loss);
  curve.norms.push_back(result.grad_norm);
  return result.loss;
}

Curve train(Config config, int steps) {
  TestTrainer trainer(config);
  Curve curve;
  for (int i = 0; i < steps; ++i) step(trainer, config.value, curve);
  curve.state = trainer.state();
  return curve;
}

void follows_the_cpu() {
  const Curve cpu = train(hybrid("cpu"), 200), gpu = train(hybrid("cuda:0"), 200);
  double worst = 0;
  for (size_t i = 0; i < cpu.losses.size(); ++i) {
    worst = std::max(worst, std::abs(gpu.losses[i] - cpu.losses[i]) / cpu.losses[i]);
  }
  std::printf("loss %.4f -> %.4f on the CPU, %.4f -> %.4f on the GPU; largest relative difference %.4f\n",
              cpu.losses.front(), cpu.losses.back(), gpu.losses.front(), gpu.losses.back(), worst);
  CHECK(cpu.losses.back() < 0.5 * cpu.losses.front(), "nothing was learnt: %g", cpu.losses.back());
  CHECK(worst < 0.05, "the curves differ by %g", worst);
}

void same_bits() {
  const Curve once = train(hybrid("cuda:0"), 12), again = train(hybrid("cuda:0"), 12);
  CHECK(once.losses == again.losses && once.norms == again.norms && once.state == again.state, "two runs differ");
  setenv("LAYERMIX_CUDA_GRAPH", "0", 1);
  const Curve launched = train(hybrid("cuda:0"), 12);
  unsetenv("LAYERMIX_CUDA_GRAPH");
  CHECK(once.losses == launched.losses && once.state == launched.state, "a replayed graph differs from launches");
}

// Steps queued behind one another, the first of them the one that chooses algorithms and the second the one that is recorded; and more
// than the ring of losses has room for.
void queued_steps_are_single_steps() {
  for (const int steps : {12, 150}) {
    const Config config = hybrid("cuda:0");
    const Curve alone = train(config, steps);
    Config same = config;
    TestTrainer trainer(same);
    std::vector<Batch> batches;
    for (int i = 0; i < steps; ++i) batches.push_back(chain(config.value, 1000 + static_cast<uint64_t>(i)));
    const std::vector<lmx_step_result> results = trainer.train(batches);
    for (size_t i = 0; i < results.size(); ++i) {
      CHECK(results[i].loss == alone.losses[i] && results[i].grad_norm == alone.norms[i], "step %zu of %d queued: loss %.17g, alone %.17g",
            i, steps, results[i].loss, alone.losses[i]);
    }
    CHECK(trainer.state() == alone.state, "%d queued steps left other weights", steps);
    CHECK(results.back().device_seconds > 0, "the device's clock stood still");
  }
}

void resumes_and_evaluates() {
  Config config = hybrid("cuda:0");
  const Curve whole = train(config, 12);
  TestTrainer first(config), second(config);
  Curve half;
  for (int i = 0; i < 6; ++i) step(first, config.value, half);
  for (const lmx_tensor_info& tensor : first.tensors()) {
    for (const lmx_tensor_part part : {LMX_VALUE, LMX_EXP_AVG, LMX_EXP_AVG_SQ}) {
      second.write(tensor, part, first.read(tensor, part));
    }
  }
  OK(lmx_trainer_set_step_index(second.get(), 6));
  const Batch held_out(5, config.value.sequence, config.value.model.vocab, 77);  // not a multiple of micro_batch
  std::vector<float> loss(held_out.tokens.size());
  std::vector<uint8_t> correct(held_out.tokens.size());
  for (int i = 6; i < 12; ++i) {
    OK(lmx_trainer_evaluate(second.get(), 5, held_out.tokens.data(), held_out.targets.data(), loss.data(),
                            correct.data()));
    const double resumed = step(second, config.value, half);
    CHECK(resumed == whole.losses[static_cast<size_t>(i)], "step %d: %.17g, uninterrupted %.17g", i, resumed,
          whole.losses[static_cast<size_t>(i)]);
  }
  CHECK(second.state() == whole.state, "other weights after resuming");
}

// Trials of one process begin at any time: while one records its step, another chooses algorithms for shapes that are new to the process.
void trainers_begin_side_by_side() {
  constexpr int kModels = 12, kThreads = 3, kSteps = 4;
  const auto model = [](int index) {
    Config config = hybrid("cuda:0");
    config.value.model.vocab = 64 + 8 * index;
    config.value.sequence = 64 + index;
    return config;
  };
  std::vector<Curve> together(kModels);
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (int index = thread; index < kModels; index += kThreads) together[static_cast<size_t>(index)] = train(model(index), kSteps);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (int index = 0; index < kModels; ++index) {
    const Curve expected = train(model(index), kSteps);
    const Curve& got = together[static_cast<size_t>(index)];
    CHECK(got.losses == expected.losses && got.state == expected.state, "model %d began beside others and has other bits", index);
  }
}

// The last batch of held-out data is often a short one; with fewer sequences the scan cuts its heads, and cuDNN its slices, differently.
void evaluates_fewer_sequences() {
  Config config = hybrid("cuda:0");
  config.layers = {mamba2(8, 64, 1, 128, 64), attention(12, 2, 64, 64)};
  config.value.batch = config.value.micro_batch = 32;
  config.value.sequence = 1024;
  TestTrainer trainer(config);
  const Batch held_out(32, config.value.sequence, config.value.model.vocab, 78);
  std::vector<float> whole(held_out.tokens.size()), part(held_out.tokens.size());
  std::vector<uint8_t> correct(held_out.tokens.size());
  const auto evaluate = [&](int64_t count, std::vector<float>& loss) {
    OK(lmx_trainer_evaluate(trainer.get(), count, held_out.tokens.data(), held_out.targets.data(), loss.data(), correct.data()));
  };
  evaluate(32, whole);
  for (const int64_t count : {20, 19, 7, 1}) {
    evaluate(count, part);
    double worst = 0;
    for (int64_t i = 0; i < count * config.value.sequence; ++i) {
      const auto at = static_cast<size_t>(i);
      worst = std::max(worst, static_cast<double>(std::abs(part[at] - whole[at])));
    }
    CHECK(worst < 0.05, "%ld sequences of 32: a loss differs by %g", static_cast<long>(count), worst);
  }
}

// Squares of an error and of what it is an error of, over several draws: one gradient of few numbers is far off or close by chance.
struct Error {
  double off = 0, whole = 0;

  void add(const std::vector<double>& got, const std::vector<double>& expected) {
    for (size_t i = 0; i < expected.size(); ++i) {
      off += (got[i] - expected[i]) * (got[i] - expected[i]);
      whole += expected[i] * expected[i];
    }
  }
  double relative() const { return std::sqrt(off / whole); }
};

// Loss and gradients against fp64, over eight batches no further off than twice a plain bf16 implementation.
void gradients_agree() {
  Config exact = hybrid("cpu"), plain = hybrid("reference"), on_gpu = hybrid("cuda:0");
  exact.value.precision = LMX_FP64;
  exact.value.batch = plain.value.batch = on_gpu.value.batch = 4;
  TestTrainer oracle(exact), reference(plain), gpu(on_gpu);
  const std::vector<lmx_tensor_info> tensors = oracle.tensors();
  std::vector<Error> errors(tensors.size()), plain_errors(tensors.size());
  Error loss, plain_loss;
  for (uint64_t draw = 0; draw < 8; ++draw) {
    const Batch batch = chain(exact.value, 3 + draw);
    const std::vector<double> expected{oracle.probe(batch)};
    plain_loss.add({reference.probe(batch)}, expected);
    loss.add({gpu.probe(batch)}, expected);
    for (size_t i = 0; i < tensors.size(); ++i) {
      const std::vector<double> gradient = oracle.read(tensors[i], LMX_GRADIENT);
      errors[i].add(gpu.read(tensors[i], LMX_GRADIENT), gradient);
      plain_errors[i].add(reference.read(tensors[i], LMX_GRADIENT), gradient);
    }
  }
  CHECK(loss.relative() < 2 * std::max(plain_loss.relative(), 1e-4), "loss: relative error %g, plain bf16 %g", loss.relative(),
        plain_loss.relative());
  double worst = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const double error = errors[i].relative(), limit = 2 * plain_errors[i].relative();
    worst = std::max(worst, error / limit);
    CHECK(error < limit, "gradient of %s: relative error %g, limit %g", tensors[i].name, error, limit);
  }
  std::printf("gradients: at most %.2f of their limits; loss off by %.1e, plain bf16 by %.1e\n", worst, loss.relative(),
              plain_loss.relative());
}

}  // namespace

int main() {
  if (lmx::test::lacks_device()) return lmx::test::skipped;
  trainers_begin_side_by_side();  // first: later models find what earlier ones have chosen
  gradients_agree();
  same_bits();
  queued_steps_are_single_steps();
  resumes_and_evaluates();
  evaluates_fewer_sequences();
  follows_the_cpu();
  return TEST_RESULT();
}
