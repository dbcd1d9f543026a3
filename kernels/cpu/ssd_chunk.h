// What forward and backward of the float SSD scan share: where a chunk lies in the packed rows, and how it
// decays. The cumulative sum s is formed in double and kept as a pair of floats (high, low), so that s_i -
// s_j keeps all its digits where the difference is small, however strongly the chunk decayed before.
#pragma once

#include <algorithm>
#include <cmath>

#include "context.h"
#include "simd.h"

namespace lmx::cpu {

// One chunk of one sequence and group. Rows of x, b, c are `stride` elements apart.
struct SsdSpan {
  index_t row, length;  // first row in the batch, steps
  index_t stride;
  const float *x, *b, *c;  // x: head 0 of the model

  SsdSpan(const SsdShape& s, const float* xbc, index_t batch, index_t group, index_t chunk)
      : row(batch * s.time + chunk * s.chunk),
        length(std::min(s.chunk, s.time - chunk * s.chunk)),
        stride(s.channels()),
        x(xbc + row * stride),
        b(x + s.inner() + group * s.state),
        c(b + s.groups * s.state) {}
};

// Rows of a (length, length) matrix are padded to whole vectors.
inline index_t padded(index_t count) { return (count + simd::lanes - 1) / simd::lanes * simd::lanes; }

// Δ, s and the decays of one chunk of one head, as arrays of `padded(chunk)` floats.
struct SsdDecays {
  float *delta, *slope;        // Δ_i; dΔ_i/d(dt_i + dt_bias): sigmoid, 0 where clamped
  float *high, *low;           // s_i = high + low
  float *from_start, *to_end;  // e^{s_i}, e^{S - s_i}
  float whole;                 // e^S
  float a;                     // A = -exp(a_log)

  static index_t floats(index_t chunk) { return 6 * padded(chunk); }

  explicit SsdDecays(float* scratch, index_t chunk) {
    float** const arrays[] = {&delta, &slope, &high, &low, &from_start, &to_end};
    for (float** array : arrays) {
      *array = scratch;
      scratch += padded(chunk);
    }
  }

  void compute(index_t length, const float* dt, index_t dt_stride, float dt_bias, float a_log, float dt_min) {
    a = -std::exp(a_log);
    for (index_t i = 0; i < length; ++i) high[i] = dt[i * dt_stride] + dt_bias;
    simd::for_each_vector(length, [&](index_t i, index_t n) {
      const simd::Floats raw = simd::load(high + i, n), step = simd::softplus(raw);
      simd::store(delta + i, simd::max(step, simd::splat(dt_min)), n);
      simd::store(slope + i, step < dt_min ? simd::Floats{} : simd::sigmoid(raw), n);
    });
    double sum = 0;
    for (index_t i = 0; i < length; ++i) {
      sum += double(a) * double(delta[i]);
      high[i] = float(sum);
      low[i] = float(sum - double(high[i]));
    }
    simd::for_each_vector(length, [&](index_t i, index_t n) {
      simd::store(from_start + i, simd::exp(simd::load(high + i, n)), n);
      simd::store(to_end + i, between(length - 1, i, n), n);
    });
    whole = from_start[length - 1];
  }

  // e^{s_i - s_j} for the n values of j from `j`.
  LMX_INLINE simd::Floats between(index_t i, index_t j, index_t n) const {
    const simd::Floats exponent = (high[i] - simd::load(high + j, n)) + (low[i] - simd::load(low + j, n));
    return simd::exp(simd::min(exponent, simd::Floats{}));
  }
};

// to (length, cols), dense = rows of `from` times factor[row].
inline void scale_rows(index_t length, index_t cols, const float* from, index_t stride, const float* factor,
                       float* to) {
  for (index_t i = 0; i < length; ++i) {
    simd::for_each_vector(cols, [&](index_t c, index_t n) {
      simd::store(to + i * cols + c, simd::load(from + i * stride + c, n) * factor[i], n);
    });
  }
}

// Hands out pieces of one block of scratch, each on whole vectors.
class Pieces {
 public:
  explicit Pieces(float* memory) : next_(memory) {}
  float* take(index_t count) {
    float* const piece = next_;
    next_ += padded(count);
    return piece;
  }

 private:
  float* next_;
};

}  // namespace lmx::cpu
