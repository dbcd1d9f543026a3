// How long the device worked on a step: from before its first operation to after its last, by the device's own clock.
#pragma once

#include <cuda_runtime.h>

#include "check.h"

namespace lmx::cuda {

class StepTimer {
 public:
  StepTimer() {
    check(cudaEventCreate(&begin_), "cudaEventCreate");
    check(cudaEventCreate(&end_), "cudaEventCreate");
  }
  ~StepTimer() {
    cudaEventDestroy(begin_);
    cudaEventDestroy(end_);
  }
  StepTimer(const StepTimer&) = delete;
  StepTimer& operator=(const StepTimer&) = delete;

  void begin(cudaStream_t stream) {
    check(cudaEventRecord(begin_, stream), "cudaEventRecord");
    began_ = true;
  }
  void end(cudaStream_t stream) {
    if (began_) check(cudaEventRecord(end_, stream), "cudaEventRecord");
  }
  // Of the last step; the stream has been waited for since its end.
  double seconds() const {
    float milliseconds = 0;
    if (began_) check(cudaEventElapsedTime(&milliseconds, begin_, end_), "cudaEventElapsedTime");
    return 1e-3 * milliseconds;
  }

 private:
  cudaEvent_t begin_ = nullptr, end_ = nullptr;
  bool began_ = false;
};

}  // namespace lmx::cuda
