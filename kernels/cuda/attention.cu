#include "attention.h"

#include <algorithm>
#include <cstdlib>

#include "attention_mma.cuh"
#include "attention_wgmma.cuh"

namespace lmx::cuda {

std::size_t attention_workspace(const AttentionShape& s) {
  return std::max({cudnn_takes(s) ? cudnn_workspace(s) : 0, attention_wgmma_takes(s) ? attention_wgmma_workspace(s) : 0,
                   attention_mma_workspace(s)});
}

Attention::Attention() : hopper_(attention_wgmma_runs()) {
  const char* choice = std::getenv("LAYERMIX_ATTENTION");
  if (choice != nullptr && std::string(choice) == "own") {
    why_not_cudnn_ = "LAYERMIX_ATTENTION=own";
  } else {
    cudnn_ = CudnnAttention::open(&why_not_cudnn_);
  }
}

void Attention::forward(const AttentionShape& s, const void* qkv, void* out, float* lse, void* workspace,
                        std::size_t workspace_bytes, cudaStream_t stream) {
  if (backward_on_hopper(s)) return forward_only(s, qkv, out, lse, workspace, workspace_bytes, stream);
  if (cudnn_ && cudnn_->prepare(s, workspace_bytes)) {
    cudnn_->forward(s, qkv, out, lse, workspace, stream);
  } else {
    attention_mma_forward(s, static_cast<const bf16*>(qkv), static_cast<bf16*>(out), lse, stream);
  }
}

void Attention::forward_only(const AttentionShape& s, const void* qkv, void* out, float* lse, void* workspace,
                             std::size_t workspace_bytes, cudaStream_t stream) {
  if (cudnn_ && cudnn_->prepare_forward(s, workspace_bytes)) {
    cudnn_->forward(s, qkv, out, lse, workspace, stream);
  } else {
    attention_mma_forward(s, static_cast<const bf16*>(qkv), static_cast<bf16*>(out), lse, stream);
  }
}

bool Attention::backward_on_hopper(const AttentionShape& s) const { return hopper_ && attention_wgmma_takes(s); }

std::size_t Attention::backward_uses(const AttentionShape& s, std::size_t workspace_bytes) const {
  return backward_on_hopper(s) ? attention_wgmma_workspace(s) : cudnn_ ? workspace_bytes : attention_mma_workspace(s);
}

void Attention::backward(const AttentionShape& s, const void* dout, const void* qkv, const void* out, const float* lse,
                         void* dqkv, void* workspace, std::size_t workspace_bytes, cudaStream_t stream) {
  if (backward_on_hopper(s)) {
    attention_wgmma_backward(s, static_cast<const bf16*>(dout), static_cast<const bf16*>(qkv), static_cast<const bf16*>(out), lse,
                             static_cast<bf16*>(dqkv), workspace, stream);
  } else if (cudnn_ && cudnn_->prepare(s, workspace_bytes)) {
    cudnn_->backward(s, dout, qkv, out, lse, dqkv, workspace, stream);
  } else {
    attention_mma_backward(s, static_cast<const bf16*>(dout), static_cast<const bf16*>(qkv),
                           static_cast<const bf16*>(out), lse, static_cast<bf16*>(dqkv), workspace, stream);
  }
}

}  // namespace lmx::cuda
