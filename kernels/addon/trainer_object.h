// class Trainer of the addon. train, evaluate and probe run on a worker thread and return promises, one at a
// time, so that heartbeats and signals keep working; everything else answers at once. While a promise is open
// every other call is an error with code "busy".
#pragma once

#include <napi.h>

#include <memory>

#include "layermix.h"

namespace lmx::addon {

class TrainerObject : public Napi::ObjectWrap<TrainerObject> {
 public:
  static Napi::Function define(Napi::Env env);

  explicit TrainerObject(const Napi::CallbackInfo& info);
  void Finalize(Napi::Env env) override;

  // Called on the main thread when an asynchronous call has returned.
  void finished() { busy_ = false; }

 private:
  Napi::Value memory(const Napi::CallbackInfo& info);
  Napi::Value tensors(const Napi::CallbackInfo& info);
  Napi::Value step_index(const Napi::CallbackInfo& info);
  void set_step_index(const Napi::CallbackInfo& info, const Napi::Value& value);
  Napi::Value train(const Napi::CallbackInfo& info);
  Napi::Value evaluate(const Napi::CallbackInfo& info);
  Napi::Value probe(const Napi::CallbackInfo& info);
  Napi::Value read(const Napi::CallbackInfo& info);
  void write(const Napi::CallbackInfo& info);
  void dispose(const Napi::CallbackInfo& info);

  // The native trainer, when it may be used now. Throws "busy" or "disposed".
  lmx_trainer* ready(Napi::Env env) const;
  void release(Napi::Env env);
  // A promise of the call that these are the arguments of.
  template <class Arguments>
  Napi::Value start(Napi::Env env, Arguments arguments);

  std::shared_ptr<lmx_trainer> trainer_;
  bool busy_ = false;
  int64_t batch_ = 0, sequence_ = 0, hidden_ = 0, vocab_ = 0, layers_ = 0;
  int64_t held_bytes_ = 0;  // told to the garbage collector
};

}  // namespace lmx::addon
