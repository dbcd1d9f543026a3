// Mamba-2's SSD scan (arXiv 2405.21060, section 6) on tensor cores, forward and exact backward. The meaning
// of every argument is that of Backend::ssd_scan_*, with three differences:
//   - the device works in chunks of kSsdChunk steps, whatever SsdShape::chunk says; the result is the same;
//   - `states` is the device's own: bf16, ssd_scan_states_bytes(shape), at the start of every such chunk;
//   - `workspace` holds ssd_scan_workspace(shape) bytes, whose content means nothing before and after a call - but for what waits at the
//     end of the one that ColumnSums is bound to: da_log, dd and ddt_bias are complete when that is flushed.
// head_dim 32, 64, 128 or 256; state a multiple of 8 up to 256; x, B, C rows dense. Anything else:
// InvalidArgument. All launches are functions of the shape alone, nothing waits, and sums are added in a
// fixed order.
#pragma once

#include <cuda_runtime.h>

#include "../backend.h"
#include "column_sums.cuh"
#include "pack.cuh"

namespace lmx::cuda {

constexpr index_t kSsdChunk = 128;

std::size_t ssd_scan_states_bytes(const SsdShape&);
std::size_t ssd_scan_workspace(const SsdShape&);
// What a forward pass alone uses of it.
std::size_t ssd_scan_forward_workspace(const SsdShape&);

// Throws InvalidArgument where the device has no kernel for the shape; the message names the value.
void ssd_scan_require(const SsdShape&);

void ssd_scan_forward(const SsdShape&, const bf16* xbc, StridedOf<const bf16*> dt, const float* a_log,
                      const float* d, const float* dt_bias, const float* initial_state, bf16* y, bf16* states,
                      float* final_state, void* workspace, cudaStream_t);

void ssd_scan_backward(const SsdShape&, const bf16* dy, const bf16* xbc, StridedOf<const bf16*> dt,
                       const float* a_log, const float* d, const float* dt_bias, const bf16* states,
                       const float* dfinal_state, bf16* dxbc, StridedOf<bf16*> ddt, float* da_log, float* dd,
                       float* ddt_bias, float* dinitial_state, void* workspace, ColumnSums&, cudaStream_t);

}  // namespace lmx::cuda
