// Timing for the benchmarks: interleaved repeats, of which the fastest counts (the machine may be shared).
// The clock is the wall's, or the processor time of this process for runs on one thread, which a busy machine
// disturbs less.
#pragma once

#include <algorithm>
#include <chrono>
#include <ctime>
#include <functional>
#include <vector>

namespace lmx::bench {

inline double wall_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

inline double processor_seconds() { return double(std::clock()) / CLOCKS_PER_SEC; }

// The fastest of several interleaved repeats of each piece of work, in seconds, after one unmeasured round.
inline std::vector<double> fastest(const std::vector<std::function<void()>>& works, double budget_seconds,
                                   int threads) {
  const auto now = threads == 1 ? processor_seconds : wall_seconds;
  std::vector<double> best(works.size(), 1e30);
  for (const auto& work : works) work();
  const double start = wall_seconds();
  for (int round = 0; round < 3 || wall_seconds() - start < budget_seconds; ++round) {
    for (std::size_t i = 0; i < works.size(); ++i) {
      const double before = now();
      works[i]();
      best[i] = std::min(best[i], now() - before);
    }
  }
  return best;
}

}  // namespace lmx::bench
