// Descriptions of matrices for Hopper's bulk tensor copies.
#pragma once

#include <cuda.h>

#include <cstdint>

#include "../backend.h"

namespace lmx::cuda {

// Boxes of box_rows x 64 elements of a row-major matrix, rows `stride` elements apart, in the 128-byte swizzle. What lies outside the
// matrix reads as 0 and is not written. `stride` is a multiple of 8, the matrix starts on 16 bytes. Throws DeviceError.
CUtensorMap tensor_map(const void* matrix, index_t rows, index_t cols, index_t stride, int box_rows);

}  // namespace lmx::cuda
