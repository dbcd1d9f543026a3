// A training step as one CUDA graph. The first step runs call by call, which lets every shape choose its algorithm; the second
// is captured while it is enqueued, then launched; later ones are replayed. Same kernels in the same order: same bits.
// LAYERMIX_CUDA_GRAPH=0 in the environment leaves every step as separate launches, for profilers and for the test that compares.
#pragma once

#include <cuda_runtime.h>

#include <cstdlib>
#include <cstring>

#include "check.h"

namespace lmx::cuda {

class StepGraph {
 public:
  StepGraph() = default;
  ~StepGraph() { reset(); }
  StepGraph(const StepGraph&) = delete;
  StepGraph& operator=(const StepGraph&) = delete;

  // False when a recording existed and has been launched: the caller makes no calls and does not end the step.
  bool begin(cudaStream_t stream) {
    if (graph_ != nullptr) {
      check(cudaGraphLaunch(graph_, stream), "cudaGraphLaunch");
      return false;
    }
    if (warm_ && enabled_) {
      check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
      capturing_ = true;
    }
    return true;
  }

  void end(cudaStream_t stream) {
    warm_ = true;
    if (!capturing_) return;
    cudaGraph_t recorded = nullptr;
    capturing_ = false;
    check(cudaStreamEndCapture(stream, &recorded), "cudaStreamEndCapture");
    const cudaError_t status = cudaGraphInstantiate(&graph_, recorded, 0);
    cudaGraphDestroy(recorded);
    check(status, "cudaGraphInstantiate");
    check(cudaGraphLaunch(graph_, stream), "cudaGraphLaunch");
  }

  // Forgets the recording: the buffers it points to are about to change.
  void reset() {
    if (graph_ != nullptr) cudaGraphExecDestroy(graph_);
    graph_ = nullptr;
    warm_ = false;
  }

  // Call before begin: drops a recording that the last step left half-way by throwing.
  void abandon(cudaStream_t stream) {
    if (!capturing_) return;
    cudaGraph_t unfinished = nullptr;
    cudaStreamEndCapture(stream, &unfinished);
    if (unfinished != nullptr) cudaGraphDestroy(unfinished);
    cudaGetLastError();
    capturing_ = false;
  }

 private:
  static bool wanted() {
    const char* choice = std::getenv("LAYERMIX_CUDA_GRAPH");
    return choice == nullptr || std::strcmp(choice, "0") != 0;
  }

  cudaGraphExec_t graph_ = nullptr;
  const bool enabled_ = wanted();
  bool warm_ = false, capturing_ = false;
};

}  // namespace lmx::cuda
