#include "tensor_map.h"

#include <cuda_runtime.h>

#include "check.h"

namespace lmx::cuda {
namespace {

using Encode = CUresult (*)(CUtensorMap*, CUtensorMapDataType, cuuint32_t, void*, const cuuint64_t*, const cuuint64_t*, const cuuint32_t*,
                            const cuuint32_t*, CUtensorMapInterleave, CUtensorMapSwizzle, CUtensorMapL2promotion,
                            CUtensorMapFloatOOBfill);

Encode encoder() {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found;
  check(cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000, cudaEnableDefault, &found),
        "cudaGetDriverEntryPointByVersion");
  if (found != cudaDriverEntryPointSuccess) throw DeviceError("cuTensorMapEncodeTiled: the driver does not have it");
  return reinterpret_cast<Encode>(function);
}

// `sizes` in elements, contiguous ones first; `strides` in bytes, of every dimension but the first.
template <int kDimensions>
CUtensorMap encoded(const void* array, const cuuint64_t (&sizes)[kDimensions], const cuuint64_t (&strides)[kDimensions - 1],
                    const cuuint32_t (&box)[kDimensions]) {
  static const Encode encode = encoder();
  CUtensorMap map;
  cuuint32_t steps[kDimensions];
  for (cuuint32_t& step : steps) step = 1;
  const CUtensorMapSwizzle swizzle = box[0] == 64 ? CU_TENSOR_MAP_SWIZZLE_128B : CU_TENSOR_MAP_SWIZZLE_64B;
  const CUresult status =
      encode(&map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, kDimensions, const_cast<void*>(array), sizes, strides, box, steps,
             CU_TENSOR_MAP_INTERLEAVE_NONE, swizzle, CU_TENSOR_MAP_L2_PROMOTION_L2_128B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (status != CUDA_SUCCESS) throw DeviceError("cuTensorMapEncodeTiled: status " + std::to_string(status));
  return map;
}

cuuint64_t number(index_t value) { return static_cast<cuuint64_t>(value); }

}  // namespace

CUtensorMap tensor_map(const void* array, index_t rows, index_t columns, int box_rows) {
  return encoded<2>(array, {number(columns), number(rows)}, {number(columns) * 2}, {64, static_cast<cuuint32_t>(box_rows)});
}

CUtensorMap tensor_map(const void* array, index_t batch, index_t rows, index_t columns, index_t stride, int box_rows, int box_columns) {
  return encoded<3>(array, {number(columns), number(rows), number(batch)}, {number(stride) * 2, number(stride * rows) * 2},
                    {static_cast<cuuint32_t>(box_columns), static_cast<cuuint32_t>(box_rows), 1});
}

}  // namespace lmx::cuda
