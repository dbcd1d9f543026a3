// MLP halves in float: the GEMM's tiles, each followed by the activation while it is in cache; see mlp.h. A
// gated tile computes its columns of gate and of up, so that both meet in one task.
#include "mlp.h"

#include "gemm.h"

namespace lmx::cpu {

using simd::Floats;

namespace {

// act(x) and act'(x) of one vector.
struct Activated {
  Floats value, slope;
};

template <Activation kind>
LMX_INLINE Activated activated(Floats x) {
  if constexpr (kind == Activation::gelu_tanh) {
    // (1 + tanh(y)) / 2 = sigmoid(2y), which loses no digits where tanh nears -1.
    const Floats sigma = simd::sigmoid(1.5957691216057308f * (x + 0.044715f * x * x * x));
    const Floats dy2 = 1.5957691216057308f * (1.0f + 0.134145f * x * x);
    return {x * sigma, sigma + x * sigma * (1.0f - sigma) * dy2};
  } else if constexpr (kind == Activation::gelu_erf) {
    const Floats e = simd::exp(-0.5f * x * x);
    const Floats phi = 0.5f + 0.5f * simd::erf(x * 0.70710678f, e);
    return {x * phi, phi + x * 0.39894228f * e};
  } else if constexpr (kind == Activation::relu2) {
    const Floats positive = simd::max(x, Floats{});
    return {positive * positive, 2.0f * positive};
  } else {
    const Floats sigma = simd::sigmoid(x);
    return {x * sigma, sigma + x * sigma * (1.0f - sigma)};
  }
}

// act'(u) of an MLP without a gate; see saved_slope in mlp.h.
template <Activation kind>
LMX_INLINE Floats saved_slope(Floats saved) {
  if constexpr (keeps_input(kind, false)) {
    return activated<kind>(saved).slope;
  } else {
    return 2.0f * simd::sqrt(saved);
  }
}

// a = act(u), or act(gate) · up, on one tile of columns of `width`; u may be a.
template <Activation kind>
void activate_tile(const MlpShape& s, const Tile& tile, const float* u, float* a) {
  for (index_t r = tile.row; r < tile.row + tile.rows; ++r) {
    const float* const row = u + r * s.up_width() + tile.col;
    float* const to = a + r * s.width + tile.col;
    simd::for_each_vector(tile.cols, [&](index_t c, index_t n) {
      Floats value = activated<kind>(simd::load(row + c, n)).value;
      if (s.gated) value *= simd::load(row + s.width + c, n);
      simd::store(to + c, value, n);
    });
  }
}

// On one tile: da lies in du (in its up half where gated) and becomes du.
template <Activation kind>
void differentiate_tile(const MlpShape& s, const Tile& tile, const float* saved, float* du) {
  for (index_t r = tile.row; r < tile.row + tile.rows; ++r) {
    const float* const row = saved + r * s.up_width() + tile.col;
    float* const drow = du + r * s.up_width() + tile.col;
    simd::for_each_vector(tile.cols, [&](index_t c, index_t n) {
      if (s.gated) {
        const Activated act = activated<kind>(simd::load(row + c, n));
        const Floats da = simd::load(drow + s.width + c, n);
        simd::store(drow + c, da * simd::load(row + s.width + c, n) * act.slope, n);
        simd::store(drow + s.width + c, da * act.value, n);
      } else {
        simd::store(drow + c, simd::load(drow + c, n) * saved_slope<kind>(simd::load(row + c, n)), n);
      }
    });
  }
}

// Calls body with the activation as a compile-time constant.
template <class Body>
void with_activation(Activation kind, Body&& body) {
  switch (kind) {
    case Activation::gelu_tanh: return body(std::integral_constant<Activation, Activation::gelu_tanh>{});
    case Activation::gelu_erf: return body(std::integral_constant<Activation, Activation::gelu_erf>{});
    case Activation::relu2: return body(std::integral_constant<Activation, Activation::relu2>{});
    case Activation::silu: return body(std::integral_constant<Activation, Activation::silu>{});
  }
}

}  // namespace

void linear_activation_forward(const Context& context, const MlpShape& s, const float* x, const float* w_up,
                               float* u, float* a) {
  if (!s.keeps_input()) u = a;
  const Gemm product{s.rows, s.up_width(), s.hidden, {x, s.hidden, 1}, {w_up, 1, s.hidden}, nullptr, 0,
                     u,      s.up_width()};
  const Tiling tiling(s.rows, s.width);
  with_activation(s.activation, [&](auto kind) {
    context.pool->parallel_for(tiling.count(), [&](index_t task) {
      const Tile tile = tiling[task];
      gemm_tile(product, tile);
      if (s.gated) gemm_tile(product, {tile.row, tile.rows, tile.col + s.width, tile.cols});
      activate_tile<decltype(kind)::value>(s, tile, u, a);
    });
  });
}

void linear_activation_backward_input(const Context& context, const MlpShape& s, const float* dy,
                                      const float* w_down, const float* saved, float* du) {
  float* const da = s.gated ? du + s.width : du;
  const Gemm product{s.rows,  s.width, s.hidden, {dy, s.hidden, 1}, {w_down, s.width, 1},
                     nullptr, 0,       da,       s.up_width()};
  const Tiling tiling(s.rows, s.width);
  with_activation(s.activation, [&](auto kind) {
    context.pool->parallel_for(tiling.count(), [&](index_t task) {
      const Tile tile = tiling[task];
      gemm_tile(product, tile);
      differentiate_tile<decltype(kind)::value>(s, tile, saved, du);
    });
  });
}

}  // namespace lmx::cpu
