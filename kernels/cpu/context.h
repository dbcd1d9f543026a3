// What an operation of the CPU backend may use besides its arguments: the threads, and the bound workspace.
#pragma once

#include <cstddef>
#include <string>

#include "../backend.h"
#include "../common/error.h"
#include "../common/thread_pool.h"

namespace lmx::cpu {

struct Context {
  ThreadPool* pool = nullptr;
  void* workspace = nullptr;
  std::size_t workspace_bytes = 0;

  // The workspace as an array of `count` elements; throws InvalidArgument when less was bound than planned.
  template <class T>
  T* scratch(index_t count) const {
    const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(T);
    if (bytes > workspace_bytes) {
      throw InvalidArgument("workspace: Expected at least " + std::to_string(bytes) + " bound bytes, got " +
                            std::to_string(workspace_bytes));
    }
    return static_cast<T*>(workspace);
  }
};

}  // namespace lmx::cpu
