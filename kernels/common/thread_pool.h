// A pool of threads for loops of independent tasks.
//
// parallel_for(count, task) calls task(0) .. task(count-1), each exactly once, and returns when all are done.
// Every thread starts on its own contiguous range (so that the same rows meet the same core from one
// operation to the next) and then helps the others; which thread runs a task must therefore never change what
// the task computes. The caller waits for tasks, not for threads: on a busy machine a worker that gets no
// core in time simply misses the loop. Idle threads spin for some microseconds, then sleep. With one thread
// everything runs inline and no thread is ever started.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

#include "flush_denormals.h"

namespace lmx {

class ThreadPool {
 public:
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return thread_count_; }

  // One caller at a time; not reentrant; count < 2^32. Tasks run with denormals flushed to zero. The first
  // exception a task throws is rethrown here, once all other tasks have run.
  template <class Task>
  void parallel_for(std::int64_t count, Task&& task) {
    const FlushDenormals flushed;
    if (thread_count_ == 1 || count <= 1) {
      for (std::int64_t i = 0; i < count; ++i) task(i);
      return;
    }
    run(
        count, [](void* body, std::int64_t i) { (*static_cast<std::remove_reference_t<Task>*>(body))(i); },
        &task);
  }

 private:
  using Call = void (*)(void*, std::int64_t);
  // One thread's share of the tasks, on a cache line of its own. `next` holds the loop's number in its upper
  // half and the next task in its lower half, so that a thread that comes late from an earlier loop can claim
  // nothing.
  struct alignas(64) Range {
    std::atomic<std::uint64_t> next{0};
    std::atomic<std::uint32_t> end{0};
  };

  void run(std::int64_t count, Call call, void* body);
  void work(int self, std::uint32_t loop);
  void worker_loop(int self);

  const int thread_count_;
  std::vector<std::thread> workers_;
  std::unique_ptr<Range[]> ranges_;
  std::atomic<Call> call_{nullptr};
  std::atomic<void*> body_{nullptr};
  std::exception_ptr error_;
  std::mutex error_mutex_;

  alignas(64) std::atomic<std::uint32_t> loop_{0};       // a new value is the signal to start
  alignas(64) std::atomic<std::int64_t> unfinished_{0};  // tasks of this loop
  std::atomic<bool> stop_{false};
  std::atomic<int> sleepers_{0};
  std::mutex sleep_mutex_;
  std::condition_variable wake_;
};

}  // namespace lmx
