// Wall-clock timing for the benchmarks: interleaved repeats, of which the fastest counts (the machine may be shared).
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <vector>

namespace lmx::bench {

inline double seconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// The fastest of several interleaved repeats of each piece of work, in seconds, after one unmeasured round.
inline std::vector<double> fastest(const std::vector<std::function<void()>>& works, double budget_seconds) {
  std::vector<double> best;
  for (const auto& work : works) {
    work();
    best.push_back(seconds(work));
  }
  const auto start = std::chrono::steady_clock::now();
  for (int round = 0; round < 3 || std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() <
                                       budget_seconds;
       ++round) {
    for (std::size_t i = 0; i < works.size(); ++i) best[i] = std::min(best[i], seconds(works[i]));
  }
  return best;
}

}  // namespace lmx::bench
