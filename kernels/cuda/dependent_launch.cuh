// Kernels of a decoding step, which last microseconds, start while the kernel before them ends (programmatic dependent launch, compute
// capability 9.0). The rules that make it safe:
//   - a kernel launched with launch_dependent() calls wait_for_previous() in every thread before it touches anything that a kernel
//     writes; before that it may read weights;
//   - it calls let_next_start() only after that. So at most two kernels overlap, and whatever the one before the
//     previous one wrote is there.
// On older cards, and with LAYERMIX_DEPENDENT_LAUNCH=0 in the environment, these are ordinary launches.
#pragma once

#include <cuda_runtime.h>

#include <utility>

namespace lmx::cuda {

// Whether the current device and the environment allow it.
bool dependent_launches();

template <class... Parameters, class... Arguments>
cudaError_t launch_dependent(void (*kernel)(Parameters...), dim3 grid, dim3 block, std::size_t shared_bytes, cudaStream_t stream,
                             Arguments&&... arguments) {
  cudaLaunchAttribute attribute{};
  attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attribute.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = shared_bytes;
  config.stream = stream;
  config.attrs = &attribute;
  config.numAttrs = dependent_launches() ? 1 : 0;
  return cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...);
}

__device__ __forceinline__ void wait_for_previous() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

__device__ __forceinline__ void let_next_start() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

}  // namespace lmx::cuda
