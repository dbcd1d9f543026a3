#include "trainer_object.h"

#include <string>
#include <utility>

#include "js_config.h"
#include "js_error.h"
#include "js_values.h"
#include "tensor_list.h"
#include "workers.h"

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

}  // namespace

Napi::Function TrainerObject::define(Napi::Env env) {
  return DefineClass(
      env, "Trainer",
      {
          InstanceAccessor<&TrainerObject::memory>("memory"),
          InstanceAccessor<&TrainerObject::tensors>("tensors"),
          InstanceAccessor<&TrainerObject::step_index, &TrainerObject::set_step_index>("stepIndex"),
          InstanceMethod<&TrainerObject::step>("step"),
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

void TrainerObject::finished() { busy_ = false; }

lmx_trainer* TrainerObject::ready(Napi::Env env) const {
  if (busy_) throw js_error(env, busy_code, "the trainer is busy: await the promise of the call before");
  if (!trainer_) throw js_error(env, disposed_code, "the trainer has been disposed of");
  return trainer_.get();
}

template <class Worker, class... Arguments>
Napi::Value TrainerObject::start(Napi::Env env, Arguments&&... arguments) {
  auto worker = std::make_unique<Worker>(env, *this, trainer_, std::forward<Arguments>(arguments)...);
  const Napi::Promise promise = worker->promise();
  worker->Queue();
  worker.release();  // deletes itself
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

Napi::Value TrainerObject::step(const Napi::CallbackInfo& info) {
  ready(info.Env());
  return start<StepWorker>(info.Env(), int32_copy(info[0], "tokens", batch_ * sequence_, 1),
                           int32_copy(info[1], "targets", batch_ * sequence_, 1));
}

Napi::Value TrainerObject::evaluate(const Napi::CallbackInfo& info) {
  ready(info.Env());
  std::vector<int32_t> tokens = int32_copy(info[0], "tokens", 0, sequence_);
  if (tokens.empty()) reject(info.Env(), "tokens", "at least one sequence", info[0]);
  std::vector<int32_t> targets = int32_copy(info[1], "targets", static_cast<int64_t>(tokens.size()), 1);
  return start<EvaluateWorker>(info.Env(), std::move(tokens), std::move(targets), sequence_);
}

Napi::Value TrainerObject::probe(const Napi::CallbackInfo& info) {
  ready(info.Env());
  const int64_t rows = batch_ * sequence_;
  return start<ProbeWorker>(info.Env(), int32_copy(info[0], "tokens", rows, 1),
                            int32_copy(info[1], "targets", rows, 1), static_cast<size_t>(rows * vocab_),
                            static_cast<size_t>((layers_ + 2) * rows * hidden_));
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
