// Per-thread scratch of an operation: a thread_local block that only grows, for tiles of up to a few hundred kilobytes. Bigger,
// shape-dependent scratch comes from the planned workspace instead (context.h).
#pragma once

#include <cstdlib>
#include <new>

#include "../backend.h"

namespace lmx::cpu {

class ThreadScratch {
 public:
  // `count` floats, 64-byte aligned, with unspecified content; valid until the next call on this thread.
  static float* floats(index_t count) {
    thread_local ThreadScratch scratch;
    const std::size_t bytes = (static_cast<std::size_t>(count) * sizeof(float) + 4095) / 4096 * 4096;
    if (bytes > scratch.bytes_) {
      std::free(scratch.memory_);
      scratch.bytes_ = 0;
      scratch.memory_ = static_cast<float*>(std::aligned_alloc(4096, bytes));
      if (!scratch.memory_) throw std::bad_alloc();
      scratch.bytes_ = bytes;
    }
    return scratch.memory_;
  }

 private:
  ThreadScratch() = default;
  ~ThreadScratch() { std::free(memory_); }
  float* memory_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace lmx::cpu
