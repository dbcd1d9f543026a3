// Failures as JavaScript sees them: an Error whose `code` is the status ("invalid_argument", "out_of_memory",
// ...).
#pragma once

#include <napi.h>

#include <string>

#include "layermix.h"

namespace lmx::addon {

// Two codes beyond lmx_status, about calls rather than values.
inline constexpr const char* busy_code = "busy";  // an asynchronous call of this trainer has not returned
inline constexpr const char* disposed_code = "disposed";  // the trainer has been disposed of

inline const char* status_code(lmx_status status) {
  switch (status) {
    case LMX_OK: return "ok";
    case LMX_INVALID_ARGUMENT: return "invalid_argument";
    case LMX_OUT_OF_MEMORY: return "out_of_memory";
    case LMX_NO_DEVICE: return "no_device";
    case LMX_NOT_FOUND: return "not_found";
    case LMX_DEVICE_FAULT: return "device_fault";
    case LMX_INTERNAL: break;
  }
  return "internal";
}

inline Napi::Error js_error(Napi::Env env, const char* code, const std::string& message) {
  Napi::Error error = Napi::Error::New(env, message);
  error.Value().Set("code", code);
  return error;
}

// Throws when a call of the C ABI failed.
inline void check(Napi::Env env, lmx_status status) {
  if (status != LMX_OK) throw js_error(env, status_code(status), lmx_last_error());
}

}  // namespace lmx::addon
