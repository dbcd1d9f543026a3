// The asynchronous calls of a trainer: Execute runs on a worker thread and touches native memory only; the
// promise is settled on the main thread.
#pragma once

#include <napi.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "js_error.h"
#include "layermix.h"
#include "trainer_object.h"

namespace lmx::addon {

class TrainerWorker : public Napi::AsyncWorker {
 public:
  TrainerWorker(Napi::Env env, TrainerObject& object, std::shared_ptr<lmx_trainer> trainer)
      : Napi::AsyncWorker(env, "layermix"),
        object_(object),
        reference_(Napi::Persistent(object.Value())),
        trainer_(std::move(trainer)),
        deferred_(Napi::Promise::Deferred::New(env)) {}

  Napi::Promise promise() const { return deferred_.Promise(); }

 protected:
  virtual lmx_status call(lmx_trainer* trainer) = 0;
  virtual Napi::Value result(Napi::Env env) = 0;

  void Execute() final {
    status_ = call(trainer_.get());
    if (status_ != LMX_OK) SetError(lmx_last_error());  // of this thread
  }
  void OnOK() final {
    object_.finished();
    try {
      deferred_.Resolve(result(Env()));
    } catch (const Napi::Error& error) {  // no memory for the result
      deferred_.Reject(error.Value());
    }
  }
  void OnError(const Napi::Error& error) final {
    object_.finished();
    deferred_.Reject(js_error(Env(), status_code(status_), error.Message()).Value());
  }

 private:
  TrainerObject& object_;
  Napi::ObjectReference reference_;  // keeps object_ alive
  std::shared_ptr<lmx_trainer> trainer_;
  Napi::Promise::Deferred deferred_;
  lmx_status status_ = LMX_OK;
};

class StepWorker final : public TrainerWorker {
 public:
  StepWorker(Napi::Env env, TrainerObject& object, std::shared_ptr<lmx_trainer> trainer,
             std::vector<int32_t> tokens, std::vector<int32_t> targets)
      : TrainerWorker(env, object, std::move(trainer)),
        tokens_(std::move(tokens)),
        targets_(std::move(targets)) {}

 protected:
  lmx_status call(lmx_trainer* trainer) override {
    return lmx_trainer_step(trainer, tokens_.data(), targets_.data(), &result_);
  }
  Napi::Value result(Napi::Env env) override {
    Napi::Object object = Napi::Object::New(env);
    object.Set("loss", result_.loss);
    object.Set("gradNorm", result_.grad_norm);
    object.Set("learningRate", result_.learning_rate);
    object.Set("step", static_cast<double>(result_.step));
    object.Set("deviceSeconds", result_.device_seconds);
    return object;
  }

 private:
  std::vector<int32_t> tokens_, targets_;
  lmx_step_result result_{};
};

class EvaluateWorker final : public TrainerWorker {
 public:
  EvaluateWorker(Napi::Env env, TrainerObject& object, std::shared_ptr<lmx_trainer> trainer,
                 std::vector<int32_t> tokens, std::vector<int32_t> targets, int64_t sequence)
      : TrainerWorker(env, object, std::move(trainer)),
        tokens_(std::move(tokens)),
        targets_(std::move(targets)),
        sequence_(sequence),
        loss_(tokens_.size()),
        correct_(tokens_.size()) {}

 protected:
  lmx_status call(lmx_trainer* trainer) override {
    const auto count = static_cast<int64_t>(tokens_.size()) / sequence_;
    return lmx_trainer_evaluate(trainer, count, tokens_.data(), targets_.data(), loss_.data(),
                                correct_.data());
  }
  Napi::Value result(Napi::Env env) override {
    Napi::Object object = Napi::Object::New(env);
    Napi::Float32Array loss = Napi::Float32Array::New(env, loss_.size());
    std::copy(loss_.begin(), loss_.end(), loss.Data());
    Napi::Uint8Array correct = Napi::Uint8Array::New(env, correct_.size());
    std::copy(correct_.begin(), correct_.end(), correct.Data());
    object.Set("loss", loss);
    object.Set("correct", correct);
    return object;
  }

 private:
  std::vector<int32_t> tokens_, targets_;
  int64_t sequence_;
  std::vector<float> loss_;
  std::vector<uint8_t> correct_;
};

class ProbeWorker final : public TrainerWorker {
 public:
  ProbeWorker(Napi::Env env, TrainerObject& object, std::shared_ptr<lmx_trainer> trainer,
              std::vector<int32_t> tokens, std::vector<int32_t> targets, size_t logits, size_t hidden)
      : TrainerWorker(env, object, std::move(trainer)),
        tokens_(std::move(tokens)),
        targets_(std::move(targets)),
        logits_(logits),
        hidden_(hidden) {}

 protected:
  lmx_status call(lmx_trainer* trainer) override {
    return lmx_trainer_probe(trainer, tokens_.data(), targets_.data(), logits_.data(), hidden_.data(),
                             &loss_);
  }
  Napi::Value result(Napi::Env env) override {
    Napi::Object object = Napi::Object::New(env);
    object.Set("loss", loss_);
    object.Set("logits", float64_array(env, logits_));
    object.Set("hidden", float64_array(env, hidden_));
    return object;
  }

 private:
  static Napi::Float64Array float64_array(Napi::Env env, const std::vector<double>& values) {
    Napi::Float64Array array = Napi::Float64Array::New(env, values.size());
    std::copy(values.begin(), values.end(), array.Data());
    return array;
  }

  std::vector<int32_t> tokens_, targets_;
  std::vector<double> logits_, hidden_;
  double loss_ = 0;
};

}  // namespace lmx::addon
