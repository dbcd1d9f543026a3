// What a decoder refuses, and its memory: the closed form of kernels/model/DECODING.md, byte for byte.
#include <array>
#include <string>

#include "decoder_support.h"

using namespace lmx::test;

namespace {

void expect_error(lmx_status got, lmx_status status, const std::string& message) {
  CHECK(got == status && message == lmx_last_error(), "expected \"%s\", got status %d, \"%s\"", message.c_str(), int(got),
        lmx_last_error());
}

int64_t pad(int64_t bytes) { return (bytes + 255) / 256 * 256; }

void check_memory() {
  Config config;
  config.layers = {mamba2(4, 6, 2, 5, 4), attention(4, 2, 6, 4), mlp(20, LMX_SILU, true)};
  for (const auto& [precision, act, stat] : {std::array<int, 3>{LMX_FP64, 8, 8}, {LMX_FP32, 4, 4}, {LMX_BF16, 2, 4}}) {
    for (const int32_t state_type : {LMX_STATE_FULL, LMX_STATE_BF16}) {
      lmx_decoder_config decoder = decoder_config(config, 3, 50, 10);
      decoder.precision = precision;
      decoder.state_type = state_type;
      lmx_decoder_memory memory{};
      OK(lmx_decoder_memory_plan(&decoder, &memory));
      const int state = state_type == LMX_STATE_BF16 ? 2 : stat;
      CHECK(memory.cache == 2 * pad(3 * 50 * 2 * 6 * act), "cache: %ld", long(memory.cache));
      // conv - 1 inputs of 24 + 2 * 2 * 5 channels, and 24 x 5 cells, per sequence
      CHECK(memory.state == pad(3 * 3 * 44 * act) + pad(3 * 24 * 5 * state), "state: %ld", long(memory.state));
      CHECK(memory.total == memory.weights + memory.cache + memory.state + memory.scratch + memory.workspace, "total");
    }
  }
}

void check_refusals() {
  Config config;
  lmx_decoder* none = nullptr;
  lmx_decoder_config wrong = decoder_config(config, 2, 8, 9);
  expect_error(lmx_decoder_create(&wrong, &none), LMX_INVALID_ARGUMENT, "expected prompt from 1 to the context of 8, got 9");
  wrong = decoder_config(config, 2, 8, 4);
  wrong.state_type = LMX_STATE_BF16;
  expect_error(lmx_decoder_create(&wrong, &none), LMX_INVALID_ARGUMENT,
               "expected a full state type on device cpu, got bf16 (it can be planned, not run)");
  wrong.state_type = 2;
  expect_error(lmx_decoder_create(&wrong, &none), LMX_INVALID_ARGUMENT, "expected state_type from 0 to 1, got 2");

  TestDecoder decoder(decoder_config(config, 2, 8, 4));
  const std::vector<int32_t> tokens(16, 1), outside(16, 19);
  expect_error(lmx_decoder_prefill(decoder.get(), 5, tokens.data(), nullptr), LMX_INVALID_ARGUMENT,
               "expected a prompt of 1 to 4 tokens, got 5");
  expect_error(lmx_decoder_step(decoder.get(), outside.data(), nullptr), LMX_INVALID_ARGUMENT,
               "expected tokens[0] from 0 to 18, got 19");
  std::vector<int32_t> fed(32);
  expect_error(lmx_decoder_generate(decoder.get(), 1, fed.data()), LMX_INVALID_ARGUMENT,
               "expected a prompt before generating, got none");
  OK(lmx_decoder_prefill(decoder.get(), 4, tokens.data(), nullptr));
  OK(lmx_decoder_prefill(decoder.get(), 3, tokens.data(), nullptr));
  expect_error(lmx_decoder_generate(decoder.get(), 2, fed.data()), LMX_INVALID_ARGUMENT,
               "expected at most 1 more tokens in a context of 8, got 2");
  OK(lmx_decoder_generate(decoder.get(), 1, fed.data()));
  expect_error(lmx_decoder_write(decoder.get(), "backbone.nothing", fed.data(), 4), LMX_NOT_FOUND,
               "no tensor named backbone.nothing");
}

// More than any machine has: an error with both sides, before anything is allocated.
void check_out_of_memory() {
  Config config;
  lmx_decoder_config huge = decoder_config(config, 1 << 12, 1 << 22, 1);
  lmx_decoder* none = nullptr;
  CHECK(lmx_decoder_create(&huge, &none) == LMX_OUT_OF_MEMORY, "expected out of memory, got \"%s\"", lmx_last_error());
  lmx_decoder_memory memory{};
  OK(lmx_decoder_memory_plan(&huge, &memory));
  const std::string asked = "out of memory: asked for " + std::to_string(memory.total) + " bytes, ";
  CHECK(std::string(lmx_last_error()).rfind(asked, 0) == 0, "got \"%s\"", lmx_last_error());
}

}  // namespace

int main() {
  check_memory();
  check_refusals();
  check_out_of_memory();
  return TEST_RESULT();
}
