// The SSD scan for head_dims and states that the tensor-core kernels do not take: x, B and C are copied into rows with zeros at
// the end of every head and group, and results are copied back. Zeros change nothing: they add nothing to any sum.
// Backward makes the states again instead of keeping wider ones. Initial and final states are not supported here.
#pragma once

#include <cuda_runtime.h>

#include "../backend.h"
#include "column_sums.cuh"
#include "pack.cuh"

namespace lmx::cuda {

// Whether a shape needs padding; and the shape it is padded to.
bool ssd_scan_needs_padding(const SsdShape&);
SsdShape ssd_scan_padded_shape(const SsdShape&);

std::size_t ssd_scan_padded_workspace(const SsdShape&);
std::size_t ssd_scan_padded_forward_workspace(const SsdShape&);  // enough for the forward scan

void ssd_scan_padded_forward(const SsdShape&, const bf16* xbc, StridedOf<const bf16*> dt, const float* a_log,
                             const float* d, const float* dt_bias, bf16* y, void* workspace, cudaStream_t);
void ssd_scan_padded_backward(const SsdShape&, const bf16* dy, const bf16* xbc, StridedOf<const bf16*> dt,
                              const float* a_log, const float* d, const float* dt_bias, bf16* dxbc,
                              StridedOf<bf16*> ddt, float* da_log, float* dd, float* ddt_bias, void* workspace,
                              ColumnSums&, cudaStream_t);

}  // namespace lmx::cuda
