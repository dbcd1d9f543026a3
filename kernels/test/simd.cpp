// The elementary functions of cpu/simd.h against the C++ library in double, over their ranges and at their
// edges, and the partial loads, stores and transpositions at every size.
#include "cpu/simd.h"

#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "check.h"

using namespace lmx;
using simd::Floats;
using simd::lanes;

// Largest error of f over [low, high] in units of the last place of the exact result.
template <class F>
static double worst_ulp(F f, const std::function<double(double)>& exact, double low, double high) {
  double worst = 0;
  const int steps = 200000;
  for (int i = 0; i < steps; i += int(lanes)) {
    float x[lanes], got[lanes];
    for (int l = 0; l < lanes; ++l) x[l] = float(low + (high - low) * (i + l) / steps);
    simd::store(got, f(simd::load(x)));
    for (int l = 0; l < lanes; ++l) {
      const double expected = exact(double(x[l]));
      const double ulp = std::ldexp(1.0, std::max(std::ilogb(expected), -126) - 23);
      worst = std::max(worst, std::fabs(double(got[l]) - expected) / ulp);
    }
  }
  return worst;
}

static float first_lane(Floats v) { return v[0]; }

int main() {
  const auto exp = [](Floats x) { return simd::exp(x); };
  const auto log = [](Floats x) { return simd::log(x); };
  const double exp_ulp = std::max(worst_ulp(
                                      exp, [](double x) { return std::exp(x); }, -87, 88),
                                  worst_ulp(exp, [](double x) { return std::exp(x); }, -1, 1));
  CHECK(exp_ulp < 2, "exp: %g ulp", exp_ulp);
  const double log_ulp = std::max(worst_ulp(
                                      log, [](double x) { return std::log(x); }, 1e-30, 0.7),
                                  worst_ulp(log, [](double x) { return std::log(x); }, 1.5, 1e6));
  CHECK(log_ulp < 2, "log: %g ulp", log_ulp);
  const double log1p_ulp = std::max(
      worst_ulp([](Floats x) { return simd::log1p(x); }, [](double x) { return std::log1p(x); }, 0, 1),
      worst_ulp([](Floats x) { return simd::log1p(x); }, [](double x) { return std::log1p(x); }, 0, 1e-4));
  CHECK(log1p_ulp < 4, "log1p: %g ulp", log1p_ulp);
  const double softplus_ulp = worst_ulp([](Floats x) { return simd::softplus(x); },
                                        [](double x) { return std::log1p(std::exp(x)); }, -80, 30);
  CHECK(softplus_ulp < 5, "softplus: %g ulp", softplus_ulp);
  const double sigmoid_ulp = worst_ulp([](Floats x) { return simd::sigmoid(x); },
                                       [](double x) { return 1 / (1 + std::exp(-x)); }, -80, 80);
  CHECK(sigmoid_ulp < 4, "sigmoid: %g ulp", sigmoid_ulp);
  double erf_error = 0;
  for (double x = -6; x <= 6; x += 1e-3) {
    const float f = float(x);
    erf_error = std::max(
        erf_error, std::fabs(std::erf(double(f)) -
                             double(first_lane(simd::erf(simd::splat(f), simd::exp(simd::splat(-f * f)))))));
  }
  CHECK(erf_error < 5e-7, "erf: absolute error %g", erf_error);

  const float infinity = std::numeric_limits<float>::infinity(),
              nan = std::numeric_limits<float>::quiet_NaN();
  CHECK(first_lane(simd::exp(simd::splat(-infinity))) < 2e-38f, "exp(-inf) is not next to 0");
  CHECK(first_lane(simd::exp(simd::splat(-1e30f))) < 2e-38f, "exp(-1e30) is not next to 0");
  CHECK(std::isfinite(first_lane(simd::exp(simd::splat(1e30f)))), "exp(1e30) is not clamped");
  CHECK(std::isnan(first_lane(simd::exp(simd::splat(nan)))), "exp(NaN) hides the NaN");
  CHECK(first_lane(simd::softplus(simd::splat(1e4f))) == 1e4f, "softplus(1e4)");
  CHECK(first_lane(simd::sigmoid(simd::splat(-1e4f))) >= 0, "sigmoid(-1e4)");

  for (index_t n = 0; n <= lanes; ++n) {
    float from[lanes], to[lanes];
    for (index_t i = 0; i < lanes; ++i) {
      from[i] = float(i + 1);
      to[i] = -1;
    }
    const Floats v = simd::load(from, n);
    for (index_t i = 0; i < lanes; ++i)
      CHECK(v[i] == (i < n ? float(i + 1) : 0), "load of %d lanes, lane %d", int(n), int(i));
    simd::store(to, v, n);
    for (index_t i = 0; i < lanes; ++i)
      CHECK(to[i] == (i < n ? float(i + 1) : -1), "store of %d lanes, lane %d", int(n), int(i));
  }
  for (const index_t rows : {1, 7, 16, 33, 48}) {
    for (const index_t cols : {1, 5, 16, 31, 64}) {
      std::vector<float> from(rows * (cols + 3)), to(cols * (rows + 2), -1);
      for (std::size_t i = 0; i < from.size(); ++i) from[i] = float(i);
      simd::transpose(rows, cols, from.data(), cols + 3, to.data(), rows + 2);
      for (index_t r = 0; r < rows; ++r) {
        for (index_t c = 0; c < cols; ++c) {
          CHECK(to[c * (rows + 2) + r] == from[r * (cols + 3) + c], "transpose %dx%d at %d,%d", int(rows),
                int(cols), int(r), int(c));
        }
      }
      CHECK(to[rows] == -1, "transpose wrote beyond its columns");
    }
  }
  return TEST_RESULT();
}
