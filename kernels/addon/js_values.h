// JavaScript values, checked before anything is done with them. Every failure is an Error with code
// "invalid_argument" that names the field, what was expected and what came.
#pragma once

#include <napi.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "layermix.h"

namespace lmx::addon {

// A choice among names, each standing for a number of the C ABI.
using Choices = std::vector<std::pair<const char*, int>>;

[[noreturn]] void reject(Napi::Env env, const std::string& field, const std::string& expected,
                         Napi::Value got);

// Reads the fields of one JavaScript object; `path` prefixes the names in messages.
class Fields {
 public:
  Fields(Napi::Value value, std::string path);

  int64_t integer(const char* name) const;  // a safe integer
  double number(const char* name) const;    // any double; ranges are checked behind the C ABI
  bool boolean(const char* name) const;
  std::string text(const char* name) const;
  int choice(const char* name, const Choices& choices) const;
  uint64_t unsigned64(const char* name) const;  // a safe integer or a bigint, 0 to 2^64 - 1
  Fields object(const char* name) const;
  std::vector<Fields> objects(const char* name) const;
  // Appends a copy of an Int32Array of exactly `length` elements.
  void append_int32(const char* name, size_t length, std::vector<int32_t>& to) const;

 private:
  Napi::Value get(const char* name) const;
  std::string at(const char* name) const;

  Napi::Object object_;
  std::string path_;
};

int choice_of(Napi::Value value, const std::string& field, const Choices& choices);

// A copy of an Int32Array of exactly `length` elements (any multiple of `multiple` when length is 0).
std::vector<int32_t> int32_copy(Napi::Value value, const char* field, int64_t length, int64_t multiple);

// A typed array with a copy of these numbers.
template <class Array, class Element>
Array array_of(Napi::Env env, const std::vector<Element>& values) {
  Array array = Array::New(env, values.size());
  std::copy(values.begin(), values.end(), array.Data());
  return array;
}

}  // namespace lmx::addon
