// layermix_cpu.node and layermix_cuda.node: {Trainer, Decoder, Meter, planMemory(config),
// planDecoderMemory(config), info(), devices()}. The only place that knows Node-API; everything
// goes through the C ABI of layermix.h. Typed in src/run/native.ts.

#include <napi.h>

#include "decoder_object.h"
#include "js_config.h"
#include "js_error.h"
#include "layermix.h"
#include "meter_object.h"
#include "trainer_object.h"

namespace {

Napi::Value plan_memory(const Napi::CallbackInfo& info) {
  const lmx::addon::TrainerConfig parsed(info[0]);
  lmx_memory memory{};
  lmx::addon::check(info.Env(), lmx_memory_plan(&parsed.config, &memory));
  return lmx::addon::memory_object(info.Env(), memory);
}

Napi::Value library_info(const Napi::CallbackInfo& info) {
  Napi::Object object = Napi::Object::New(info.Env());
  object.Set("version", lmx_version());
  object.Set("build", lmx_build_info());
  return object;
}

// {cuda: one line per GPU, reason: why there is none, else absent}.
Napi::Value devices(const Napi::CallbackInfo& info) {
  Napi::Object object = Napi::Object::New(info.Env());
  const auto count = static_cast<uint32_t>(lmx_cuda_count());
  Napi::Array cuda = Napi::Array::New(info.Env(), count);
  for (uint32_t i = 0; i < count; ++i) cuda.Set(i, lmx_cuda_description(static_cast<int32_t>(i)));
  object.Set("cuda", cuda);
  if (count == 0) object.Set("reason", lmx_cuda_description(0));
  return object;
}

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  exports.Set("Trainer", lmx::addon::TrainerObject::define(env));
  exports.Set("Decoder", lmx::addon::DecoderObject::define(env));
  exports.Set("Meter", lmx::addon::MeterObject::define(env));
  exports.Set("planDecoderMemory", Napi::Function::New<lmx::addon::plan_decoder_memory>(env, "planDecoderMemory"));
  exports.Set("planMemory", Napi::Function::New<plan_memory>(env, "planMemory"));
  exports.Set("info", Napi::Function::New<library_info>(env, "info"));
  exports.Set("devices", Napi::Function::New<devices>(env, "devices"));
  return exports;
}

}  // namespace

NODE_API_MODULE(layermix_cpu, initialize)
