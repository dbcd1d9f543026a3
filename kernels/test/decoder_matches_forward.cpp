// A decoder computes what the forward pass of training computes - code that shares with it nothing but the products and norms -, at
// every position and however the tokens are fed: one by one, as one prompt, as several, in batches. fp64: to 1e-10.
#include <algorithm>
#include <cmath>

#include "decoder_support.h"

using namespace lmx::test;

namespace {

constexpr int64_t batch = 3;

struct Case {
  const char* name;
  std::vector<lmx_layer_config> layers;
  int64_t length;
  bool tied = false;
};

// Lengths are odd, longer than chunks and windows; dt_min clamps many steps where it is 0.3.
std::vector<Case> cases() {
  lmx_layer_config clamped = mamba2(6, 4, 3, 7, 16), wide = mamba2(2, 3, 1, 5, 64), narrow = mamba2(2, 3, 2, 5, 8);
  clamped.dt_min = 0.3;
  wide.conv = 7;
  narrow.conv = 1;
  return {{"every kind", Config().layers, 11},
          {"mamba2", {mamba2(4, 6, 2, 5, 4), clamped, wide, narrow}, 45},
          {"attention", {attention(6, 2, 8, 8), attention(4, 1, 6, 2), attention(3, 3, 4, 0)}, 21, true},
          {"long hybrid", Config().layers, 39}};
}

// Logits (batch, length, vocab) of the trainer's forward pass.
std::vector<double> forward(Config& config, const Batch& tokens) {
  TestTrainer trainer(config);
  std::vector<double> logits(tokens.tokens.size() * static_cast<size_t>(config.value.model.vocab));
  double loss = 0;
  OK(lmx_trainer_probe(trainer.get(), tokens.tokens.data(), tokens.targets.data(), logits.data(), nullptr, &loss));
  return logits;
}

// Largest difference of `got` (batch, vocab) from position `at` of `expected`.
double difference(const std::vector<double>& got, const std::vector<double>& expected, int64_t length, int64_t at) {
  const int64_t vocab = static_cast<int64_t>(got.size()) / batch;
  double largest = 0;
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t v = 0; v < vocab; ++v) {
      const double error = std::abs(got[b * vocab + v] - expected[(b * length + at) * vocab + v]);
      largest = error <= largest ? largest : error;  // NaN stays
    }
  }
  return largest;
}

void check_case(const Case& c, int32_t precision, double limit) {
  Config config;
  config.layers = c.layers;
  config.value.batch = config.value.micro_batch = batch;
  config.value.sequence = c.length;
  config.value.precision = precision;
  config.value.model.tie_embeddings = c.tied ? 1 : 0;
  const Batch tokens(batch, c.length, config.value.model.vocab, 5);
  const std::vector<double> expected = forward(config, tokens);
  TestDecoder decoder(decoder_config(config, batch, c.length, c.length));
  const auto feed = [&](std::vector<int64_t> prompts) {
    decoder.reset();
    int64_t at = 0;
    for (const int64_t time : prompts) {
      const double error = difference(decoder.prefill(tokens.tokens, c.length, at, time), expected, c.length, at + time - 1);
      CHECK(error <= limit, "%s: prompt of %d at %d: logits differ by %.3g", c.name, int(time), int(at), error);
      at += time;
    }
    for (; at < c.length; ++at) {
      const double error = difference(decoder.step(tokens.tokens, c.length, at), expected, c.length, at);
      CHECK(error <= limit, "%s: step at %d after a prompt: logits differ by %.3g", c.name, int(at), error);
    }
    CHECK(lmx_decoder_position(decoder.get()) == c.length, "%s: position", c.name);
  };
  feed({});
  for (int64_t first = 1; first <= c.length; ++first) feed({first});
  feed({2, 1, 5, c.length - 9});
  feed({1, 1, c.length - 2});
  feed({c.length / 2, c.length - c.length / 2});
}

// Batches of prompts that are read some sequences at a time give each sequence what it gets alone.
void check_prompts_in_turns() {
  Config config;
  config.layers = {mamba2(2, 4, 1, 3, 64)};
  constexpr int64_t length = 20000;
  const Batch tokens(batch, length, config.value.model.vocab, 9);
  TestDecoder together(decoder_config(config, batch, length + 1, length));
  const std::vector<double> prompt = together.prefill(tokens.tokens, length, 0, length);
  const std::vector<double> after = together.step({1, 2, 3});
  const int64_t vocab = config.value.model.vocab;
  for (int64_t b = 0; b < batch; ++b) {
    TestDecoder alone(decoder_config(config, 1, length + 1, length));
    const std::vector<int32_t> own(tokens.tokens.begin() + b * length, tokens.tokens.begin() + (b + 1) * length);
    const std::vector<double> first = alone.prefill(own, length, 0, length), second = alone.step({static_cast<int32_t>(b + 1)});
    CHECK(std::equal(first.begin(), first.end(), prompt.begin() + b * vocab), "sequence %d: prompt differs", int(b));
    CHECK(std::equal(second.begin(), second.end(), after.begin() + b * vocab), "sequence %d: step differs", int(b));
  }
}

// Greedy generation is step after step with the largest logit, and the same again after a reset.
void check_generation() {
  Config config;
  constexpr int64_t count = 1500;  // more than the ring of remembered tokens
  TestDecoder decoder(decoder_config(config, 2, count + 4, 4));
  const std::vector<int32_t> prompt{3, 1, 4, 1, 5, 9};
  std::vector<double> logits = decoder.prefill(prompt, 3, 0, 3);
  std::vector<int32_t> expected;
  for (int64_t i = 0; i < count; ++i) {
    const std::vector<int32_t> next = most_likely(logits, config.value.model.vocab);
    expected.insert(expected.end(), next.begin(), next.end());
    logits = decoder.step(next);
  }
  for (int run = 0; run < 2; ++run) {
    decoder.reset();
    decoder.prefill(prompt, 3, 0, 3);
    std::vector<int32_t> got = decoder.generate(700);
    const std::vector<int32_t> rest = decoder.generate(count - 700);
    got.insert(got.end(), rest.begin(), rest.end());
    CHECK(got == expected, "greedy tokens differ in run %d", run);
  }
}

}  // namespace

int main() {
  for (const Case& c : cases()) {
    check_case(c, LMX_FP64, 1e-10);
    check_case(c, LMX_FP32, 2e-4);
  }
  check_prompts_in_turns();
  check_generation();
  return TEST_RESULT();
}
