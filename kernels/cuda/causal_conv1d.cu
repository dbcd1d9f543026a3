// pre[t] = bias + Σ_k w[c,k] x[t - 3 + k],  y = silu(pre); four taps, narrower kernels have leading zeros.
// Backward, from x again:
//   dpre = dy silu'(pre),  dx[t] = Σ_k w[c,k] dpre[t + 3 - k],  dw[c,k] = Σ_t dpre[t] x[t - 3 + k],
//   dbias[c] = Σ_t dpre[t]
//
// Forward, a warp computes 256 channels (16 bytes a thread) over eight steps, all eleven rows of loads of its
// window first: 4 bytes an element (65536 x 1792: 470 MB, floor 112 us at 4.2 TB/s), the overlap of windows
// comes from L2. Backward, a thread slides a window of registers along a stretch of steps, three rows at a
// time, with six more on their way through shared memory; stretches overlap by the three rows of the window:
// 6 bytes (705 MB, 168 us). dw and dbias: a block adds its eight stretches in order and leaves one partial
// row; column_sum adds those. Measured on an H200: 142 and 216 us.
#include <algorithm>
#include <type_traits>

#include "../common/error.h"
#include "causal_conv1d.cuh"
#include "check.h"
#include "column_sum.cuh"
#include "launch.h"
#include "mma_tile.cuh"
#include "reduce.cuh"

namespace lmx::cuda {
namespace {

constexpr int kTaps = 4, kHalo = kTaps - 1, kForwardRows = 8, kForwardWarps = 8, kMostForwardRounds = 4;

// kVec neighbouring channels of one row: as they lie in memory, and as numbers.
template <int kVec>
struct alignas(2 * kVec) Bits {
  std::uint32_t pairs[kVec / 2];
};
template <int kVec>
struct Channels {
  float v[kVec];
};

// kAligned: the row's start and the number of channels are multiples of kVec. Rows that do not exist are
// zero.
template <int kVec, bool kAligned>
__device__ __forceinline__ Bits<kVec> load_channels(const bf16* row, int channel, int channels, bool exists) {
  Bits<kVec> bits = {};
  if (!exists) return bits;
  if constexpr (kAligned) {
    if constexpr (kVec == 8) {
      *reinterpret_cast<uint4*>(bits.pairs) = *reinterpret_cast<const uint4*>(row + channel);
    } else {
      *reinterpret_cast<uint2*>(bits.pairs) = *reinterpret_cast<const uint2*>(row + channel);
    }
  } else {
    const auto* const words = reinterpret_cast<const std::uint16_t*>(row);
#pragma unroll
    for (int i = 0; i < kVec; ++i) {
      if (channel + i < channels) bits.pairs[i / 2] |= std::uint32_t{words[channel + i]} << (16 * (i % 2));
    }
  }
  return bits;
}

// The same to shared memory; in the background where it can be. 8 bytes a thread.
template <int kVec, bool kAligned>
__device__ __forceinline__ void copy_channels(Bits<kVec>& target, const bf16* row, int channel, int channels,
                                              bool exists) {
  static_assert(kVec == 4, "8 bytes");
  if constexpr (kAligned) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 8, %2;\n" ::"r"(tile::shared_address(&target)),
                 "l"(row + channel), "r"(exists ? 8 : 0)
                 : "memory");
  } else {
    target = load_channels<kVec, false>(row, channel, channels, exists);
  }
}

template <int kVec>
__device__ __forceinline__ Channels<kVec> to_numbers(const Bits<kVec>& bits) {
  Channels<kVec> c;
#pragma unroll
  for (int i = 0; i < kVec; ++i)
    c.v[i] = i % 2 == 0 ? low_half(bits.pairs[i / 2]) : high_half(bits.pairs[i / 2]);
  return c;
}

template <int kVec, bool kAligned>
__device__ __forceinline__ void store_channels(bf16* row, int channel, int channels,
                                               const Channels<kVec>& c) {
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

// Taps and biases of the channels of a warp, [tap][channel]; zero for taps before the kernel's own and for
// channels that do not exist. Filled by the whole block.
template <int kVec>
struct SharedTaps {
  float w[kTaps][kWarp * kVec], bias[kWarp * kVec];

  __device__ __forceinline__ void fill(const float* weight, const float* biases, int width, int first,
                                       int channels) {
    for (int index = threadIdx.x; index < kTaps * kWarp * kVec; index += blockDim.x) {
      const int k = index % kTaps, c = index / kTaps, own = k - (kTaps - width);
      w[k][c] = first + c < channels && own >= 0 ? weight[index_t{first + c} * width + own] : 0;
    }
    for (int c = threadIdx.x; c < kWarp * kVec; c += blockDim.x)
      bias[c] = first + c < channels ? biases[first + c] : 0;
    __syncthreads();
  }
};

// A thread's own.
template <int kVec>
struct Taps {
  float w[kVec][kTaps], bias[kVec];

  __device__ __forceinline__ explicit Taps(const SharedTaps<kVec>& shared) {
    const int first = threadIdx.x % kWarp * kVec;
#pragma unroll
    for (int i = 0; i < kVec; ++i) {
      bias[i] = shared.bias[first + i];
#pragma unroll
      for (int k = 0; k < kTaps; ++k) w[i][k] = shared.w[k][first + i];
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

// grid (channels, parts of kForwardRows steps); a warp takes `rounds` parts; `parts` to a sequence.
template <int kVec, bool kAligned>
__global__ void __launch_bounds__(kForwardWarps* kWarp)
    forward_kernel(ConvShape s, int parts, int rounds, StridedOf<const bf16*> x, const float* __restrict__ w,
                   const float* __restrict__ bias, bf16* __restrict__ y) {
  __shared__ SharedTaps<kVec> shared;
  const int channels = static_cast<int>(s.channels), time = static_cast<int>(s.time);
  const int first_channel = blockIdx.x * kWarp * kVec, channel = first_channel + threadIdx.x % kWarp * kVec;
  shared.fill(w, bias, static_cast<int>(s.width), first_channel, channels);
  if (channel >= channels) return;
  const Taps<kVec> taps(shared);
  const index_t first_part = blockIdx.y * index_t{rounds * kForwardWarps} + threadIdx.x / kWarp;
#pragma unroll 1
  for (int round = 0; round < rounds; ++round) {
    const index_t part = first_part + round * kForwardWarps;
    if (part >= s.batch * parts) return;
    const index_t b = part / parts;
    const int first = static_cast<int>(part - b * parts) * kForwardRows,
              count = min(kForwardRows, time - first);
    const bf16* const in = x.data + (b * s.time + first) * x.stride;
    bf16* const out = y + (b * s.time + first) * s.channels;
    Bits<kVec> bits[kHalo + kForwardRows];
#pragma unroll
    for (int r = 0; r < kHalo + kForwardRows; ++r) {
      const int t = r - kHalo;  // relative to the part's first step
      bits[r] =
          load_channels<kVec, kAligned>(in + t * x.stride, channel, channels, t < count && first + t >= 0);
    }
    Channels<kVec> window[kTaps];
#pragma unroll
    for (int k = 0; k < kHalo; ++k) window[k + 1] = to_numbers(bits[k]);
#pragma unroll
    for (int r = 0; r < kForwardRows; ++r) {
#pragma unroll
      for (int k = 0; k < kHalo; ++k) window[k] = window[k + 1];
      window[kHalo] = to_numbers(bits[kHalo + r]);
      Channels<kVec> result;
#pragma unroll
      for (int i = 0; i < kVec; ++i) {
        const float pre = taps.apply(window, i);
        result.v[i] = pre * tile::sigmoid_fast(pre);
      }
      if (r < count) store_channels<kVec, kAligned>(out + r * s.channels, channel, channels, result);
    }
  }
}

// Backward: stretches of one block, one per warp; rows loaded together; groups of rows on their way or in
// use.
constexpr int kStretches = 8, kBackwardRows = 3, kDepth = 3;

// A block: 32 lanes x kVec channels, kStretches stretches. partial_w (blocks over time, channels * width),
// partial_b (.., channels).
template <int kVec, bool kAligned>
__global__ void __launch_bounds__(kStretches* kWarp, 2)
    backward_kernel(ConvShape s, int stretch, int stretches, const bf16* __restrict__ dy,
                    StridedOf<const bf16*> x, const float* __restrict__ w, const float* __restrict__ bias,
                    StridedOf<bf16*> dx, float* __restrict__ partial_w, float* __restrict__ partial_b) {
  __shared__ SharedTaps<kVec> shared;
  __shared__ union {
    Bits<kVec> rows[kStretches][kDepth][2][kBackwardRows][kWarp];  // x and dy, each thread's own
    float sums[kStretches][kTaps + 1][kVec][kWarp];
  } pool;
  const int channels = static_cast<int>(s.channels), width = static_cast<int>(s.width);
  shared.fill(w, bias, width, blockIdx.x * kWarp * kVec, channels);
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
    const Taps<kVec> taps(shared);
    Channels<kVec> window[kHalo + kBackwardRows], dpre[kHalo + kBackwardRows] = {};
#pragma unroll
    for (int k = 0; k < kHalo; ++k) {
      const int t = first - kHalo + k;
      window[k] = to_numbers(load_channels<kVec, kAligned>(in + t * x.stride, channel, channels, t >= 0));
    }
    const int end = last + kHalo,
              present = min(end, time);  // ends of the steps that count for dx, that exist
    auto& ring = pool.rows[warp];
    const bf16* x_row = in + first * x.stride;
    const bf16* dy_row = up + first * s.channels;
    const auto load_rows = [&](int t, int exist, int slot) {
#pragma unroll
      for (int r = 0; r < kBackwardRows; ++r) {
        copy_channels<kVec, kAligned>(ring[slot][0][r][lane], x_row, channel, channels, t + r < exist);
        copy_channels<kVec, kAligned>(ring[slot][1][r][lane], dy_row, channel, channels, t + r < exist);
        x_row += x.stride;
        dy_row += s.channels;
      }
      tile::commit_copies();
    };
    bf16* dx_row = out + (first - kHalo) * dx.stride;
    constexpr int kAhead = (kDepth - 1) * kBackwardRows;
    // kInside: all rows of this step and of the loads ahead of it exist, are the stretch's own and have their
    // dx in the stretch.
    int slot = 0;
    const auto step = [&](int t, auto inside) {
      constexpr bool kInside = decltype(inside)::value;
      tile::wait_copies<kDepth - 2>();
#pragma unroll
      for (int r = 0; r < kBackwardRows; ++r) {
        window[kHalo + r] = to_numbers(ring[slot][0][r][lane]);
        dpre[kHalo + r] = to_numbers(ring[slot][1][r][lane]);
      }
      const int free = slot == 0 ? kDepth - 1 : slot - 1;
      load_rows(t + kAhead, kInside ? t + kAhead + kBackwardRows : present, free);
      slot = slot == kDepth - 1 ? 0 : slot + 1;
#pragma unroll
      for (int r = 0; r < kBackwardRows; ++r) {
        const bool own = kInside || t + r < last;
        Channels<kVec> result;
#pragma unroll
        for (int i = 0; i < kVec; ++i) {
          const float pre = taps.apply(window + r, i), gate = tile::sigmoid_fast(pre);
          // silu'(pre) = gate (1 + pre (1 - gate))
          const float slope = dpre[kHalo + r].v[i] * fmaf(gate, fmaf(-pre, gate, pre), gate);
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
        if (kInside || (target >= first && target < last)) {
          store_channels<kVec, kAligned>(dx_row, channel, channels, result);
        }
        dx_row += dx.stride;
      }
#pragma unroll
      for (int k = 0; k < kHalo; ++k) {
        window[k] = window[kBackwardRows + k];
        dpre[k] = dpre[kBackwardRows + k];
      }
    };
#pragma unroll
    for (int i = 0; i < kDepth - 1; ++i) load_rows(first + i * kBackwardRows, present, i);
    int t = first;
    step(t, std::false_type());
#pragma unroll 2
    for (t += kBackwardRows; t + kAhead + kBackwardRows <= last; t += kBackwardRows)
      step(t, std::true_type());
#pragma unroll 1
    for (; t < end; t += kBackwardRows) step(t, std::false_type());
  }

  tile::wait_copies<0>();
  __syncthreads();  // the rows' place takes the sums
#pragma unroll
  for (int i = 0; i < kVec; ++i) {
#pragma unroll
    for (int k = 0; k < kTaps; ++k) pool.sums[warp][k][i][lane] = dw[i][k];
    pool.sums[warp][kTaps][i][lane] = dbias[i];
  }
  __syncthreads();
  for (int index = threadIdx.x; index < (kTaps + 1) * kWarp * kVec; index += kStretches * kWarp) {
    const int k = index / (kWarp * kVec), i = index / kWarp % kVec, owner = index % kWarp;
    const int c = (blockIdx.x * kWarp + owner) * kVec + i, own = k - (kTaps - width);
    if (c >= channels || own < 0) continue;
    float total = 0;
#pragma unroll
    for (int g = 0; g < kStretches; ++g) total += pool.sums[g][k][i][owner];
    if (k == kTaps) {
      partial_b[index_t{blockIdx.y} * channels + c] = total;
    } else {
      partial_w[(index_t{blockIdx.y} * channels + c) * width + own] = total;
    }
  }
}

struct BackwardGrid {
  index_t stretch, stretches, blocks;  // steps; stretches per sequence; blocks over time
  // Stretches of 16 to 128 steps. All at once, two blocks a multiprocessor, where that many do; else shorter ones, so that the last of them
  // leave few multiprocessors idle.
  explicit BackwardGrid(const ConvShape& s) {
    const index_t columns = ceil_div(s.channels, 4 * kWarp), at_once = 2 * kMultiprocessors * kStretches;
    const index_t together = at_once / (s.batch * columns);  // stretches of a sequence
    const index_t wanted = together * 128 >= s.time ? ceil_div(s.time, together) : s.batch * s.time / (kStretches * 128);
    stretch = std::clamp<index_t>(wanted, 16, 128);
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
  // Several parts to a warp, which has its taps once, where that still leaves each multiprocessor several blocks.
  const index_t parts = ceil_div(s.time, kForwardRows), columns = ceil_div(s.channels, kWarp * kVec);
  const index_t blocks = columns * ceil_div(s.batch * parts, kForwardWarps);
  const index_t rounds = std::clamp<index_t>(blocks / (8 * kMultiprocessors), 1, kMostForwardRounds);
  const dim3 grid(static_cast<unsigned>(columns), static_cast<unsigned>(ceil_div(s.batch * parts, rounds * kForwardWarps)));
  forward_kernel<kVec, kAligned><<<grid, kForwardWarps * kWarp, 0, stream>>>(s, static_cast<int>(parts), static_cast<int>(rounds), x,
                                                                             w, bias, y);
  check_launch("causal_conv1d_forward");
}

template <int kVec, bool kAligned>
void launch_backward(const ConvShape& s, const bf16* dy, StridedOf<const bf16*> x, const float* w,
                     const float* bias, StridedOf<bf16*> dx, float* partial_w, float* partial_b,
                     cudaStream_t stream) {
  const BackwardGrid grid(s);
  const dim3 blocks(static_cast<unsigned>(ceil_div(s.channels, kWarp * kVec)),
                    static_cast<unsigned>(grid.blocks));
  backward_kernel<kVec, kAligned><<<blocks, kStretches * kWarp, 0, stream>>>(
      s, static_cast<int>(grid.stretch), static_cast<int>(grid.stretches), dy, x, w, bias, dx, partial_w,
      partial_b);
  check_launch("causal_conv1d_backward");
}

void require(const ConvShape& s) {
  if (s.width < 1 || s.width > kTaps) {
    throw InvalidArgument("Expected a convolution of 1 to 4 taps on a CUDA device, got " +
                          std::to_string(s.width));
  }
}

}  // namespace

std::size_t causal_conv1d_workspace(const ConvShape& s) {
  return static_cast<std::size_t>(BackwardGrid(s).blocks * s.channels * (s.width + 1)) * sizeof(float);
}

void causal_conv1d_forward(const ConvShape& s, StridedOf<const bf16*> x, const float* w, const float* bias,
                           bf16* y, cudaStream_t stream) {
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
