// Equal configuration and calls give equal bits: on any number of threads, after a restore in the middle,
// whatever was evaluated in between. And the micro-batch is a matter of memory only: it changes rounding, not
// the training.

#include <cmath>

#include "model_support.h"

namespace {

using namespace lmx::test;

constexpr int steps = 20;

// Wide enough that every operation is split over threads.
Config wide() {
  Config config;
  config.layers = {mamba2(8, 16, 2, 16, 16), mlp(160, LMX_SILU, true), attention(4, 2, 16, 16),
                   mlp(128, LMX_RELU2, false)};
  config.value.model.hidden = 64;
  config.value.model.vocab = 101;
  config.value.sequence = 50;
  config.value.precision = LMX_FP32;
  config.value.init_std = 0.02;
  return config;
}

struct Run {
  std::vector<double> losses, norms, state;
};

Run train(Config config) {
  TestTrainer trainer(config);
  Run run;
  for (int i = 0; i < steps; ++i) {
    const lmx_step_result result = trainer.step();
    run.losses.push_back(result.loss);
    run.norms.push_back(result.grad_norm);
  }
  run.state = trainer.state();
  return run;
}

void threads_do_not_matter() {
  Config config = wide();
  const Run one = train(config);
  CHECK(one.state != TestTrainer(config).state(), "nothing was trained");
  for (const int threads : {2, 3, 4}) {
    config.value.threads = threads;
    const Run many = train(config);
    CHECK(many.losses == one.losses && many.norms == one.norms, "%d threads: other losses", threads);
    CHECK(many.state == one.state, "%d threads: other weights", threads);
  }
}

void resumes_to_the_same_bits() {
  Config config = wide();
  const Run whole = train(config);
  TestTrainer first(config);
  for (int i = 0; i < steps / 2; ++i) first.step();
  config.value.seed = 99;  // a resumed run takes nothing from its own start
  TestTrainer second(config);
  for (const lmx_tensor_info& tensor : first.tensors()) {
    for (const lmx_tensor_part part : {LMX_VALUE, LMX_EXP_AVG, LMX_EXP_AVG_SQ}) {
      second.write(tensor, part, first.read(tensor, part));
    }
  }
  OK(lmx_trainer_set_step_index(second.get(), lmx_trainer_step_index(first.get())));
  for (int i = steps / 2; i < steps; ++i) {
    const double loss = second.step().loss;
    CHECK(loss == whole.losses[static_cast<size_t>(i)], "step %d: %.17g, uninterrupted %.17g", i, loss,
          whole.losses[static_cast<size_t>(i)]);
  }
  CHECK(second.state() == whole.state, "other weights after resuming");
}

// However many steps a call is given: also more than the ring has room for.
void queued_steps_are_single_steps() {
  Config config = wide();
  const Run alone = train(config);
  TestTrainer trainer(config);
  Run queued;
  for (const int64_t count : {1, 7, 12}) {
    for (const lmx_step_result& result : trainer.train(count)) {
      queued.losses.push_back(result.loss);
      queued.norms.push_back(result.grad_norm);
      CHECK(result.step == static_cast<int64_t>(queued.losses.size()), "step %lld", static_cast<long long>(result.step));
    }
  }
  CHECK(queued.losses == alone.losses && queued.norms == alone.norms, "queued steps have other losses");
  CHECK(trainer.state() == alone.state, "queued steps left other weights");

  Config small;
  TestTrainer one(small), many(small);
  const std::vector<lmx_step_result> results = many.train(150);
  for (size_t i = 0; i < results.size(); ++i) {
    const lmx_step_result single = one.step();
    CHECK(results[i].loss == single.loss && results[i].learning_rate == single.learning_rate, "step %zu of 150", i);
  }
  CHECK(one.state() == many.state(), "150 queued steps left other weights");
}

void evaluation_disturbs_nothing() {
  Config config = wide();
  const Run alone = train(config);
  TestTrainer trainer(config);
  const int64_t count = 7;  // not a multiple of micro_batch
  const Batch held_out(count, config.value.sequence, config.value.model.vocab, 77);
  std::vector<float> loss(held_out.tokens.size());
  std::vector<uint8_t> correct(held_out.tokens.size());
  for (int i = 0; i < steps; ++i) {
    OK(lmx_trainer_evaluate(trainer.get(), count, held_out.tokens.data(), held_out.targets.data(),
                            loss.data(), correct.data()));
    trainer.step();
  }
  CHECK(trainer.state() == alone.state, "evaluation changed the training");
}

void micro_batch_does_not_matter() {
  Config config;
  config.value.batch = 4;
  config.value.micro_batch = 4;
  const Run whole = train(config);
  for (const int64_t micro : {1, 2}) {
    config.value.micro_batch = micro;
    const Run parts = train(config);
    for (size_t i = 0; i < whole.losses.size(); ++i) {
      CHECK(std::abs(parts.losses[i] - whole.losses[i]) < 1e-9,
            "micro-batch %d, step %zu: loss %.17g, whole %.17g", static_cast<int>(micro), i, parts.losses[i],
            whole.losses[i]);
    }
    CHECK(train(config).state == parts.state, "micro-batch %d: two runs differ", static_cast<int>(micro));
  }
}

}  // namespace

int main() {
  threads_do_not_matter();
  resumes_to_the_same_bits();
  queued_steps_are_single_steps();
  evaluation_disturbs_nothing();
  micro_batch_does_not_matter();
  return TEST_RESULT();
}
