// What is enqueued on a stream, recorded as a CUDA graph and replayed in one launch.
#pragma once

#include <cuda_runtime.h>

#include "check.h"

namespace lmx::cuda {

class Recording {
 public:
  // From here to the constructor, calls on the stream are recorded instead of executed.
  static void begin(cudaStream_t stream) {
    check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
  }
  // Forgets what was recorded since begin().
  static void abandon(cudaStream_t stream) {
    cudaGraph_t unfinished = nullptr;
    cudaStreamEndCapture(stream, &unfinished);
    if (unfinished != nullptr) cudaGraphDestroy(unfinished);
    cudaGetLastError();
  }

  // Takes what was recorded since begin().
  explicit Recording(cudaStream_t stream) {
    cudaGraph_t recorded = nullptr;
    check(cudaStreamEndCapture(stream, &recorded), "cudaStreamEndCapture");
    const cudaError_t status = cudaGraphInstantiate(&replay_, recorded, 0);
    cudaGraphDestroy(recorded);
    check(status, "cudaGraphInstantiate");
  }
  // Records what `work` enqueues.
  template <class Work>
  Recording(cudaStream_t stream, const Work& work) : Recording(recorded(stream, work)) {}
  ~Recording() { cudaGraphExecDestroy(replay_); }
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

  void launch(cudaStream_t stream) const { check(cudaGraphLaunch(replay_, stream), "cudaGraphLaunch"); }

 private:
  template <class Work>
  static cudaStream_t recorded(cudaStream_t stream, const Work& work) {
    begin(stream);
    try {
      work();
    } catch (...) {
      abandon(stream);
      throw;
    }
    return stream;
  }

  cudaGraphExec_t replay_ = nullptr;
};

}  // namespace lmx::cuda
