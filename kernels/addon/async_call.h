// One asynchronous call of an object that allows one at a time: `call` runs on a worker thread and touches native memory only; the
// promise is settled on the main thread with what `result` makes. Shares ownership of the native handle with the object, so that
// garbage collection cannot free it under the call.
#pragma once

#include <napi.h>

#include <functional>
#include <string>
#include <utility>

#include "js_error.h"
#include "layermix.h"

namespace lmx::addon {

template <class Owner>
class AsyncCall final : public Napi::AsyncWorker {
 public:
  using Call = std::function<lmx_status()>;
  using Result = std::function<Napi::Value(Napi::Env)>;

  // Owner has `void finished()`, called when the call has returned.
  static Napi::Value start(Napi::Env env, Owner& owner, Call call, Result result) {
    auto* const worker = new AsyncCall(env, owner, std::move(call), std::move(result));  // deletes itself
    const Napi::Promise promise = worker->deferred_.Promise();
    worker->Queue();
    return promise;
  }

 protected:
  void Execute() final {
    status_ = call_();
    if (status_ != LMX_OK) SetError(lmx_last_error());  // of this thread
  }
  void OnOK() final {
    owner_.finished();
    try {
      deferred_.Resolve(result_(Env()));
    } catch (const Napi::Error& error) {  // no memory for the result
      deferred_.Reject(error.Value());
    }
  }
  void OnError(const Napi::Error& error) final {
    owner_.finished();
    deferred_.Reject(js_error(Env(), status_code(status_), error.Message()).Value());
  }

 private:
  AsyncCall(Napi::Env env, Owner& owner, Call call, Result result)
      : Napi::AsyncWorker(env, "layermix"),
        owner_(owner),
        reference_(Napi::Persistent(owner.Value())),
        call_(std::move(call)),
        result_(std::move(result)),
        deferred_(Napi::Promise::Deferred::New(env)) {}

  Owner& owner_;
  Napi::ObjectReference reference_;  // keeps owner_ alive
  Call call_;
  Result result_;
  Napi::Promise::Deferred deferred_;
  lmx_status status_ = LMX_OK;
};

}  // namespace lmx::addon
