// Parameters of a native object as JavaScript sees them, whatever object they belong to.
#pragma once

#include <napi.h>

#include <string>

#include "js_error.h"
#include "js_values.h"
#include "layermix.h"

namespace lmx::addon {

// [{name, shape, count, decayed}]; `describe(index, lmx_tensor_info*)` is a call of the C ABI.
template <class Describe>
Napi::Array tensor_list(Napi::Env env, int64_t count, Describe describe) {
  Napi::Array all = Napi::Array::New(env);
  for (int64_t i = 0; i < count; ++i) {
    lmx_tensor_info tensor{};
    check(env, describe(i, &tensor));
    Napi::Array shape = Napi::Array::New(env);
    for (int32_t axis = 0; axis < tensor.rank; ++axis) {
      shape.Set(static_cast<uint32_t>(axis), static_cast<double>(tensor.shape[axis]));
    }
    Napi::Object object = Napi::Object::New(env);
    object.Set("name", tensor.name);
    object.Set("shape", shape);
    object.Set("count", static_cast<double>(tensor.count));
    object.Set("decayed", tensor.decayed != 0);
    all.Set(static_cast<uint32_t>(i), object);
  }
  return all;
}

// The tensor called `name`, or an Error with code "not_found".
template <class Describe>
lmx_tensor_info find_tensor(Napi::Env env, const std::string& name, int64_t count, Describe describe) {
  for (int64_t i = 0; i < count; ++i) {
    lmx_tensor_info info{};
    check(env, describe(i, &info));
    if (name == info.name) return info;
  }
  throw js_error(env, "not_found", "no tensor named " + name);
}

// The content of a Float32Array or Float64Array of exactly `count` elements.
struct FloatData {
  const void* values;
  int32_t element_bytes;
};

inline FloatData float_data(Napi::Env env, Napi::Value value, size_t count) {
  const std::string expected = "a Float32Array or Float64Array of length " + std::to_string(count);
  if (!value.IsTypedArray()) reject(env, "data", expected, value);
  const auto array = value.As<Napi::TypedArray>();
  const bool real = array.TypedArrayType() == napi_float32_array || array.TypedArrayType() == napi_float64_array;
  if (!real || array.ElementLength() != count) reject(env, "data", expected, value);
  return {static_cast<const std::byte*>(array.ArrayBuffer().Data()) + array.ByteOffset(),
          static_cast<int32_t>(array.ElementSize())};
}

}  // namespace lmx::addon
