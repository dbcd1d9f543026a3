#include "js_values.h"

#include <cmath>

#include "js_error.h"

namespace lmx::addon {

namespace {

constexpr double max_safe_integer = 9007199254740991.0;

// The value as a person would write it, short.
std::string describe(Napi::Value value) {
  if (value.IsString()) {
    const std::string text = value.As<Napi::String>();
    return "\"" + (text.size() > 40 ? text.substr(0, 40) + "..." : text) + "\"";
  }
  if (value.IsTypedArray()) {
    return "a typed array of length " + std::to_string(value.As<Napi::TypedArray>().ElementLength());
  }
  if (value.IsArray()) return "an array";
  if (value.IsFunction()) return "a function";
  if (value.IsObject()) return "an object";
  if (value.IsSymbol()) return "a symbol";
  return value.ToString();
}

bool is_safe_integer(Napi::Value value) {
  if (!value.IsNumber()) return false;
  const double number = value.As<Napi::Number>().DoubleValue();
  return std::abs(number) <= max_safe_integer && std::trunc(number) == number;
}

}  // namespace

void reject(Napi::Env env, const std::string& field, const std::string& expected, Napi::Value got) {
  throw js_error(env, "invalid_argument",
                 "expected " + field + " to be " + expected + ", got " + describe(got));
}

Fields::Fields(Napi::Value value, std::string path) : path_(std::move(path)) {
  if (!value.IsObject() || value.IsArray() || value.IsTypedArray())
    reject(value.Env(), path_, "an object", value);
  object_ = value.As<Napi::Object>();
}

std::string Fields::at(const char* name) const { return path_ + "." + name; }

Napi::Value Fields::get(const char* name) const { return object_.Get(name); }

int64_t Fields::integer(const char* name) const {
  const Napi::Value value = get(name);
  if (!is_safe_integer(value)) reject(object_.Env(), at(name), "an integer", value);
  return value.As<Napi::Number>().Int64Value();
}

double Fields::number(const char* name) const {
  const Napi::Value value = get(name);
  if (!value.IsNumber()) reject(object_.Env(), at(name), "a number", value);
  return value.As<Napi::Number>().DoubleValue();
}

bool Fields::boolean(const char* name) const {
  const Napi::Value value = get(name);
  if (!value.IsBoolean()) reject(object_.Env(), at(name), "true or false", value);
  return value.As<Napi::Boolean>().Value();
}

std::string Fields::text(const char* name) const {
  const Napi::Value value = get(name);
  if (!value.IsString()) reject(object_.Env(), at(name), "a string", value);
  return value.As<Napi::String>();
}

int Fields::choice(const char* name, const Choices& choices) const {
  return choice_of(get(name), at(name), choices);
}

uint64_t Fields::unsigned64(const char* name) const {
  const Napi::Value value = get(name);
  if (value.IsBigInt()) {
    bool lossless = false;
    const uint64_t number = value.As<Napi::BigInt>().Uint64Value(&lossless);
    if (lossless) return number;
  } else if (is_safe_integer(value) && value.As<Napi::Number>().Int64Value() >= 0) {
    return static_cast<uint64_t>(value.As<Napi::Number>().Int64Value());
  }
  reject(object_.Env(), at(name), "an integer from 0 to 2^64 - 1", value);
}

Fields Fields::object(const char* name) const { return Fields(get(name), at(name)); }

std::vector<Fields> Fields::objects(const char* name) const {
  const Napi::Value value = get(name);
  if (!value.IsArray()) reject(object_.Env(), at(name), "an array", value);
  const auto array = value.As<Napi::Array>();
  std::vector<Fields> all;
  for (uint32_t i = 0; i < array.Length(); ++i) {
    all.emplace_back(array.Get(i), at(name) + "[" + std::to_string(i) + "]");
  }
  return all;
}

int choice_of(Napi::Value value, const std::string& field, const Choices& choices) {
  std::string names;
  for (const auto& [name, number] : choices) {
    if (value.IsString() && value.As<Napi::String>().Utf8Value() == name) return number;
    names += (names.empty() ? "" : ", ") + std::string(name);
  }
  reject(value.Env(), field, "one of " + names, value);
}

namespace {

bool is_int32_array(Napi::Value value) {
  return value.IsTypedArray() && value.As<Napi::TypedArray>().TypedArrayType() == napi_int32_array;
}

std::string int32_array_of(int64_t length) { return "an Int32Array of length " + std::to_string(length); }

}  // namespace

void Fields::append_int32(const char* name, size_t length, std::vector<int32_t>& to) const {
  const Napi::Value value = get(name);
  if (!is_int32_array(value) || value.As<Napi::Int32Array>().ElementLength() != length) {
    reject(object_.Env(), at(name), int32_array_of(static_cast<int64_t>(length)), value);
  }
  const auto array = value.As<Napi::Int32Array>();
  to.insert(to.end(), array.Data(), array.Data() + length);
}

std::vector<int32_t> int32_copy(Napi::Value value, const char* field, int64_t length, int64_t multiple) {
  const std::string expected =
      length > 0 ? int32_array_of(length) : "an Int32Array of a multiple of " + std::to_string(multiple) + " elements";
  if (!is_int32_array(value)) reject(value.Env(), field, expected, value);
  const auto array = value.As<Napi::Int32Array>();
  const auto count = static_cast<int64_t>(array.ElementLength());
  if (length > 0 ? count != length : count % multiple != 0) reject(value.Env(), field, expected, value);
  return std::vector<int32_t>(array.Data(), array.Data() + array.ElementLength());
}

}  // namespace lmx::addon
