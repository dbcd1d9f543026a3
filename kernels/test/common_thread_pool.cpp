// The thread pool: every task runs exactly once, whatever the counts; loops follow one another without losing
// a task; an exception reaches the caller after the other tasks ran; idle workers that fell asleep come back.
#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "check.h"
#include "common/thread_pool.h"

using lmx::ThreadPool;

int main() {
  for (const int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    CHECK(pool.threads() == threads, "%d threads, expected %d", pool.threads(), threads);
    for (int round = 0; round < 200; ++round) {
      const int count = round % 67;
      std::vector<int> runs(count,
                            0);  // each element belongs to one task: a race would be one task run twice
      pool.parallel_for(count, [&](std::int64_t i) { ++runs[i]; });
      for (int i = 0; i < count; ++i)
        CHECK(runs[i] == 1, "%d threads: task %d of %d ran %d times", threads, i, count, runs[i]);
    }

    std::atomic<int> done{0};
    bool caught = false;
    try {
      pool.parallel_for(20, [&](std::int64_t i) {
        if (i == 7) throw std::runtime_error("task 7");
        ++done;
      });
    } catch (const std::runtime_error& error) {
      caught = std::string(error.what()) == "task 7";
    }
    CHECK(caught, "the exception of a task was lost");
    CHECK(threads == 1 || done == 19, "%d of 19 other tasks ran", done.load());

    // Denormals are flushed in tasks, on whichever thread, and nowhere else.
    volatile float tiny = 1e-30f;
    std::vector<float> products(64, 1);
    pool.parallel_for(64, [&](std::int64_t i) { products[i] = tiny * 1e-10f; });
    for (const float product : products)
      CHECK(product == 0, "%d threads: a denormal survived: %g", threads, product);
    CHECK(tiny * 1e-10f > 0, "denormals are still flushed outside the tasks");

    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    std::atomic<int> sum{0};
    pool.parallel_for(100, [&](std::int64_t i) { sum += int(i); });
    CHECK(sum == 4950, "after a pause: sum %d", sum.load());
  }
  return TEST_RESULT();
}
