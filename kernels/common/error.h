// The exceptions of the native library. Each carries the values it complains about, so that the C ABI can map
// the type to a status code and pass the message on unchanged.
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>

namespace lmx {

// A value is outside what the library can run; the message names it.
class InvalidArgument : public std::invalid_argument {
 public:
  using std::invalid_argument::invalid_argument;
};

// No tensor (or other named thing) of that name.
class NotFound : public std::out_of_range {
 public:
  using std::out_of_range::out_of_range;
};

// The device named is not there.
class NoDevice : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// A fault of the device itself, after which every further call of this process to it fails: an illegal address, an ECC error.
class DeviceFault : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// An allocation failed. `asked` and `free` are bytes; free is 0 where the system does not tell.
class OutOfMemory : public std::runtime_error {
 public:
  // Inside a call that does not say how much it wanted.
  OutOfMemory(const std::string& call, std::size_t free_bytes)
      : std::runtime_error("out of memory: " + call + ", " + std::to_string(free_bytes) + " bytes free"), asked(0), free(free_bytes) {}
  OutOfMemory(std::size_t asked_bytes, std::size_t free_bytes)
      : std::runtime_error("out of memory: asked for " + std::to_string(asked_bytes) + " bytes, " +
                           std::to_string(free_bytes) + " free"),
        asked(asked_bytes),
        free(free_bytes) {}

  const std::size_t asked;
  const std::size_t free;
};

}  // namespace lmx
