// Causal convolution with SiLU in float: a task is a stretch of one sequence, walked down in columns of one
// vector of channels with the window of inputs (and, backward, of gradients) in registers; see
// causal_conv1d.h. Gradients of the weights go to one partial per task and are added in order.
#include "causal_conv1d.h"

#include "reduction.h"

namespace lmx::cpu {

using simd::Floats;

namespace {

constexpr index_t max_width = 8;
constexpr index_t ahead =
    8;  // steps between asking for a row and using it: columns are met in strides no hardware foresees

// The stretches of time that are one task each: about 64 tasks, of at least 64 steps.
struct Stretches {
  index_t time, per_sequence, count;
  explicit Stretches(const ConvShape& s)
      : time(s.time),
        per_sequence(std::max<index_t>(1, std::min(max_row_chunks / s.batch, s.time / 64))),
        count(s.batch * per_sequence) {}
  index_t begin(index_t task) const { return time * (task % per_sequence) / per_sequence; }
  index_t end(index_t task) const { return time * (task % per_sequence + 1) / per_sequence; }
};

// Weights of n channels as one vector per tap.
template <int width>
LMX_INLINE void load_taps(const float* w, index_t n, Floats (&taps)[width]) {
#pragma GCC unroll 8
  for (int k = 0; k < width; ++k) {
    taps[k] = Floats{};
    for (index_t i = 0; i < n; ++i) taps[k][i] = w[i * width + k];
  }
}

// window[0 .. width-2] = the inputs before time t, zero before the sequence starts.
template <int width>
LMX_INLINE void load_history(const float* x, index_t stride, index_t t, index_t n, Floats (&window)[width]) {
#pragma GCC unroll 8
  for (int k = 0; k + 1 < width; ++k) {
    const index_t source = t - (width - 1) + k;
    window[k] = source >= 0 ? simd::load(x + source * stride, n) : Floats{};
  }
}

template <int width>
LMX_INLINE void shift(Floats (&window)[width]) {
#pragma GCC unroll 8
  for (int k = 0; k + 1 < width; ++k) window[k] = window[k + 1];
}

template <int width>
LMX_INLINE Floats convolve(const Floats (&window)[width], const Floats (&taps)[width], Floats bias) {
#pragma GCC unroll 8
  for (int k = 0; k < width; ++k) bias += taps[k] * window[k];
  return bias;
}

// x and y point at the first step of the sequence, at the column's first channel.
template <int width>
void forward_column(const float* x, index_t x_stride, const float* w, const float* bias, float* y,
                    index_t y_stride, index_t begin, index_t end, index_t n) {
  Floats taps[width], window[width];
  load_taps<width>(w, n, taps);
  load_history<width>(x, x_stride, begin, n, window);
  const Floats offset = simd::load(bias, n);
  for (index_t t = begin; t < end; ++t) {
    __builtin_prefetch(x + (t + ahead) * x_stride);
    __builtin_prefetch(y + (t + ahead) * y_stride, 1);
    window[width - 1] = simd::load(x + t * x_stride, n);
    const Floats pre = convolve<width>(window, taps, offset);
    simd::store(y + t * y_stride, pre * simd::sigmoid(pre), n);
    shift<width>(window);
  }
}

struct BackwardColumn {
  const float *dy, *x, *w, *bias;
  float *dx, *partial;  // partial: (width + 1, channels), the taps' gradients and the bias'
  index_t channels, x_stride, dx_stride, time;
};

template <int width>
void backward_column(const BackwardColumn& p, index_t begin, index_t end, index_t n) {
  Floats taps[width], window[width], dtaps[width], gradients[width],
      dbias{};  // gradients[k] = dpre[t - (width-1) + k]
  load_taps<width>(p.w, n, taps);
  load_history<width>(p.x, p.x_stride, begin, n, window);
#pragma GCC unroll 8
  for (int k = 0; k < width; ++k) dtaps[k] = gradients[k] = Floats{};
  const Floats offset = simd::load(p.bias, n);
  // dx at t needs the gradients up to t + width - 1: the walk goes on beyond the end, but what it meets there
  // belongs to the next task's partial.
  for (index_t t = begin; t < end + width - 1; ++t) {
    Floats dpre{};
    if (t < p.time) {
      __builtin_prefetch(p.x + (t + ahead) * p.x_stride);
      __builtin_prefetch(p.dy + (t + ahead) * p.channels);
      __builtin_prefetch(p.dx + (t + ahead) * p.dx_stride, 1);
      window[width - 1] = simd::load(p.x + t * p.x_stride, n);
      const Floats pre = convolve<width>(window, taps, offset), sigma = simd::sigmoid(pre);
      dpre = simd::load(p.dy + t * p.channels, n) * (sigma + pre * sigma * (1.0f - sigma));
      if (t < end) {
        dbias += dpre;
#pragma GCC unroll 8
        for (int k = 0; k < width; ++k) dtaps[k] += dpre * window[k];
      }
      shift<width>(window);
    }
    gradients[width - 1] = dpre;
    const index_t target = t - (width - 1);
    if (target >= begin) {
      Floats sum{};
#pragma GCC unroll 8
      for (int k = 0; k < width; ++k) sum += taps[width - 1 - k] * gradients[k];
      simd::store(p.dx + target * p.dx_stride, sum, n);
    }
    shift<width>(gradients);
  }
#pragma GCC unroll 8
  for (int k = 0; k < width; ++k) simd::store(p.partial + k * p.channels, dtaps[k], n);
  simd::store(p.partial + width * p.channels, dbias, n);
}

using Forward = decltype(&forward_column<1>);
using Backward = decltype(&backward_column<1>);
constexpr Forward forward_columns[max_width] = {forward_column<1>, forward_column<2>, forward_column<3>,
                                                forward_column<4>, forward_column<5>, forward_column<6>,
                                                forward_column<7>, forward_column<8>};
constexpr Backward backward_columns[max_width] = {backward_column<1>, backward_column<2>, backward_column<3>,
                                                  backward_column<4>, backward_column<5>, backward_column<6>,
                                                  backward_column<7>, backward_column<8>};

}  // namespace

std::size_t causal_conv1d_workspace_bytes(const ConvShape& s) {
  return static_cast<std::size_t>(Stretches(s).count * (s.width + 1) * s.channels) * sizeof(float);
}

void causal_conv1d_forward(const Context& context, const ConvShape& s, StridedOf<const float*> x,
                           const float* w, const float* bias, float* y) {
  if (s.width > max_width) return causal_conv1d_forward<float>(context, s, x, w, bias, y);
  const Stretches stretches(s);
  const Forward column = forward_columns[s.width - 1];
  context.pool->parallel_for(stretches.count, [&](index_t task) {
    const index_t row = task / stretches.per_sequence * s.time;
    simd::for_each_vector(s.channels, [&](index_t c, index_t n) {
      column(x.data + row * x.stride + c, x.stride, w + c * s.width, bias + c, y + row * s.channels + c,
             s.channels, stretches.begin(task), stretches.end(task), n);
    });
  });
}

void causal_conv1d_backward(const Context& context, const ConvShape& s, const float* dy,
                            StridedOf<const float*> x, const float* w, const float* bias,
                            StridedOf<float*> dx, float* dw, float* dbias) {
  if (s.width > max_width) return causal_conv1d_backward<float>(context, s, dy, x, w, bias, dx, dw, dbias);
  const Stretches stretches(s);
  const index_t partial_size = (s.width + 1) * s.channels;
  float* const partials = context.scratch<float>(stretches.count * partial_size);
  const Backward column = backward_columns[s.width - 1];
  context.pool->parallel_for(stretches.count, [&](index_t task) {
    const index_t row = task / stretches.per_sequence * s.time;
    simd::for_each_vector(s.channels, [&](index_t c, index_t n) {
      column({dy + row * s.channels + c, x.data + row * x.stride + c, w + c * s.width, bias + c,
              dx.data + row * dx.stride + c, partials + task * partial_size + c, s.channels, x.stride,
              dx.stride, s.time},
             stretches.begin(task), stretches.end(task), n);
    });
  });
  add_partials(context, stretches.count, s.channels, partials + s.width * s.channels, partial_size, dbias);
  constexpr index_t block = 4 * simd::lanes;  // channels of one task
  context.pool->parallel_for((s.channels + block - 1) / block, [&](index_t task) {
    const index_t begin = task * block;
    for (index_t k = 0; k < s.width; ++k) {
      simd::for_each_vector(std::min(block, s.channels - begin), [&](index_t c, index_t n) {
        const float* const column = partials + k * s.channels + begin + c;
        Floats sum{};
        for (index_t part = 0; part < stretches.count; ++part)
          sum += simd::load(column + part * partial_size, n);
        for (index_t i = 0; i < n; ++i) dw[(begin + c + i) * s.width + k] += sum[i];
      });
    }
  });
}

}  // namespace lmx::cpu
