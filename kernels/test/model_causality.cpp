// A model that predicts the next token must not see it: changing token t leaves every logit before t
// bit-equal, and changes the logits at t. fp32, every layer kind, every t.

#include <cstring>

#include "model_support.h"

using namespace lmx::test;

int main() {
  Config config;
  config.value.batch = config.value.micro_batch = 1;
  config.value.precision = LMX_FP32;
  TestTrainer trainer(config);
  const auto time = static_cast<size_t>(config.value.sequence),
             vocab = static_cast<size_t>(config.value.model.vocab);
  const auto logits_of = [&](const Batch& batch) {
    std::vector<double> logits(time * vocab);
    double loss = 0;
    OK(lmx_trainer_probe(trainer.get(), batch.tokens.data(), batch.targets.data(), logits.data(), nullptr,
                         &loss));
    return logits;
  };
  Batch batch(1, config.value.sequence, config.value.model.vocab, 3);
  const std::vector<double> before = logits_of(batch);
  for (size_t t = 0; t < time; ++t) {
    Batch changed = batch;
    changed.tokens[t] = (changed.tokens[t] + 1) % static_cast<int32_t>(vocab);
    const std::vector<double> after = logits_of(changed);
    CHECK(std::memcmp(before.data(), after.data(), t * vocab * sizeof(double)) == 0,
          "token %zu changed the past", t);
    CHECK(std::memcmp(&before[t * vocab], &after[t * vocab], vocab * sizeof(double)) != 0,
          "token %zu has no effect", t);
  }
  return TEST_RESULT();
}
