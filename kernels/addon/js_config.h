// A trainer configuration out of a JavaScript object (NativeTrainerConfig in src/run/native.ts).
#pragma once

#include <napi.h>

#include <string>
#include <vector>

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

// {weights, gradients, optimizer, activations, workspace, total}, bytes.
Napi::Object memory_object(Napi::Env env, const lmx_memory& memory);

}  // namespace lmx::addon
