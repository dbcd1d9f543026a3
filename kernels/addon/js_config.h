// A trainer configuration out of a JavaScript object (NativeTrainerConfig in src/run/native.ts).
#pragma once

#include <napi.h>

#include <string>
#include <vector>

#include "js_values.h"
#include "layermix.h"

namespace lmx::addon {

// Owns what the C structure points to.
struct TrainerConfig {
  explicit TrainerConfig(Napi::Value value);
  TrainerConfig(const TrainerConfig&) = delete;
  TrainerConfig& operator=(const TrainerConfig&) = delete;

  lmx_trainer_config config{};

 private:
  std::vector<lmx_layer_config> layers_;
  std::string device_;
};

// A decoder configuration (NativeDecoderConfig).
struct DecoderConfig {
  explicit DecoderConfig(Napi::Value value);
  DecoderConfig(const DecoderConfig&) = delete;
  DecoderConfig& operator=(const DecoderConfig&) = delete;

  lmx_decoder_config config{};

 private:
  std::vector<lmx_layer_config> layers_;
  std::string device_;
};

// The names of lmx_activation and lmx_state_type.
const Choices& activation_choices();
const Choices& state_type_choices();

// The field `threads`; what does not fit is -1, which the library refuses.
int32_t thread_count(const Fields& fields);

// {weights, gradients, optimizer, activations, workspace, total}, bytes.
Napi::Object memory_object(Napi::Env env, const lmx_memory& memory);

}  // namespace lmx::addon
