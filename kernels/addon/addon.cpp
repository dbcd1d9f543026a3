// layermix_cpu.node: {Trainer, planMemory(config), info()}. The only place that knows Node-API; everything
// goes through the C ABI of layermix.h. Typed in src/run/native.ts.

#include <napi.h>

#include "js_config.h"
#include "js_error.h"
#include "layermix.h"
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

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  exports.Set("Trainer", lmx::addon::TrainerObject::define(env));
  exports.Set("planMemory", Napi::Function::New<plan_memory>(env, "planMemory"));
  exports.Set("info", Napi::Function::New<library_info>(env, "info"));
  return exports;
}

}  // namespace

NODE_API_MODULE(layermix_cpu, initialize)
