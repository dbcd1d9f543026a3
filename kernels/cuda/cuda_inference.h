// Decoding on a GPU: the kernels of a step, and what prompts share with training. See inference.h.
#pragma once

#include <cuda_runtime.h>

#include <functional>
#include <memory>

#include "../inference.h"
#include "attention.h"
#include "gemm.h"

namespace lmx::cuda {

// What the backend lends; all of it outlives the result.
struct InferenceParts {
  Backend& backend;
  Gemm& gemm;
  Attention& attention;
  std::function<cudaStream_t()> stream;        // makes the device current
  std::function<void*(std::size_t)> scratch;   // the bound workspace, of at least so many bytes
};

std::unique_ptr<Inference> make_inference(InferenceParts);

}  // namespace lmx::cuda
