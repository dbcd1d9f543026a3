// See thread_pool.h. The start signal is one counter, the end a count of unfinished tasks; both are spun on
// for a while, because an operation of a small model takes tens of microseconds and waking a sleeper costs as
// much. Whoever waits longer gives its core away, so that several worker processes can share a machine.
#include "thread_pool.h"

#include <utility>

namespace lmx {

namespace {

constexpr int spin_pauses = 2000;  // 20-50 microseconds before a waiting thread offers its core to others
constexpr int spin_yields = 500;   // so many offers before an idle worker sleeps

inline void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ __volatile__("yield");
#endif
}

}  // namespace

ThreadPool::ThreadPool(int threads)
    : thread_count_(threads > 1 ? threads : 1), ranges_(new Range[static_cast<std::size_t>(thread_count_)]) {
  for (int i = 1; i < thread_count_; ++i) workers_.emplace_back([this, i] { worker_loop(i); });
}

ThreadPool::~ThreadPool() {
  stop_ = true;
  {
    std::lock_guard<std::mutex> lock(sleep_mutex_);
    loop_.fetch_add(1);
  }
  wake_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::run(std::int64_t count, Call call, void* body) {
  const std::uint32_t loop = loop_.load() + 1;
  unfinished_.store(count, std::memory_order_relaxed);
  for (int i = 0; i < thread_count_; ++i) {
    // `next` changes before `end`: whoever reads the new end under the old loop's number fails to claim.
    const std::uint64_t begin = static_cast<std::uint64_t>(count * i / thread_count_);
    ranges_[i].next.store(std::uint64_t{loop} << 32 | begin);
    ranges_[i].end.store(static_cast<std::uint32_t>(count * (i + 1) / thread_count_),
                         std::memory_order_release);
  }
  call_.store(call, std::memory_order_relaxed);
  body_.store(body, std::memory_order_relaxed);
  loop_.store(loop);  // sequentially consistent with sleepers_: a worker either sees this or is seen asleep
  if (sleepers_.load() > 0) {
    std::lock_guard<std::mutex> lock(sleep_mutex_);
    wake_.notify_all();
  }
  work(0, loop);
  for (int spins = 0; unfinished_.load(std::memory_order_acquire) > 0; ++spins) {
    if (spins < spin_pauses) {
      pause();
    } else {
      std::this_thread::yield();
    }
  }
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
}

void ThreadPool::work(int self, std::uint32_t loop) {
  const Call call = call_.load(std::memory_order_relaxed);
  void* const body = body_.load(std::memory_order_relaxed);
  for (int k = 0; k < thread_count_; ++k) {
    Range& range = ranges_[(self + k) % thread_count_];
    std::uint64_t next = range.next.load(std::memory_order_acquire);
    for (;;) {
      const std::uint32_t task = static_cast<std::uint32_t>(next);
      if (next >> 32 != loop || task >= range.end.load(std::memory_order_acquire)) break;
      if (!range.next.compare_exchange_weak(next, next + 1, std::memory_order_acq_rel)) continue;
      try {
        call(body, task);
      } catch (...) {
        std::lock_guard<std::mutex> lock(error_mutex_);
        if (!error_) error_ = std::current_exception();
      }
      unfinished_.fetch_sub(1, std::memory_order_acq_rel);
      next = range.next.load(std::memory_order_acquire);
    }
  }
}

void ThreadPool::worker_loop(int self) {
  const FlushDenormals flushed;
  std::uint32_t seen = 0;
  for (;;) {
    for (int spins = 0; loop_.load(std::memory_order_acquire) == seen; ++spins) {
      if (spins < spin_pauses) {
        pause();
      } else if (spins < spin_pauses + spin_yields) {
        std::this_thread::yield();
      } else {
        std::unique_lock<std::mutex> lock(sleep_mutex_);
        sleepers_.fetch_add(1);
        wake_.wait(lock, [&] { return loop_.load() != seen; });
        sleepers_.fetch_sub(1);
      }
    }
    seen = loop_.load(std::memory_order_acquire);
    if (stop_) return;
    work(self, seen);
  }
}

}  // namespace lmx
