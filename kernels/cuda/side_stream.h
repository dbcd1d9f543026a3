// A second stream for work that nothing waits for until the gradients are read: the products that make weight gradients run beside the
// chain of input gradients, filling the multiprocessors that the end of every kernel leaves idle. Captured, the two become branches of
// the step's graph.
//
// Work on the side runs in the order of its submission, after everything submitted to the main stream before it. What it touches must
// not change under it: before the main stream writes to memory, before_write makes it wait. So results do not depend on
// timing. Only with LAYERMIX_CUDA_SIDE=1 in the environment, until a GPU has shown what it gains.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <initializer_list>
#include <vector>

#include "check.h"

namespace lmx::cuda {

struct Range {
  const void* data;
  std::size_t bytes;
  bool overlaps(const Range& other) const {
    const auto *mine = static_cast<const char*>(data), *theirs = static_cast<const char*>(other.data);
    return mine < theirs + other.bytes && theirs < mine + bytes;
  }
};

class SideStream {
 public:
  SideStream() {
    check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreate");
    check(cudaEventCreateWithFlags(&fork_, cudaEventDisableTiming), "cudaEventCreate");
  }
  ~SideStream() {
    cudaStreamSynchronize(stream_);
    for (const Work& work : pending_) cudaEventDestroy(work.done);
    for (cudaEvent_t event : spare_) cudaEventDestroy(event);
    cudaEventDestroy(fork_);
    cudaStreamDestroy(stream_);
  }
  SideStream(const SideStream&) = delete;
  SideStream& operator=(const SideStream&) = delete;

  bool enabled() const { return enabled_; }

  // Calls enqueue(stream) with the side's stream, behind what `main` has been given so far. `touched`: what this work reads and writes.
  template <class Enqueue>
  void run(cudaStream_t main, std::initializer_list<Range> touched, const Enqueue& enqueue) {
    check(cudaEventRecord(fork_, main), "cudaEventRecord");
    check(cudaStreamWaitEvent(stream_, fork_, 0), "cudaStreamWaitEvent");
    enqueue(stream_);
    if (spare_.empty()) {
      spare_.push_back(nullptr);
      check(cudaEventCreateWithFlags(&spare_.back(), cudaEventDisableTiming), "cudaEventCreate");
    }
    pending_.push_back({touched, spare_.back()});
    spare_.pop_back();
    check(cudaEventRecord(pending_.back().done, stream_), "cudaEventRecord");
  }

  // `main` is about to write to the range: waits for the last work that touches it, and so for all before that.
  void before_write(cudaStream_t main, Range range) {
    for (std::size_t i = pending_.size(); i-- > 0;) {
      for (const Range& touched : pending_[i].touched) {
        if (range.overlaps(touched)) return wait_for(main, i + 1);
      }
    }
  }

  // `main` waits for everything.
  void join(cudaStream_t main) {
    if (!pending_.empty()) wait_for(main, pending_.size());
  }

  // Forgets work whose recording was abandoned.
  void forget() {
    for (const Work& work : pending_) spare_.push_back(work.done);
    pending_.clear();
  }

 private:
  struct Work {
    std::vector<Range> touched;
    cudaEvent_t done;
  };
  void wait_for(cudaStream_t main, std::size_t count) {
    check(cudaStreamWaitEvent(main, pending_[count - 1].done, 0), "cudaStreamWaitEvent");
    for (; count > 0; --count) {
      spare_.push_back(pending_.front().done);
      pending_.pop_front();
    }
  }
  static bool wanted() {
    const char* choice = std::getenv("LAYERMIX_CUDA_SIDE");
    return choice != nullptr && std::strcmp(choice, "1") == 0;
  }

  cudaStream_t stream_ = nullptr;
  cudaEvent_t fork_ = nullptr;
  std::deque<Work> pending_;  // oldest first
  std::vector<cudaEvent_t> spare_;
  const bool enabled_ = wanted();
};

}  // namespace lmx::cuda
