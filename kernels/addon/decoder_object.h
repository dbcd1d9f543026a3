// class Decoder of the addon (NativeDecoder in src/run/native.ts). What takes time runs on a worker thread and returns a promise, one at
// a time; while it is open every other call is an error with code "busy".
#pragma once

#include <napi.h>

#include <memory>

#include "layermix.h"

namespace lmx::addon {

class DecoderObject : public Napi::ObjectWrap<DecoderObject> {
 public:
  static Napi::Function define(Napi::Env env);

  explicit DecoderObject(const Napi::CallbackInfo& info);
  void Finalize(Napi::Env env) override;

  // Called on the main thread when an asynchronous call has returned.
  void finished() { busy_ = false; }

 private:
  Napi::Value memory(const Napi::CallbackInfo& info);
  Napi::Value tensors(const Napi::CallbackInfo& info);
  Napi::Value position(const Napi::CallbackInfo& info);
  void write(const Napi::CallbackInfo& info);
  Napi::Value prefill(const Napi::CallbackInfo& info);
  Napi::Value step(const Napi::CallbackInfo& info);
  Napi::Value generate(const Napi::CallbackInfo& info);
  void reset(const Napi::CallbackInfo& info);
  void fill(const Napi::CallbackInfo& info);
  Napi::Value time_steps(const Napi::CallbackInfo& info);
  Napi::Value time_prefills(const Napi::CallbackInfo& info);
  void dispose(const Napi::CallbackInfo& info);

  // The native decoder, when it may be used now. Throws "busy" or "disposed".
  std::shared_ptr<lmx_decoder> ready(Napi::Env env) const;
  void release(Napi::Env env);
  // A promise of `count` numbers that `call` writes.
  template <class Array, class Element, class Call>
  Napi::Value promise(Napi::Env env, int64_t count, Call call);

  std::shared_ptr<lmx_decoder> decoder_;
  bool busy_ = false;
  int64_t batch_ = 0, vocab_ = 0;
  int64_t held_bytes_ = 0;  // told to the garbage collector
};

// planDecoderMemory(config).
Napi::Value plan_decoder_memory(const Napi::CallbackInfo& info);

}  // namespace lmx::addon
