// bf16 on the host: the upper half of a float.
#pragma once

#include <cstdint>
#include <cstring>

namespace lmx {

// The float nearest to a bf16 is exact; the bf16 nearest to a float rounds half to even and keeps NaN a NaN.
inline float bf16_to_float(std::uint16_t bits) {
  const std::uint32_t wide = std::uint32_t{bits} << 16;
  float value;
  std::memcpy(&value, &wide, sizeof value);
  return value;
}
inline std::uint16_t float_to_bf16(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  if (value != value) return static_cast<std::uint16_t>((bits >> 16) | 0x40u);
  return static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

// What is left of a number that is stored as bf16.
inline double bf16_rounded(double value) { return bf16_to_float(float_to_bf16(static_cast<float>(value))); }

}  // namespace lmx
