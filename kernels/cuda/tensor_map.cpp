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

// Sizes in elements and boxes from the innermost dimension out; a box's row is as wide as the swizzle.
template <int kDimensions>
CUtensorMap encode(const void* array, const cuuint64_t (&sizes)[kDimensions], const cuuint32_t (&box)[kDimensions]) {
  static const Encode call = encoder();
  CUtensorMap map;
  cuuint64_t strides[kDimensions];  // bytes, from the second dimension on
  cuuint32_t steps[kDimensions];
  for (int k = 0; k < kDimensions; ++k) {
    strides[k] = sizes[k] * (k == 0 ? 2 : strides[k - 1]);
    steps[k] = 1;
  }
  const CUtensorMapSwizzle swizzle = box[0] == 64 ? CU_TENSOR_MAP_SWIZZLE_128B : CU_TENSOR_MAP_SWIZZLE_64B;
  const CUresult status = call(&map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, kDimensions, const_cast<void*>(array), sizes, strides, box, steps,
                               CU_TENSOR_MAP_INTERLEAVE_NONE, swizzle, CU_TENSOR_MAP_L2_PROMOTION_L2_128B,
                               CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (status != CUDA_SUCCESS) throw DeviceError("cuTensorMapEncodeTiled: status " + std::to_string(status));
  return map;
}

}  // namespace

CUtensorMap tensor_map(const void* array, index_t rows, index_t columns, int box_rows) {
  return encode<2>(array, {static_cast<cuuint64_t>(columns), static_cast<cuuint64_t>(rows)}, {64, static_cast<cuuint32_t>(box_rows)});
}

CUtensorMap tensor_map(const void* array, index_t planes, index_t rows, index_t columns, int box_rows, int box_columns) {
  return encode<3>(array, {static_cast<cuuint64_t>(columns), static_cast<cuuint64_t>(rows), static_cast<cuuint64_t>(planes)},
                   {static_cast<cuuint32_t>(box_columns), static_cast<cuuint32_t>(box_rows), 1});
}

}  // namespace lmx::cuda
