// Compiled instead of attention_cudnn.cpp where the cudnn-frontend headers are not there: attention uses our own kernels.
#include "attention_cudnn.h"

namespace lmx::cuda {

std::shared_ptr<CudnnAttention> CudnnAttention::open(std::string* reason) {
  *reason = "this build has no cudnn-frontend headers";
  return nullptr;
}

}  // namespace lmx::cuda
