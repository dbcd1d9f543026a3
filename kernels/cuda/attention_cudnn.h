// cuDNN's fused attention, opened at run time. A graph is built once per shape, before any capture; its backward runs the
// deterministic algorithm.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <memory>
#include <string>

#include "../backend.h"

namespace lmx::cuda {

class CudnnAttention {
 public:
  // Null where cuDNN cannot be opened; `reason` then says why.
  static std::unique_ptr<CudnnAttention> open(std::string* reason);
  virtual ~CudnnAttention() = default;

  // Builds the graphs of a shape where they are new. False where cuDNN refuses the shape or needs more workspace than given.
  virtual bool prepare(const AttentionShape&, std::size_t workspace_bytes) = 0;

  // The meaning of every argument is that of Backend::attention_*; the shape has been prepared.
  virtual void forward(const AttentionShape&, const void* qkv, void* out, float* lse, void* workspace, cudaStream_t) = 0;
  virtual void backward(const AttentionShape&, const void* dout, const void* qkv, const void* out, const float* lse,
                        void* dqkv, void* workspace, cudaStream_t) = 0;

  // Bytes of workspace the graphs of a prepared shape ask for, forward and backward.
  virtual std::size_t forward_workspace(const AttentionShape&) = 0;
  virtual std::size_t backward_workspace(const AttentionShape&) = 0;
};

}  // namespace lmx::cuda
