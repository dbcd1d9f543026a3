// Attention on the device: cuDNN where it is there and takes the shape, our own kernels otherwise - and for the backward on Hopper, where
// they are faster than cuDNN's deterministic one. Which one serves a shape is decided once.
#pragma once

#include <memory>
#include <string>

#include "attention_cudnn.h"

namespace lmx::cuda {

// Scratch for any implementation.
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

  // How much of a workspace of so many bytes the backward may write.
  std::size_t backward_uses(const AttentionShape&, std::size_t workspace_bytes) const;

  // Null where cuDNN is not used; `why_not_cudnn` then says why.
  CudnnAttention* cudnn() { return cudnn_.get(); }
  const std::string& why_not_cudnn() const { return why_not_cudnn_; }

 private:
  bool backward_on_hopper(const AttentionShape&) const;

  bool hopper_;  // the current device has the kernels of attention_wgmma.cuh
  std::shared_ptr<CudnnAttention> cudnn_;
  std::string why_not_cudnn_;
};

}  // namespace lmx::cuda
