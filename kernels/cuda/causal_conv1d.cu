// pre[t] = bias + Σ_k w[c,k] x[t - 3 + k],  y = silu(pre); four taps, narrower kernels have leading zeros. Backward, from x again:
//   dpre = dy silu'(pre),  dx[t] = Σ_k w[c,k] dpre[t + 3 - k],  dw[c,k] = Σ_t dpre[t] x[t - 3 + k],  dbias[c] = Σ_t dpre[t]
//
// A thread owns a few neighbouring channels over a stretch of steps and slides a window of registers along it, four rows of
// loads at a time; stretches overlap by the three rows of the window. Forward 4 bytes an element (65536 x 1792: 470 MB, floor
// 112 us at 4.2 TB/s), backward 6 (705 MB, 168 us). dw and dbias: a block adds its eight stretches in order and leaves one
// partial row; column_sum adds those.
#include "../common/error.h"
#include "causal_conv1d.cuh"
#include "check.h"
#include "column_sum.cuh"
#include "launch.h"
#include "reduce.cuh"

namespace lmx::cuda {
namespace {

constexpr int kTaps = 4, kHalo = kTaps - 1, kRows = 4;  // rows loaded together

// kVec neighbouring channels of one row.
template <int kVec>
struct Channels {
  float v[kVec];
};

// kAligned: the row's start and the number of channels are multiples of kVec. Rows that do not exist are zero.
template <int kVec, bool kAligned>
__device__ __forceinline__ Channels<kVec> load_channels(const bf16* row, int channel, int channels, bool exists) {
  Channels<kVec> c = {};
  if (!exists) return c;
  if constexpr (kAligned) {
    std::uint32_t pairs[kVec / 2];
    if constexpr (kVec == 8) {
      *reinterpret_cast<uint4*>(pairs) = *reinterpret_cast<const uint4*>(row + channel);
    } else {
      *reinterpret_cast<uint2*>(pairs) = *reinterpret_cast<const uint2*>(row + channel);
    }
#pragma unroll
    for (int i = 0; i < kVec; ++i) c.v[i] = i % 2 == 0 ? low_half(pairs[i / 2]) : high_half(pairs[i / 2]);
  } else {
#pragma unroll
    for (int i = 0; i < kVec; ++i) {
      if (channel + i < channels) c.v[i] = __bfloat162float(row[channel + i]);
    }
  }
  return c;
}

template <int kVec, bool kAligned>
__device__ __forceinline__ void store_channels(bf16* row, int channel, int channels, const Channels<kVec>& c) {
  if constexpr (kAligned) {
    std::uint32_t pairs[kVec / 2];
#pragma unroll
    for (int i = 0; i < kVec; i += 2) pairs[i / 2] = to_pair(c.v[i], c.v[i + 1]);
    if constexpr (kVec == 8) {
      *reinterpret_cast<uint4*>(row + channel) = *reinterpret_cast<const uint4*>(pairs);
    } else {
      *reinterpret_cast<uint2*>(row + channel) = *reinterpret_cast<const uint2*>(pairs);
    }
  } else {
#pragma unroll
    for (int i = 0; i < kVec; ++i) {
      if (channel + i < channels) row[channel + i] = __float2bfloat16_rn(c.v[i]);
    }
  }
}

// The thread's taps and biases; zero for taps before the kernel's own and for channels that do not exist.
template <int kVec>
struct Taps {
  float w[kVec][kTaps], bias[kVec];

  __device__ __forceinline__ Taps(const float* weight, const float* biases, int width, int channel, int channels) {
#pragma unroll
    for (int i = 0; i < kVec; ++i) {
      const bool exists = channel + i < channels;
      bias[i] = exists ? biases[channel + i] : 0;
#pragma unroll
      for (int k = 0; k < kTaps; ++k) {
        const int own = k - (kTaps - width);
        w[i][k] = exists && own >= 0 ? weight[index_t{channel + i} * width + own] : 0;
      }
    }
  }
  // pre-activation of channel i, `window` ending at the step
  __device__ __forceinline__ float apply(const Channels<kVec>* window, int i) const {
    float sum = bias[i];
#pragma unroll
    for (int k = 0; k < kTaps; ++k) sum = fmaf(w[i][k], window[k].v[i], sum);
    return sum;
  }
};

__device__ __forceinline__ float sigmoid(float x) { return __fdividef(1.0f, 1.0f + __expf(-x)); }

// One thread per kVec channels and `stretch` steps of a sequence, channels fastest.
template <int kVec, bool kAligned>
__global__ void __launch_bounds__(256)
    forward_kernel(ConvShape s, int stretch, int stretches, StridedOf<const bf16*> x, const float* __restrict__ w,
                   const float* __restrict__ bias, bf16* __restrict__ y) {
  const int channels = static_cast<int>(s.channels), vectors = (channels + kVec - 1) / kVec;
  const index_t index = blockIdx.x * index_t{256} + threadIdx.x, part = index / vectors;
  const int channel = static_cast<int>(index % vectors) * kVec;
  if (part >= s.batch * stretches) return;
  const int first = static_cast<int>(part % stretches) * stretch, time = static_cast<int>(s.time);
  const int last = min(first + stretch, time);
  const index_t row = part / stretches * s.time;
  const bf16* const in = x.data + row * x.stride;
  bf16* const out = y + row * s.channels;
  const Taps<kVec> taps(w, bias, static_cast<int>(s.width), channel, channels);

  Channels<kVec> window[kHalo + kRows];
#pragma unroll
  for (int k = 0; k < kHalo; ++k) {
    const int t = first - kHalo + k;
    window[k] = load_channels<kVec, kAligned>(in + t * x.stride, channel, channels, t >= 0);
  }
  for (int t = first; t < last; t += kRows) {
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      window[kHalo + r] = load_channels<kVec, kAligned>(in + (t + r) * x.stride, channel, channels, t + r < last);
    }
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      Channels<kVec> result;
#pragma unroll
      for (int i = 0; i < kVec; ++i) {
        const float pre = taps.apply(window + r, i);
        result.v[i] = pre * sigmoid(pre);
      }
      if (t + r < last) store_channels<kVec, kAligned>(out + (t + r) * s.channels, channel, channels, result);
    }
#pragma unroll
    for (int k = 0; k < kHalo; ++k) window[k] = window[kRows + k];
  }
}

constexpr int kStretches = 8;  // of one backward block: one per warp

// A block: 32 lanes x kVec channels, kStretches stretches. partial_w (blocks over time, channels * width), partial_b (.., channels).
template <int kVec, bool kAligned>
__global__ void __launch_bounds__(kStretches* kWarp)
    backward_kernel(ConvShape s, int stretch, int stretches, const bf16* __restrict__ dy, StridedOf<const bf16*> x,
                    const float* __restrict__ w, const float* __restrict__ bias, StridedOf<bf16*> dx,
                    float* __restrict__ partial_w, float* __restrict__ partial_b) {
  __shared__ float sums[kStretches][kTaps + 1][kWarp * kVec];
  const int channels = static_cast<int>(s.channels), width = static_cast<int>(s.width);
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const int channel = (blockIdx.x * kWarp + lane) * kVec;
  const index_t part = blockIdx.y * index_t{kStretches} + warp;
  float dw[kVec][kTaps] = {}, dbias[kVec] = {};

  if (channel < channels && part < s.batch * stretches) {
    const int first = static_cast<int>(part % stretches) * stretch, time = static_cast<int>(s.time);
    const int last = min(first + stretch, time);
    const index_t row = part / stretches * s.time;
    const bf16* const in = x.data + row * x.stride;
    const bf16* const up = dy + row * s.channels;
    bf16* const out = dx.data + row * dx.stride;
    const Taps<kVec> taps(w, bias, width, channel, channels);
    Channels<kVec> window[kHalo + kRows], dpre[kHalo + kRows] = {};
#pragma unroll
    for (int k = 0; k < kHalo; ++k) {
      const int t = first - kHalo + k;
      window[k] = load_channels<kVec, kAligned>(in + t * x.stride, channel, channels, t >= 0);
    }
    for (int t = first; t < last + kHalo; t += kRows) {
#pragma unroll
      for (int r = 0; r < kRows; ++r) {
        const bool exists = t + r < last + kHalo && t + r < time;
        window[kHalo + r] = load_channels<kVec, kAligned>(in + (t + r) * x.stride, channel, channels, exists);
        dpre[kHalo + r] = load_channels<kVec, kAligned>(up + (t + r) * s.channels, channel, channels, exists);
      }
#pragma unroll
      for (int r = 0; r < kRows; ++r) {
        const bool own = t + r < last;
        Channels<kVec> result;
#pragma unroll
        for (int i = 0; i < kVec; ++i) {
          const float pre = taps.apply(window + r, i), gate = sigmoid(pre);
          const float slope = dpre[kHalo + r].v[i] * gate * (1 + pre * (1 - gate));
          dpre[kHalo + r].v[i] = slope;
          const float counted = own ? slope : 0;
          dbias[i] += counted;
          result.v[i] = 0;
#pragma unroll
          for (int k = 0; k < kTaps; ++k) {
            dw[i][k] = fmaf(counted, window[r + k].v[i], dw[i][k]);
            result.v[i] = fmaf(taps.w[i][k], dpre[kHalo + r - k].v[i], result.v[i]);
          }
        }
        const int target = t + r - kHalo;
        if (target >= first && target < last) {
          store_channels<kVec, kAligned>(out + target * dx.stride, channel, channels, result);
        }
      }
#pragma unroll
      for (int k = 0; k < kHalo; ++k) {
        window[k] = window[kRows + k];
        dpre[k] = dpre[kRows + k];
      }
    }
  }

#pragma unroll
  for (int i = 0; i < kVec; ++i) {
#pragma unroll
    for (int k = 0; k < kTaps; ++k) sums[warp][k][lane * kVec + i] = dw[i][k];
    sums[warp][kTaps][lane * kVec + i] = dbias[i];
  }
  __syncthreads();
  for (int index = threadIdx.x; index < (kTaps + 1) * kWarp * kVec; index += kStretches * kWarp) {
    const int k = index / (kWarp * kVec), local = index % (kWarp * kVec), c = blockIdx.x * kWarp * kVec + local;
    const int own = k - (kTaps - width);
    if (c >= channels || own < 0) continue;
    float total = 0;
#pragma unroll
    for (int g = 0; g < kStretches; ++g) total += sums[g][k][local];
    if (k == kTaps) {
      partial_b[index_t{blockIdx.y} * channels + c] = total;
    } else {
      partial_w[(index_t{blockIdx.y} * channels + c) * width + own] = total;
    }
  }
}

// Steps of one thread: long where there is enough to do, so that the overlap of stretches costs little.
index_t forward_stretch(const ConvShape& s) { return s.batch * s.time * s.channels >= (index_t{1} << 25) ? 32 : 8; }

struct BackwardGrid {
  index_t stretch, stretches, blocks;  // steps; stretches per sequence; blocks over time
  explicit BackwardGrid(const ConvShape& s) {
    const index_t wanted = s.batch * s.time / (kStretches * 128);
    stretch = wanted < 16 ? 16 : wanted > 128 ? 128 : wanted;
    stretches = ceil_div(s.time, stretch);
    blocks = ceil_div(s.batch * stretches, kStretches);
  }
};

template <class... Pointers>
bool aligned(index_t vec, const ConvShape& s, index_t stride, Pointers... pointers) {
  return s.channels % vec == 0 && stride % vec == 0 &&
         ((reinterpret_cast<std::uintptr_t>(pointers) % (2 * vec) == 0) && ...);
}

template <int kVec, bool kAligned>
void launch_forward(const ConvShape& s, StridedOf<const bf16*> x, const float* w, const float* bias, bf16* y,
                    cudaStream_t stream) {
  const index_t stretch = forward_stretch(s), stretches = ceil_div(s.time, stretch);
  const index_t threads = ceil_div(s.channels, kVec) * s.batch * stretches;
  forward_kernel<kVec, kAligned><<<static_cast<unsigned>(ceil_div(threads, 256)), 256, 0, stream>>>(
      s, static_cast<int>(stretch), static_cast<int>(stretches), x, w, bias, y);
  check_launch("causal_conv1d_forward");
}

template <int kVec, bool kAligned>
void launch_backward(const ConvShape& s, const bf16* dy, StridedOf<const bf16*> x, const float* w, const float* bias,
                     StridedOf<bf16*> dx, float* partial_w, float* partial_b, cudaStream_t stream) {
  const BackwardGrid grid(s);
  const dim3 blocks(static_cast<unsigned>(ceil_div(s.channels, kWarp * kVec)), static_cast<unsigned>(grid.blocks));
  backward_kernel<kVec, kAligned><<<blocks, kStretches * kWarp, 0, stream>>>(
      s, static_cast<int>(grid.stretch), static_cast<int>(grid.stretches), dy, x, w, bias, dx, partial_w, partial_b);
  check_launch("causal_conv1d_backward");
}

void require(const ConvShape& s) {
  if (s.width < 1 || s.width > kTaps) {
    throw InvalidArgument("Expected a convolution of 1 to 4 taps on a CUDA device, got " + std::to_string(s.width));
  }
}

}  // namespace

std::size_t causal_conv1d_workspace(const ConvShape& s) {
  return static_cast<std::size_t>(BackwardGrid(s).blocks * s.channels * (s.width + 1)) * sizeof(float);
}

void causal_conv1d_forward(const ConvShape& s, StridedOf<const bf16*> x, const float* w, const float* bias, bf16* y,
                           cudaStream_t stream) {
  require(s);
  if (aligned(8, s, x.stride, x.data, y)) return launch_forward<8, true>(s, x, w, bias, y, stream);
  if (aligned(4, s, x.stride, x.data, y)) return launch_forward<4, true>(s, x, w, bias, y, stream);
  launch_forward<4, false>(s, x, w, bias, y, stream);
}

void causal_conv1d_backward(const ConvShape& s, const bf16* dy, StridedOf<const bf16*> x, const float* w,
                            const float* bias, StridedOf<bf16*> dx, float* dw, float* dbias, void* workspace,
                            cudaStream_t stream) {
  require(s);
  const index_t blocks = BackwardGrid(s).blocks;
  float* const partial_w = static_cast<float*>(workspace);
  float* const partial_b = partial_w + blocks * s.channels * s.width;
  if (aligned(4, s, x.stride, x.data, dy) && aligned(4, s, dx.stride, dx.data)) {
    launch_backward<4, true>(s, dy, x, w, bias, dx, partial_w, partial_b, stream);
  } else {
    launch_backward<4, false>(s, dy, x, w, bias, dx, partial_w, partial_b, stream);
  }
  column_sum(blocks, s.channels * s.width, partial_w, dw, stream);
  column_sum(blocks, s.channels, partial_b, dbias, stream);
}

}  // namespace lmx::cuda
