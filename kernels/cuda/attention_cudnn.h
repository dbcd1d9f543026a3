// cuDNN's fused attention, opened at run time. A graph is built once per shape, before any capture.
//
// Its deterministic backward keeps one fp32 dq per 128 keys, time/128 times the size of q. So backward runs slice by slice - some
// sequences, or some heads of one - and a slice is chosen such that this stays below kCudnnScratchLimit.
// Times that are no multiple of 128 are not given to cuDNN: its deterministic backward reads beyond them (9.14).
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <memory>
#include <string>

#include "../backend.h"

namespace lmx::cuda {

constexpr std::size_t kCudnnScratchLimit = std::size_t{4} << 30;

// What one call of cuDNN's backward works on: `batch` sequences and `kv_heads` of the kv heads, with the heads that read them.
struct AttentionSlice {
  index_t batch, kv_heads;
};

// The slice of a shape, and the workspace its backward takes (an upper bound): functions of the shape alone.
AttentionSlice cudnn_slice(const AttentionShape&);
std::size_t cudnn_workspace(const AttentionShape&);

// Whether the shape is one for cuDNN at all.
bool cudnn_takes(const AttentionShape&);

class CudnnAttention {
 public:
  // The current device's, one for the whole process: building a graph takes a tenth of a second and more. Null where cuDNN cannot be
  // opened; `reason` then says why. May be called by several threads.
  static std::shared_ptr<CudnnAttention> open(std::string* reason);
  virtual ~CudnnAttention() = default;

  // Every call may come from any thread; one waits for another, a build for a launch too. Graphs are kept to the end of the process.

  // Builds the graphs of a shape where they are new. False where cuDNN refuses the shape or wants more than workspace_bytes.
  virtual bool prepare(const AttentionShape&, std::size_t workspace_bytes) = 0;
  // The same for forward alone.
  virtual bool prepare_forward(const AttentionShape&, std::size_t workspace_bytes) = 0;

  // The meaning of every argument is that of Backend::attention_*; the shape has been prepared.
  virtual void forward(const AttentionShape&, const void* qkv, void* out, float* lse, void* workspace, cudaStream_t) = 0;
  virtual void backward(const AttentionShape&, const void* dout, const void* qkv, const void* out, const float* lse,
                        void* dqkv, void* workspace, cudaStream_t) = 0;
};

}  // namespace lmx::cuda
