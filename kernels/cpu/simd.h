// Portable vectors of floats on the vector extension of GCC and Clang, as wide as the target's registers
// (AVX-512, AVX, NEON, SSE); the only intrinsics are AVX-512's masked load and store. Elementary functions
// are accurate to a few ulp (kernels/test/simd.cpp) and give the same bits for the same input in every lane.
// Loops over n elements go through for_each_vector, which hands the rest to partial loads and stores.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>

#include "../backend.h"

#if defined(__AVX512F__)
#include <immintrin.h>
#define LMX_VECTOR_BYTES 64
#elif defined(__AVX__)
#define LMX_VECTOR_BYTES 32
#else
#define LMX_VECTOR_BYTES 16
#endif

#define LMX_INLINE inline __attribute__((always_inline))

namespace lmx::simd {

typedef float Floats __attribute__((vector_size(LMX_VECTOR_BYTES)));
typedef std::int32_t Ints __attribute__((vector_size(LMX_VECTOR_BYTES)));

// Half as many doubles: what one half of a vector of floats widens to.
typedef double Doubles __attribute__((vector_size(LMX_VECTOR_BYTES)));
typedef float HalfFloats __attribute__((vector_size(LMX_VECTOR_BYTES / 2)));

constexpr index_t lanes = LMX_VECTOR_BYTES / 4;

LMX_INLINE Floats splat(float x) { return x - Floats{}; }
LMX_INLINE Ints splat(std::int32_t x) { return x - Ints{}; }

LMX_INLINE Floats load(const float* p) {
  Floats v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
LMX_INLINE void store(float* p, Floats v) { std::memcpy(p, &v, sizeof v); }

// The first `count` lanes; the others are zero, and their memory is not touched. AVX-512 has masks for this;
// elsewhere it is a loop, which only ever meets the last vector of a row.
LMX_INLINE Floats load(const float* p, index_t count) {
  if (count >= lanes) return load(p);
#if defined(__AVX512F__)
  return (Floats)_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << count) - 1), p);
#else
  float lane[lanes] = {};
  for (index_t i = 0; i < count; ++i) lane[i] = p[i];
  return load(lane);
#endif
}
LMX_INLINE void store(float* p, Floats v, index_t count) {
  if (count >= lanes) return store(p, v);
#if defined(__AVX512F__)
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << count) - 1), (__m512)v);
#else
  float lane[lanes];
  store(lane, v);
  for (index_t i = 0; i < count; ++i) p[i] = lane[i];
#endif
}

// The lower (0) or upper (1) half in double.
template <int half>
LMX_INLINE Doubles widen(Floats v) {
  HalfFloats part;
  std::memcpy(&part, reinterpret_cast<const char*>(&v) + half * sizeof part, sizeof part);
  return __builtin_convertvector(part, Doubles);
}
// p[0 .. lanes/2) += v.
LMX_INLINE void add(double* p, Doubles v) {
  Doubles old;
  std::memcpy(&old, p, sizeof old);
  old += v;
  std::memcpy(p, &old, sizeof old);
}
LMX_INLINE double sum(Doubles v) {
  double total = v[0];
  for (index_t i = 1; i < lanes / 2; ++i) total += v[i];
  return total;
}

// The second operand where either is NaN.
LMX_INLINE Floats min(Floats a, Floats b) { return a < b ? a : b; }
LMX_INLINE Floats max(Floats a, Floats b) { return a > b ? a : b; }

LMX_INLINE Ints bits(Floats v) {
  Ints i;
  std::memcpy(&i, &v, sizeof i);
  return i;
}
LMX_INLINE Floats from_bits(Ints i) {
  Floats v;
  std::memcpy(&v, &i, sizeof v);
  return v;
}
LMX_INLINE Floats abs(Floats v) { return from_bits(bits(v) & 0x7fffffff); }

LMX_INLINE Floats sqrt(Floats v) {
  for (index_t i = 0; i < lanes; ++i) v[i] = std::sqrt(v[i]);
  return v;
}

// Sum of the lanes, pairwise, always in the same order.
LMX_INLINE float sum(Floats v) {
  float lane[lanes];
  std::memcpy(lane, &v, sizeof v);
  for (index_t half = lanes / 2; half > 0; half /= 2) {
    for (index_t i = 0; i < half; ++i) lane[i] += lane[i + half];
  }
  return lane[0];
}
LMX_INLINE float maximum(Floats v) {
  float lane[lanes];
  std::memcpy(lane, &v, sizeof v);
  for (index_t half = lanes / 2; half > 0; half /= 2) {
    for (index_t i = 0; i < half; ++i) lane[i] = lane[i] > lane[i + half] ? lane[i] : lane[i + half];
  }
  return lane[0];
}

// e^x. x = n·ln2 + r with |r| <= ln2/2; e^r = 1 + r + r²·q(r), q of degree 4 through the Chebyshev nodes of
// that interval (relative error 1e-8); n goes to the exponent field. Outside [-87.3, 88.3] the result stays
// at the end's (1.2e-38, 2.2e38); NaN stays NaN.
LMX_INLINE Floats exp(Floats x) {
  const Floats clamped = max(splat(-87.3f), min(splat(88.3f), x));
  const Floats shifted = clamped * 1.44269504088896341f + 12582912.0f;  // 1.5·2²³ rounds to an integer
  const Floats n = shifted - 12582912.0f;
  const Floats r = (clamped - n * 0.693145751953125f) - n * 1.42860682030941723e-6f;
  Floats q = splat(1.3926213466e-3f);
  q = q * r + 8.3632029716e-3f;
  q = q * r + 4.1666554438e-2f;
  q = q * r + 1.6666576846e-1f;
  q = q * r + 0.5f;
  const Floats p = 1.0f + (r + r * r * q);
  const Ints exponent = (bits(shifted) - 0x4b400000 + 127) << 23;
  return p * from_bits(exponent);
}

// ln x for positive, normal x. x = m·2^e with m in [sqrt(1/2), sqrt(2)), then ln m = 2·atanh(t), t =
// (m-1)/(m+1).
LMX_INLINE Floats log(Floats x) {
  const Ints shifted = bits(x) - 0x3f3504f3;  // sqrt(1/2)
  const Ints exponent = shifted >> 23;
  const Floats m = from_bits(bits(x) - (exponent << 23));
  const Floats e = __builtin_convertvector(exponent, Floats);
  const Floats f = m - 1.0f;
  const Floats t = f / (m + 1.0f);
  const Floats t2 = t * t;
  Floats p = splat(0.22222222f);  // 2/9
  p = p * t2 + 0.2857142857f;
  p = p * t2 + 0.4f;
  p = p * t2 + 0.6666666667f;
  return e * 0.693145751953125f + (e * 1.42860682030941723e-6f + (t * t2 * p + 2.0f * t));
}

// ln(1 + x) for x >= 0, exact also where 1 + x rounds.
LMX_INLINE Floats log1p(Floats x) {
  const Floats w = 1.0f + x;
  const Floats rounded = w - 1.0f;
  return rounded == 0.0f ? x : log(w) * (x / (rounded == 0.0f ? splat(1.0f) : rounded));
}

LMX_INLINE Floats sigmoid(Floats x) { return 1.0f / (1.0f + exp(-x)); }
LMX_INLINE Floats softplus(Floats x) { return max(x, Floats{}) + log1p(exp(-abs(x))); }

// erf(x), absolute error below 1.5e-7 (Abramowitz & Stegun, 7.1.26); e = e^(-x²) is the caller's to share.
LMX_INLINE Floats erf(Floats x, Floats e) {
  const Floats t = 1.0f / (1.0f + 0.3275911f * abs(x));
  Floats p = splat(1.061405429f);
  p = p * t - 1.453152027f;
  p = p * t + 1.421413741f;
  p = p * t - 0.284496736f;
  p = p * t + 0.254829592f;
  const Floats magnitude = 1.0f - p * t * e;
  return x < 0.0f ? -magnitude : magnitude;
}

// body(offset, count) for every vector of n elements; count < lanes only for the last.
template <class Body>
LMX_INLINE void for_each_vector(index_t n, Body&& body) {
  index_t i = 0;
  for (; i + lanes <= n; i += lanes) body(i, lanes);
  if (i < n) body(i, n - i);
}

namespace detail {

// Lane j of the lower (or upper) result of the butterfly step that exchanges blocks of `block` lanes.
constexpr int butterfly(int j, int block, bool upper) {
  const int n = static_cast<int>(lanes);
  return upper ? ((j & block) ? n + j : j + block) : ((j & block) ? n + j - block : j);
}

template <int block, int... j>
LMX_INLINE void exchange(Floats& a, Floats& b, std::integer_sequence<int, j...>) {
  const Floats low = __builtin_shufflevector(a, b, butterfly(j, block, false)...);
  const Floats high = __builtin_shufflevector(a, b, butterfly(j, block, true)...);
  a = low;
  b = high;
}

template <int block>
LMX_INLINE void transpose_from(Floats* rows) {
  if constexpr (block < lanes) {
#pragma GCC unroll 16
    for (int i = 0; i < lanes; ++i) {
      if (!(i & block))
        exchange<block>(rows[i], rows[i + block], std::make_integer_sequence<int, int(lanes)>{});
    }
    transpose_from<block * 2>(rows);
  }
}

}  // namespace detail

// Transposes a square of lanes x lanes held in registers.
LMX_INLINE void transpose(Floats (&rows)[lanes]) { detail::transpose_from<1>(rows); }

// to[c * to_stride + r] = from[r * from_stride + c].
inline void transpose(index_t rows, index_t cols, const float* from, index_t from_stride, float* to,
                      index_t to_stride) {
  index_t r = 0;
  for (; r + lanes <= rows; r += lanes) {
    index_t c = 0;
    for (; c + lanes <= cols; c += lanes) {
      Floats square[lanes];
      for (index_t i = 0; i < lanes; ++i) square[i] = load(from + (r + i) * from_stride + c);
      transpose(square);
      for (index_t i = 0; i < lanes; ++i) store(to + (c + i) * to_stride + r, square[i]);
    }
    for (; c < cols; ++c) {
      for (index_t i = r; i < r + lanes; ++i) to[c * to_stride + i] = from[i * from_stride + c];
    }
  }
  for (; r < rows; ++r) {
    for (index_t c = 0; c < cols; ++c) to[c * to_stride + r] = from[r * from_stride + c];
  }
}

}  // namespace lmx::simd
