// One step against its definition, computed here from the gradients: clipping by the global norm, AdamW with
// decoupled decay on matrices and conv weights only, the learning rate of every schedule; and evaluation
// against the probe's logits.

#include <cmath>

#include "model_support.h"
#include "train/schedule.h"

namespace {

using namespace lmx::test;

void updates_as_defined() {
  Config config;
  config.value.optimizer.clip_norm = 0.05;  // far below the norm at the start, so that clipping acts
  TestTrainer trainer(config);
  const lmx_optimizer_config& o = config.value.optimizer;
  for (int step = 1; step <= 3; ++step) {
    std::vector<std::vector<double>> value, first, second;
    for (const lmx_tensor_info& tensor : trainer.tensors()) {
      value.push_back(trainer.read(tensor, LMX_VALUE));
      first.push_back(trainer.read(tensor, LMX_EXP_AVG));
      second.push_back(trainer.read(tensor, LMX_EXP_AVG_SQ));
    }
    const lmx_step_result result = trainer.step();
    double squares = 0;
    for (const lmx_tensor_info& tensor : trainer.tensors()) {
      for (const double g : trainer.read(tensor, LMX_GRADIENT)) squares += g * g;
    }
    CHECK(std::abs(result.grad_norm - std::sqrt(squares)) < 1e-12, "norm %g, expected %g", result.grad_norm,
          std::sqrt(squares));
    CHECK(result.grad_norm > o.clip_norm, "nothing to clip at norm %g", result.grad_norm);
    CHECK(result.step == step && result.learning_rate == o.learning_rate * step / 4, "step %lld, rate %g",
          static_cast<long long>(result.step), result.learning_rate);
    size_t index = 0;
    for (const lmx_tensor_info& tensor : trainer.tensors()) {
      const std::vector<double> gradient = trainer.read(tensor, LMX_GRADIENT),
                                got = trainer.read(tensor, LMX_VALUE);
      const bool decay = tensor.rank > 1;  // vectors take none
      CHECK((tensor.decayed != 0) == decay, "%s: decayed is %d", tensor.name, tensor.decayed);
      for (size_t i = 0; i < got.size(); ++i) {
        const double g = gradient[i] * o.clip_norm / result.grad_norm;
        const double m = o.beta1 * first[index][i] + (1 - o.beta1) * g;
        const double v = o.beta2 * second[index][i] + (1 - o.beta2) * g * g;
        const double direction =
            m / (1 - std::pow(o.beta1, step)) / (std::sqrt(v / (1 - std::pow(o.beta2, step))) + o.epsilon);
        const double expected = value[index][i] - result.learning_rate * direction -
                                (decay ? result.learning_rate * o.weight_decay * value[index][i] : 0);
        CHECK(std::abs(got[i] - expected) < 1e-12, "%s[%zu] after step %d: %.17g, expected %.17g",
              tensor.name, i, step, got[i], expected);
      }
      ++index;
    }
  }
}

// The loss of one batch, repeated, falls to what knowing it by heart gives.
void learns_a_batch_by_heart() {
  Config config;
  config.value.optimizer.learning_rate = 0.02;
  config.value.optimizer.total_steps = 150;
  TestTrainer trainer(config);
  const Batch batch(config.value.batch, config.value.sequence, config.value.model.vocab, 4);
  lmx_step_result result{};
  for (int i = 0; i < 150; ++i) result = trainer.step(batch);
  CHECK(result.loss < 0.05, "loss %g after %lld steps", result.loss, static_cast<long long>(result.step));
}

void schedules_as_defined() {
  const auto rate = [](lmx_schedule schedule, int64_t step) {
    const lmx_optimizer_config o{1.0, 0, 0, 0, 0, 0, schedule, 110, 10, 20, 0.1};
    return lmx::learning_rate_at(o, step);
  };
  const struct {
    lmx_schedule schedule;
    int64_t step;
    double expected;
  } rows[] = {
      {LMX_CONSTANT, 1, 0.1}, {LMX_CONSTANT, 10, 1}, {LMX_CONSTANT, 11, 1},  {LMX_CONSTANT, 500, 1},
      {LMX_COSINE, 5, 0.5},   {LMX_COSINE, 10, 1},   {LMX_COSINE, 60, 0.55}, {LMX_COSINE, 110, 0.1},
      {LMX_COSINE, 111, 0.1}, {LMX_WSD, 3, 0.3},     {LMX_WSD, 90, 1},       {LMX_WSD, 100, 0.55},
      {LMX_WSD, 110, 0.1},    {LMX_WSD, 200, 0.1},
  };
  for (const auto& row : rows) {
    CHECK(std::abs(rate(row.schedule, row.step) - row.expected) < 1e-15,
          "schedule %d, step %d: %.17g, expected %g", row.schedule, static_cast<int>(row.step),
          rate(row.schedule, row.step), row.expected);
  }
}

void evaluates_what_the_logits_say() {
  Config config;
  config.value.batch = config.value.micro_batch = 3;
  TestTrainer trainer(config);
  const Batch batch(3, config.value.sequence, config.value.model.vocab, 21);
  const size_t rows = batch.tokens.size(), vocab = static_cast<size_t>(config.value.model.vocab);
  std::vector<double> logits(rows * vocab);
  double mean = 0;
  OK(lmx_trainer_probe(trainer.get(), batch.tokens.data(), batch.targets.data(), logits.data(), nullptr,
                       &mean));
  std::vector<float> loss(rows);
  std::vector<uint8_t> correct(rows);
  OK(lmx_trainer_evaluate(trainer.get(), 3, batch.tokens.data(), batch.targets.data(), loss.data(),
                          correct.data()));
  double sum = 0, counted = 0;
  for (size_t row = 0; row < rows; ++row) {
    double normalizer = 0;
    size_t best = 0;
    for (size_t v = 0; v < vocab; ++v) {
      normalizer += std::exp(logits[row * vocab + v]);
      if (logits[row * vocab + v] > logits[row * vocab + best]) best = v;
    }
    const int32_t target = batch.targets[row];
    const double expected =
        target < 0 ? 0 : std::log(normalizer) - logits[row * vocab + static_cast<size_t>(target)];
    CHECK(std::abs(loss[row] - expected) < 1e-6, "row %zu: %g, expected %g", row, loss[row], expected);
    if (target >= 0)
      CHECK(correct[row] == (best == static_cast<size_t>(target)), "row %zu: %d", row, correct[row]);
    sum += expected;
    counted += target >= 0;
  }
  CHECK(std::abs(mean - sum / counted) < 1e-12, "mean loss %.17g, expected %.17g", mean, sum / counted);
}

}  // namespace

int main() {
  updates_as_defined();
  learns_a_batch_by_heart();
  schedules_as_defined();
  evaluates_what_the_logits_say();
  return TEST_RESULT();
}
