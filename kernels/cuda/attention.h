// Attention on the device: cuDNN where it is there and takes the shape, our own kernels otherwise. Which one serves a shape is
// decided once, so forward and backward of a run always agree.
#pragma once

#include <memory>
#include <string>

#include "attention_cudnn.h"

namespace lmx::cuda {

// Scratch for either implementation.
std::size_t attention_workspace(const AttentionShape&);

class Attention {
 public:
  // LAYERMIX_ATTENTION=own leaves cuDNN alone (tests compare the two).
  Attention();

  // The meaning of every argument is that of Backend::attention_*. The first call of a shape must not be captured.
  void forward(const AttentionShape&, const void* qkv, void* out, float* lse, void* workspace, std::size_t workspace_bytes,
               cudaStream_t);
  // Forward where no backward follows: less workspace serves.
  void forward_only(const AttentionShape&, const void* qkv, void* out, float* lse, void* workspace, std::size_t workspace_bytes,
                    cudaStream_t);
  void backward(const AttentionShape&, const void* dout, const void* qkv, const void* out, const float* lse, void* dqkv,
                void* workspace, std::size_t workspace_bytes, cudaStream_t);

  // Null where cuDNN is not used; `why_not_cudnn` then says why.
  CudnnAttention* cudnn() { return cudnn_.get(); }
  const std::string& why_not_cudnn() const { return why_not_cudnn_; }

 private:
  std::unique_ptr<CudnnAttention> cudnn_;
  std::string why_not_cudnn_;
};

}  // namespace lmx::cuda
