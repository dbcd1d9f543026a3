// Times what a call enqueues: recorded several times over as one graph, so that launches do not count.
#pragma once

#include <algorithm>
#include <vector>

#include "cuda/recording.h"
#include "cuda/stream_timer.h"

namespace lmx::bench {

// Median milliseconds of one call over replays of `calls` of them.
template <class Call>
double replay_milliseconds(cudaStream_t stream, const Call& call, int calls = 10) {
  call();
  cuda::check(cudaStreamSynchronize(stream), "warm-up");
  const cuda::Recording recording(stream, [&] {
    for (int i = 0; i < calls; ++i) call();
  });
  cuda::StreamTimer timer;
  std::vector<double> times;
  for (int replay = 0; replay < 9; ++replay) {
    timer.begin(stream);
    recording.launch(stream);
    timer.end(stream);
    const double milliseconds = 1e3 * timer.seconds() / calls;
    if (replay > 1) times.push_back(milliseconds);  // the first ones warm up
  }
  std::nth_element(times.begin(), times.begin() + times.size() / 2, times.end());
  return times[times.size() / 2];
}

}  // namespace lmx::bench
