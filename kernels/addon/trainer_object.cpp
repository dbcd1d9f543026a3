#include "trainer_object.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "async_call.h"
#include "js_config.h"
#include "js_error.h"
#include "js_values.h"
#include "tensor_list.h"

namespace lmx::addon {

namespace {

const Choices parts{
    {"value", LMX_VALUE}, {"gradient", LMX_GRADIENT}, {"expAvg", LMX_EXP_AVG}, {"expAvgSq", LMX_EXP_AVG_SQ}};
const Choices element_bytes{{"float32", 4}, {"float64", 8}};

lmx_tensor_info find_tensor(Napi::Env env, const lmx_trainer* trainer, const std::string& name) {
  return lmx::addon::find_tensor(env, name, lmx_trainer_tensor_count(trainer),
                     [&](int64_t i, lmx_tensor_info* out) { return lmx_trainer_tensor_info(trainer, i, out); });
}

std::string text_argument(const Napi::CallbackInfo& info, size_t index, const char* field) {
  if (!info[index].IsString()) reject(info.Env(), field, "a string", info[index]);
  return info[index].As<Napi::String>();
}

// Arguments of the asynchronous calls, and where the library writes.

struct Training {
  std::vector<int32_t> tokens, targets;
  std::vector<lmx_step_result> results;
};

struct Evaluation {
  std::vector<int32_t> tokens, targets;
  int64_t sequence;
  std::vector<float> loss;
  std::vector<uint8_t> correct;
};

struct Probe {
  std::vector<int32_t> tokens, targets;
  std::vector<double> logits, hidden;
  double loss;
};

lmx_status run(lmx_trainer* trainer, Training& t) {
  return lmx_trainer_train(trainer, static_cast<int64_t>(t.results.size()), t.tokens.data(), t.targets.data(), t.results.data());
}

lmx_status run(lmx_trainer* trainer, Evaluation& e) {
  const auto count = static_cast<int64_t>(e.tokens.size()) / e.sequence;
  return lmx_trainer_evaluate(trainer, count, e.tokens.data(), e.targets.data(), e.loss.data(), e.correct.data());
}

lmx_status run(lmx_trainer* trainer, Probe& p) {
  return lmx_trainer_probe(trainer, p.tokens.data(), p.targets.data(), p.logits.data(), p.hidden.data(), &p.loss);
}

Napi::Value result_of(Napi::Env env, const Training& t) {
  Napi::Array steps = Napi::Array::New(env, t.results.size());
  for (uint32_t i = 0; i < t.results.size(); ++i) {
    const lmx_step_result& result = t.results[i];
    Napi::Object object = Napi::Object::New(env);
    object.Set("loss", result.loss);
    object.Set("gradNorm", result.grad_norm);
    object.Set("learningRate", result.learning_rate);
    object.Set("step", static_cast<double>(result.step));
    object.Set("deviceSeconds", result.device_seconds);
    steps[i] = object;
  }
  return steps;
}

Napi::Value result_of(Napi::Env env, const Evaluation& e) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("loss", array_of<Napi::Float32Array>(env, e.loss));
  object.Set("correct", array_of<Napi::Uint8Array>(env, e.correct));
  return object;
}

Napi::Value result_of(Napi::Env env, const Probe& p) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("loss", p.loss);
  object.Set("logits", array_of<Napi::Float64Array>(env, p.logits));
  object.Set("hidden", array_of<Napi::Float64Array>(env, p.hidden));
  return object;
}

}  // namespace

Napi::Function TrainerObject::define(Napi::Env env) {
  return DefineClass(
      env, "Trainer",
      {
          InstanceAccessor<&TrainerObject::memory>("memory"),
          InstanceAccessor<&TrainerObject::tensors>("tensors"),
          InstanceAccessor<&TrainerObject::step_index, &TrainerObject::set_step_index>("stepIndex"),
          InstanceMethod<&TrainerObject::train>("train"),
          InstanceMethod<&TrainerObject::evaluate>("evaluate"),
          InstanceMethod<&TrainerObject::probe>("probe"),
          InstanceMethod<&TrainerObject::read>("read"),
          InstanceMethod<&TrainerObject::write>("write"),
          InstanceMethod<&TrainerObject::dispose>("dispose"),
      });
}

TrainerObject::TrainerObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<TrainerObject>(info) {
  const TrainerConfig parsed(info[0]);
  lmx_trainer* trainer = nullptr;
  check(info.Env(), lmx_trainer_create(&parsed.config, &trainer));
  trainer_.reset(trainer, lmx_trainer_destroy);
  batch_ = parsed.config.batch;
  sequence_ = parsed.config.sequence;
  hidden_ = parsed.config.model.hidden;
  vocab_ = parsed.config.model.vocab;
  layers_ = parsed.config.model.layer_count;
  lmx_memory memory{};
  check(info.Env(), lmx_trainer_memory(trainer, &memory));
  held_bytes_ = memory.total;
  Napi::MemoryManagement::AdjustExternalMemory(info.Env(), held_bytes_);
}

void TrainerObject::Finalize(Napi::Env env) { release(env); }

void TrainerObject::release(Napi::Env env) {
  if (!trainer_) return;
  trainer_.reset();
  Napi::MemoryManagement::AdjustExternalMemory(env, -held_bytes_);
}

lmx_trainer* TrainerObject::ready(Napi::Env env) const {
  if (busy_) throw js_error(env, busy_code, "the trainer is busy: await the promise of the call before");
  if (!trainer_) throw js_error(env, disposed_code, "the trainer has been disposed of");
  return trainer_.get();
}

template <class Arguments>
Napi::Value TrainerObject::start(Napi::Env env, Arguments arguments) {
  const auto shared = std::make_shared<Arguments>(std::move(arguments));
  const Napi::Value promise = AsyncCall<TrainerObject>::start(
      env, *this, [trainer = trainer_, shared] { return run(trainer.get(), *shared); },
      [shared](Napi::Env result_env) { return result_of(result_env, *shared); });
  busy_ = true;
  return promise;
}

Napi::Value TrainerObject::memory(const Napi::CallbackInfo& info) {
  lmx_memory memory{};
  check(info.Env(), lmx_trainer_memory(ready(info.Env()), &memory));
  return memory_object(info.Env(), memory);
}

Napi::Value TrainerObject::tensors(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const lmx_trainer* const trainer = ready(env);
  return tensor_list(env, lmx_trainer_tensor_count(trainer),
                     [&](int64_t i, lmx_tensor_info* out) { return lmx_trainer_tensor_info(trainer, i, out); });
}

Napi::Value TrainerObject::step_index(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(lmx_trainer_step_index(ready(info.Env()))));
}

void TrainerObject::set_step_index(const Napi::CallbackInfo& info, const Napi::Value& value) {
  Napi::Object holder = Napi::Object::New(info.Env());
  holder.Set("stepIndex", value);
  check(info.Env(),
        lmx_trainer_set_step_index(ready(info.Env()), Fields(holder, "trainer").integer("stepIndex")));
}

Napi::Value TrainerObject::train(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  ready(env);
  if (!info[0].IsArray() || info[0].As<Napi::Array>().Length() == 0) {
    reject(env, "batches", "an array of at least one batch", info[0]);
  }
  const auto batches = info[0].As<Napi::Array>();
  const auto rows = static_cast<size_t>(batch_ * sequence_);
  Training all;
  // Not for every length: a sparse array may have any.
  for (std::vector<int32_t>* copy : {&all.tokens, &all.targets}) copy->reserve(rows * std::min(batches.Length(), 64u));
  for (uint32_t i = 0; i < batches.Length(); ++i) {
    const Fields batch(batches.Get(i), "batches[" + std::to_string(i) + "]");
    batch.append_int32("tokens", rows, all.tokens);
    batch.append_int32("targets", rows, all.targets);
    all.results.emplace_back();
  }
  return start(env, std::move(all));
}

Napi::Value TrainerObject::evaluate(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  ready(env);
  std::vector<int32_t> tokens = int32_copy(info[0], "tokens", 0, sequence_);
  if (tokens.empty()) reject(env, "tokens", "at least one sequence", info[0]);
  std::vector<int32_t> targets = int32_copy(info[1], "targets", static_cast<int64_t>(tokens.size()), 1);
  const size_t rows = tokens.size();
  return start(env, Evaluation{std::move(tokens), std::move(targets), sequence_, std::vector<float>(rows),
                               std::vector<uint8_t>(rows)});
}

Napi::Value TrainerObject::probe(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  ready(env);
  const int64_t rows = batch_ * sequence_;
  return start(env, Probe{int32_copy(info[0], "tokens", rows, 1), int32_copy(info[1], "targets", rows, 1),
                          std::vector<double>(static_cast<size_t>(rows * vocab_)),
                          std::vector<double>(static_cast<size_t>((layers_ + 2) * rows * hidden_)), 0});
}

Napi::Value TrainerObject::read(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  lmx_trainer* const trainer = ready(env);
  const std::string name = text_argument(info, 0, "name");
  const int part = choice_of(info[1], "part", parts);
  const int bytes = choice_of(info[2], "type", element_bytes);
  const auto count = static_cast<size_t>(find_tensor(env, trainer, name).count);
  if (bytes == 4) {
    Napi::Float32Array array = Napi::Float32Array::New(env, count);
    check(env, lmx_trainer_read(trainer, name.c_str(), part, array.Data(), bytes));
    return array;
  }
  Napi::Float64Array array = Napi::Float64Array::New(env, count);
  check(env, lmx_trainer_read(trainer, name.c_str(), part, array.Data(), bytes));
  return array;
}

void TrainerObject::write(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  lmx_trainer* const trainer = ready(env);
  const std::string name = text_argument(info, 0, "name");
  const int part = choice_of(info[1], "part", parts);
  const auto count = static_cast<size_t>(find_tensor(env, trainer, name).count);
  const FloatData data = float_data(env, info[2], count);
  check(env, lmx_trainer_write(trainer, name.c_str(), part, data.values, data.element_bytes));
}

void TrainerObject::dispose(const Napi::CallbackInfo& info) {
  if (trainer_) ready(info.Env());
  release(info.Env());
}

}  // namespace lmx::addon
