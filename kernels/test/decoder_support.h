// A decoder that fails the test loudly when a call of the C ABI does, configured like a trainer of the tests.
#pragma once

#include <algorithm>
#include <vector>

#include "model_support.h"

namespace lmx::test {

inline lmx_decoder_config decoder_config(Config& config, int64_t batch, int64_t context, int64_t prompt) {
  lmx_decoder_config decoder{};
  decoder.model = config.get()->model;
  decoder.batch = batch;
  decoder.context = context;
  decoder.prompt = prompt;
  decoder.precision = config.value.precision;
  decoder.state_type = LMX_STATE_FULL;
  decoder.device = config.value.device;
  decoder.threads = config.value.threads;
  decoder.seed = config.value.seed;
  decoder.init_std = config.value.init_std;
  return decoder;
}

class TestDecoder {
 public:
  explicit TestDecoder(const lmx_decoder_config& config) : config_(config) { OK(lmx_decoder_create(&config, &handle_)); }
  ~TestDecoder() { lmx_decoder_destroy(handle_); }
  TestDecoder(const TestDecoder&) = delete;
  TestDecoder& operator=(const TestDecoder&) = delete;

  lmx_decoder* get() const { return handle_; }

  // Tokens [from, from + time) of every sequence of `all` (batch, length).
  std::vector<double> prefill(const std::vector<int32_t>& all, int64_t length, int64_t from, int64_t time) {
    const std::vector<int32_t> tokens = columns(all, length, from, time);
    std::vector<double> logits = room();
    OK(lmx_decoder_prefill(handle_, time, tokens.data(), logits.data()));
    return logits;
  }
  std::vector<double> step(const std::vector<int32_t>& tokens) {
    std::vector<double> logits = room();
    OK(lmx_decoder_step(handle_, tokens.data(), logits.data()));
    return logits;
  }
  std::vector<double> step(const std::vector<int32_t>& all, int64_t length, int64_t at) {
    return step(columns(all, length, at, 1));
  }
  std::vector<int32_t> generate(int64_t count) {
    std::vector<int32_t> tokens(static_cast<size_t>(count * config_.batch));
    OK(lmx_decoder_generate(handle_, count, tokens.data()));
    return tokens;
  }
  void reset() { OK(lmx_decoder_reset(handle_)); }

 private:
  std::vector<double> room() const { return std::vector<double>(static_cast<size_t>(config_.batch * config_.model.vocab)); }
  std::vector<int32_t> columns(const std::vector<int32_t>& all, int64_t length, int64_t from, int64_t time) const {
    std::vector<int32_t> tokens;
    for (int64_t b = 0; b < config_.batch; ++b) {
      for (int64_t t = 0; t < time; ++t) tokens.push_back(all[static_cast<size_t>(b * length + from + t)]);
    }
    return tokens;
  }

  lmx_decoder_config config_;
  lmx_decoder* handle_ = nullptr;
};

// The token with the largest logit of every row.
inline std::vector<int32_t> most_likely(const std::vector<double>& logits, int64_t vocab) {
  std::vector<int32_t> tokens;
  for (auto row = logits.begin(); row != logits.end(); row += vocab) {
    tokens.push_back(static_cast<int32_t>(std::max_element(row, row + vocab) - row));
  }
  return tokens;
}

}  // namespace lmx::test
