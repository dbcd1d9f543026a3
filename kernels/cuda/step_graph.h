// A training step as one CUDA graph. The first step runs call by call, which lets every shape choose its algorithm; the second
// is captured while it is enqueued, then launched; later ones are replayed. Same kernels in the same order: same bits.
// LAYERMIX_CUDA_GRAPH=0 in the environment leaves every step as separate launches, for profilers and for the test that compares.
#pragma once

#include <cstdlib>
#include <cstring>
#include <optional>

#include "recording.h"

namespace lmx::cuda {

class StepGraph {
 public:
  StepGraph() = default;
  StepGraph(const StepGraph&) = delete;
  StepGraph& operator=(const StepGraph&) = delete;

  // False when a recording existed and has been launched: the caller makes no calls and does not end the step.
  bool begin(cudaStream_t stream) {
    if (capturing_) {  // the last step was left half-way by throwing
      Recording::abandon(stream);
      capturing_ = false;
    }
    if (step_) {
      step_->launch(stream);
      return false;
    }
    if (warm_ && enabled_) {
      Recording::begin(stream);
      capturing_ = true;
    }
    return true;
  }

  void end(cudaStream_t stream) {
    warm_ = true;
    if (!capturing_) return;
    capturing_ = false;
    step_.emplace(stream);
    step_->launch(stream);
  }

  // Forgets the recording: the buffers it points to are about to change.
  void reset() {
    step_.reset();
    warm_ = false;
  }

 private:
  static bool wanted() {
    const char* choice = std::getenv("LAYERMIX_CUDA_GRAPH");
    return choice == nullptr || std::strcmp(choice, "0") != 0;
  }

  std::optional<Recording> step_;
  const bool enabled_ = wanted();
  bool warm_ = false, capturing_ = false;
};

}  // namespace lmx::cuda
