// Descriptions of arrays in global memory for Hopper's copy engine (hopper.cuh: copy_box). Encoded by the driver, which is asked for the
// function at run time: nothing is linked.
#pragma once

#include <cuda.h>

#include "../backend.h"

namespace lmx::cuda {

// `rows` x `columns` bf16, rows contiguous one after the other, copied in boxes of `box_rows` x 64 (128 bytes a row, 128-byte swizzle).
// Addresses and row sizes are multiples of 16 bytes.
CUtensorMap tensor_map(const void* array, index_t rows, index_t columns, int box_rows);

// Columns [0, `columns`) of `batch` times `rows` rows, `stride` elements from one to the next, as a third dimension: a box beyond the last
// row of a sequence, or the last column, is zero there, does not reach into the next, and is left out when it is written. box_columns 64, or
// 32 (64 bytes a row, 64-byte swizzle).
CUtensorMap tensor_map(const void* array, index_t batch, index_t rows, index_t columns, index_t stride, int box_rows, int box_columns = 64);

}  // namespace lmx::cuda
