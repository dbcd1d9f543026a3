// Element types converted on the host, for tensors that enter or leave a trainer.
#pragma once

#include <cstdint>

#include "backend.h"
#include "common/bf16.h"
#include "common/error.h"

namespace lmx {

// out[i] = in[i] for `count` elements of type `type`.
template <class Real>
void from_elements(const void* in, DType type, index_t count, Real* out) {
  switch (type) {
    case DType::f32:
      for (index_t i = 0; i < count; ++i) out[i] = static_cast<Real>(static_cast<const float*>(in)[i]);
      return;
    case DType::f64:
      for (index_t i = 0; i < count; ++i) out[i] = static_cast<Real>(static_cast<const double*>(in)[i]);
      return;
    case DType::bf16:
      for (index_t i = 0; i < count; ++i) {
        out[i] = static_cast<Real>(bf16_to_float(static_cast<const std::uint16_t*>(in)[i]));
      }
      return;
    default: throw InvalidArgument("not a floating-point element type");
  }
}

template <class Real>
void to_elements(const Real* in, index_t count, DType type, void* out) {
  switch (type) {
    case DType::f32:
      for (index_t i = 0; i < count; ++i) static_cast<float*>(out)[i] = static_cast<float>(in[i]);
      return;
    case DType::f64:
      for (index_t i = 0; i < count; ++i) static_cast<double*>(out)[i] = static_cast<double>(in[i]);
      return;
    case DType::bf16:
      for (index_t i = 0; i < count; ++i) {
        static_cast<std::uint16_t*>(out)[i] = float_to_bf16(static_cast<float>(in[i]));
      }
      return;
    default: throw InvalidArgument("not a floating-point element type");
  }
}

}  // namespace lmx
