// The edge of the C ABI: exceptions become status codes and lmx_last_error(), null pointers become errors.
#pragma once

#include <new>
#include <string>
#include <vector>

#include "common/error.h"
#include "layermix.h"
#include "model/parameters.h"
#include "train/device.h"

namespace lmx::boundary {

inline thread_local std::string last_error;

inline lmx_status fail(lmx_status status, const char* message) {
  try {
    last_error = message;
  } catch (...) {  // no memory even for the message
    last_error.clear();
  }
  return status;
}

template <class Action>
lmx_status guarded(Action action) {
  try {
    action();
    return LMX_OK;
  } catch (const InvalidArgument& error) {
    return fail(LMX_INVALID_ARGUMENT, error.what());
  } catch (const NotFound& error) {
    return fail(LMX_NOT_FOUND, error.what());
  } catch (const NoDevice& error) {
    return fail(LMX_NO_DEVICE, error.what());
  } catch (const DeviceFault& error) {
    return fail(LMX_DEVICE_FAULT, error.what());
  } catch (const OutOfMemory& error) {
    return fail(LMX_OUT_OF_MEMORY, error.what());
  } catch (const std::bad_alloc&) {
    return fail(LMX_OUT_OF_MEMORY, "out of host memory");
  } catch (const std::exception& error) {
    return fail(LMX_INTERNAL, error.what());
  } catch (...) {
    return fail(LMX_INTERNAL, "unknown error");
  }
}

template <class... Pointers>
void require(const Pointers*... pointers) {
  if (((pointers == nullptr) || ...)) throw InvalidArgument("expected an argument, got null");
}

[[noreturn]] inline void reject_element_bytes(int32_t bytes) {
  throw InvalidArgument("expected 4 or 8 bytes per element, got " + std::to_string(bytes));
}

inline lmx_tensor_info describe(const Parameter& parameter) {
  lmx_tensor_info info{parameter.name.c_str(),
                       static_cast<int32_t>(parameter.shape.size()),
                       {},
                       parameter.count,
                       parameter.decayed() ? 1 : 0};
  for (std::size_t i = 0; i < parameter.shape.size(); ++i) info.shape[i] = parameter.shape[i];
  return info;
}

// Parameter number `index`. Throws NotFound.
inline const Parameter& numbered(const std::vector<Parameter>& all, int64_t index) {
  const auto count = static_cast<int64_t>(all.size());
  if (index < 0 || index >= count) {
    throw NotFound("no tensor " + std::to_string(index) + " of " + std::to_string(count));
  }
  return all[static_cast<std::size_t>(index)];
}

}  // namespace lmx::boundary
