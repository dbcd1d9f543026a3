// class Meter of the addon (NativeMeter in src/run/native.ts).
#pragma once

#include <napi.h>

#include <memory>

#include "layermix.h"

namespace lmx::addon {

class MeterObject : public Napi::ObjectWrap<MeterObject> {
 public:
  static Napi::Function define(Napi::Env env);

  explicit MeterObject(const Napi::CallbackInfo& info);

  // Called on the main thread when a measurement has returned.
  void finished() { busy_ = false; }

 private:
  Napi::Value measure(const Napi::CallbackInfo& info);
  void dispose(const Napi::CallbackInfo& info);
  void require_ready(Napi::Env env) const;

  std::shared_ptr<lmx_meter> meter_;
  bool busy_ = false;
};

}  // namespace lmx::addon
