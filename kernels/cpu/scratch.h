// Per-thread scratch of an operation: thread_local blocks that only grow, of at most about 2 MB. Bigger,
// shape-dependent scratch comes from the planned workspace instead (context.h).
#pragma once

#include <cstdlib>
#include <new>

#include "../backend.h"

namespace lmx::cpu {

// What a block is for; each purpose has its own.
enum class Scratch {
  tile,     // of one task
  partials  // of the caller of a parallel loop: what its tasks hand back
};

class ThreadScratch {
 public:
  // `count` floats, 64-byte aligned, with unspecified content; valid until the next call for this purpose on
  // this thread.
  template <Scratch purpose = Scratch::tile>
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
