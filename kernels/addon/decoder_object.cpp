#include "decoder_object.h"

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

Napi::Object memory_object(Napi::Env env, const lmx_decoder_memory& memory) {
  Napi::Object object = Napi::Object::New(env);
  const auto set = [&](const char* name, int64_t bytes) { object.Set(name, static_cast<double>(bytes)); };
  set("weights", memory.weights);
  set("cache", memory.cache);
  set("state", memory.state);
  set("scratch", memory.scratch);
  set("workspace", memory.workspace);
  set("total", memory.total);
  return object;
}

// An argument that is an integer of at least 0.
int64_t count_argument(const Napi::CallbackInfo& info, size_t index, const char* name) {
  Napi::Object holder = Napi::Object::New(info.Env());
  holder.Set(name, info[index]);
  const auto count = static_cast<int64_t>(Fields(holder, "decoder").unsigned64(name));
  if (count < 0 || count > (int64_t{1} << 31)) reject(info.Env(), name, "an integer from 0 to 2^31", info[index]);
  return count;
}

}  // namespace

Napi::Value plan_decoder_memory(const Napi::CallbackInfo& info) {
  const DecoderConfig parsed(info[0]);
  lmx_decoder_memory memory{};
  check(info.Env(), lmx_decoder_memory_plan(&parsed.config, &memory));
  return memory_object(info.Env(), memory);
}

Napi::Function DecoderObject::define(Napi::Env env) {
  return DefineClass(env, "Decoder",
                     {
                         InstanceAccessor<&DecoderObject::memory>("memory"),
                         InstanceAccessor<&DecoderObject::tensors>("tensors"),
                         InstanceAccessor<&DecoderObject::position>("position"),
                         InstanceMethod<&DecoderObject::write>("write"),
                         InstanceMethod<&DecoderObject::prefill>("prefill"),
                         InstanceMethod<&DecoderObject::step>("step"),
                         InstanceMethod<&DecoderObject::generate>("generate"),
                         InstanceMethod<&DecoderObject::reset>("reset"),
                         InstanceMethod<&DecoderObject::fill>("fill"),
                         InstanceMethod<&DecoderObject::time_steps>("timeSteps"),
                         InstanceMethod<&DecoderObject::time_prefills>("timePrefills"),
                         InstanceMethod<&DecoderObject::dispose>("dispose"),
                     });
}

DecoderObject::DecoderObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<DecoderObject>(info) {
  const DecoderConfig parsed(info[0]);
  lmx_decoder* decoder = nullptr;
  check(info.Env(), lmx_decoder_create(&parsed.config, &decoder));
  decoder_.reset(decoder, lmx_decoder_destroy);
  batch_ = parsed.config.batch;
  vocab_ = parsed.config.model.vocab;
  lmx_decoder_memory memory{};
  check(info.Env(), lmx_decoder_memory_of(decoder, &memory));
  held_bytes_ = memory.total;
  Napi::MemoryManagement::AdjustExternalMemory(info.Env(), held_bytes_);
}

void DecoderObject::Finalize(Napi::Env env) { release(env); }

void DecoderObject::release(Napi::Env env) {
  if (!decoder_) return;
  decoder_.reset();
  Napi::MemoryManagement::AdjustExternalMemory(env, -held_bytes_);
}

std::shared_ptr<lmx_decoder> DecoderObject::ready(Napi::Env env) const {
  if (busy_) throw js_error(env, busy_code, "the decoder is busy: await the promise of the call before");
  if (!decoder_) throw js_error(env, disposed_code, "the decoder has been disposed of");
  return decoder_;
}

template <class Array, class Element, class Call>
Napi::Value DecoderObject::promise(Napi::Env env, int64_t count, Call call) {
  auto numbers = std::make_shared<std::vector<Element>>(static_cast<size_t>(count));
  const Napi::Value promise = AsyncCall<DecoderObject>::start(
      env, *this, [decoder = decoder_, numbers, call] { return call(decoder.get(), numbers->data()); },
      [numbers](Napi::Env result_env) -> Napi::Value { return array_of<Array>(result_env, *numbers); });
  busy_ = true;
  return promise;
}

Napi::Value DecoderObject::memory(const Napi::CallbackInfo& info) {
  lmx_decoder_memory memory{};
  check(info.Env(), lmx_decoder_memory_of(ready(info.Env()).get(), &memory));
  return memory_object(info.Env(), memory);
}

Napi::Value DecoderObject::tensors(const Napi::CallbackInfo& info) {
  const auto decoder = ready(info.Env());
  return tensor_list(info.Env(), lmx_decoder_tensor_count(decoder.get()), [&](int64_t i, lmx_tensor_info* out) {
    return lmx_decoder_tensor_info(decoder.get(), i, out);
  });
}

Napi::Value DecoderObject::position(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(lmx_decoder_position(ready(info.Env()).get())));
}

void DecoderObject::write(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto decoder = ready(env);
  if (!info[0].IsString()) reject(env, "name", "a string", info[0]);
  const std::string name = info[0].As<Napi::String>();
  const lmx_tensor_info tensor =
      find_tensor(env, name, lmx_decoder_tensor_count(decoder.get()), [&](int64_t i, lmx_tensor_info* out) {
        return lmx_decoder_tensor_info(decoder.get(), i, out);
      });
  const FloatData data = float_data(env, info[1], static_cast<size_t>(tensor.count));
  check(env, lmx_decoder_write(decoder.get(), name.c_str(), data.values, data.element_bytes));
}

Napi::Value DecoderObject::prefill(const Napi::CallbackInfo& info) {
  ready(info.Env());
  auto tokens = int32_copy(info[0], "tokens", 0, batch_);
  if (tokens.empty()) reject(info.Env(), "tokens", "at least one token per sequence", info[0]);
  const int64_t time = static_cast<int64_t>(tokens.size()) / batch_;
  return promise<Napi::Float64Array, double>(
      info.Env(), batch_ * vocab_, [time, tokens = std::move(tokens)](lmx_decoder* decoder, double* logits) {
        return lmx_decoder_prefill(decoder, time, tokens.data(), logits);
      });
}

Napi::Value DecoderObject::step(const Napi::CallbackInfo& info) {
  ready(info.Env());
  return promise<Napi::Float64Array, double>(
      info.Env(), batch_ * vocab_,
      [tokens = int32_copy(info[0], "tokens", batch_, 1)](lmx_decoder* decoder, double* logits) {
        return lmx_decoder_step(decoder, tokens.data(), logits);
      });
}

Napi::Value DecoderObject::generate(const Napi::CallbackInfo& info) {
  ready(info.Env());
  const int64_t count = count_argument(info, 0, "count");
  return promise<Napi::Int32Array, int32_t>(info.Env(), count * batch_, [count](lmx_decoder* decoder, int32_t* tokens) {
    return lmx_decoder_generate(decoder, count, tokens);
  });
}

void DecoderObject::reset(const Napi::CallbackInfo& info) {
  check(info.Env(), lmx_decoder_reset(ready(info.Env()).get()));
}

void DecoderObject::fill(const Napi::CallbackInfo& info) {
  const auto decoder = ready(info.Env());
  const int64_t position = count_argument(info, 0, "position"), seed = count_argument(info, 1, "seed");
  check(info.Env(), lmx_decoder_fill(decoder.get(), position, static_cast<uint64_t>(seed)));
}

Napi::Value DecoderObject::time_steps(const Napi::CallbackInfo& info) {
  ready(info.Env());
  const int64_t count = count_argument(info, 0, "count");
  return promise<Napi::Float64Array, double>(info.Env(), count, [count](lmx_decoder* decoder, double* seconds) {
    return lmx_decoder_time_steps(decoder, count, seconds);
  });
}

Napi::Value DecoderObject::time_prefills(const Napi::CallbackInfo& info) {
  ready(info.Env());
  const int64_t time = count_argument(info, 0, "time"), count = count_argument(info, 1, "count");
  return promise<Napi::Float64Array, double>(info.Env(), count, [=](lmx_decoder* decoder, double* seconds) {
    return lmx_decoder_time_prefills(decoder, time, count, seconds);
  });
}

void DecoderObject::dispose(const Napi::CallbackInfo& info) {
  if (decoder_) ready(info.Env());
  release(info.Env());
}

}  // namespace lmx::addon
