// Host-to-device copies that neither wait nor need pinned memory of the caller: bytes pass through a pinned ring. A region of
// the ring is used again only when the copy that read it has finished.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <deque>

#include "check.h"

namespace lmx::cuda {

class UploadRing {
 public:
  static constexpr std::size_t capacity = std::size_t{4} << 20;

  UploadRing() { check(cudaMallocHost(&ring_, capacity), "cudaMallocHost"); }
  ~UploadRing() {
    while (!pending_.empty()) retire();
    cudaFreeHost(ring_);
  }
  UploadRing(const UploadRing&) = delete;
  UploadRing& operator=(const UploadRing&) = delete;

  // The source may change as soon as this returns.
  void upload(void* destination, const void* source, std::size_t bytes, cudaStream_t stream) {
    if (bytes > capacity / 2) {  // rare and large: parameters
      check(cudaMemcpyAsync(destination, source, bytes, cudaMemcpyHostToDevice, stream), "cudaMemcpyAsync");
      check(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
      return;
    }
    if (next_ + bytes > capacity) next_ = 0;
    // Not only the front: where the ring's end was left unused, what is pending there is older than what this overwrites.
    while (std::any_of(pending_.begin(), pending_.end(), [&](const Region& r) { return overlaps(r, next_, bytes); })) retire();
    std::memcpy(static_cast<char*>(ring_) + next_, source, bytes);
    check(cudaMemcpyAsync(destination, static_cast<char*>(ring_) + next_, bytes, cudaMemcpyHostToDevice, stream),
          "cudaMemcpyAsync");
    cudaEvent_t done = nullptr;
    check(cudaEventCreateWithFlags(&done, cudaEventDisableTiming), "cudaEventCreate");
    check(cudaEventRecord(done, stream), "cudaEventRecord");
    pending_.push_back({next_, bytes, done});
    next_ += (bytes + 255) / 256 * 256;
  }

 private:
  struct Region {
    std::size_t offset, bytes;
    cudaEvent_t done;
  };
  static bool overlaps(const Region& r, std::size_t offset, std::size_t bytes) {
    return r.offset < offset + bytes && offset < r.offset + r.bytes;
  }
  void retire() {
    cudaEventSynchronize(pending_.front().done);
    cudaEventDestroy(pending_.front().done);
    pending_.pop_front();
  }

  void* ring_ = nullptr;
  std::size_t next_ = 0;
  std::deque<Region> pending_;  // oldest first
};

}  // namespace lmx::cuda
