// pre[t] = bias + Σ_k w[c,k] x[t - 3 + k],  y = silu(pre); four taps, narrower kernels have leading zeros.
// Backward, from x again:
//   dpre = dy silu'(pre),  dx[t] = Σ_k w[c,k] dpre[t + 3 - k],  dw[c,k] = Σ_t dpre[t] x[t - 3 + k],
//   dbias[c] = Σ_t dpre[t]
//
// A warp walks a stretch of steps of neighbouring channels with a window in registers, the next steps on their way to
// shared memory (cp.async); stretches overlap by the window. A lane has 8 channels (16 bytes a step) forward where that leaves none
// without work, else 4, and 4 backward. Stretches are as long as fill the device once, or three times forward with 8. 4 bytes
// an element forward (65536 x 1792: 470 MB, floor 114 us at the 4.13 TB/s of a copy), 6 backward (705 MB, 171 us): 136 and
// 212 us on an H200. dw and dbias: each stretch keeps its own in registers, a block adds its stretches in order - its warps take neighbouring
// channels where that leaves none without work - and leaves one partial row; column_sums adds those.
#include <algorithm>
#include <numeric>
#include <type_traits>

#include "../common/error.h"
#include "causal_conv1d.cuh"
#include "check.h"
#include "launch.h"
#include "mma_tile.cuh"
#include "reduce.cuh"
#include "row_ring.cuh"

namespace lmx::cuda {
namespace {

constexpr int kTaps = 4, kHalo = kTaps - 1;

// Neighbouring channels of one step: as they lie in memory, and as numbers.
template <int kVec>
struct alignas(2 * kVec) Bits {
  std::uint32_t pairs[kVec / 2];
};
template <int kVec>
struct Channels {
  float v[kVec];
};

// kAligned: rows start at multiples of kVec elements and their number of channels is one. Rows that do not exist are zero.
template <bool kAligned, int kVec>
__device__ __forceinline__ Bits<kVec> load_channels(const bf16* row, int channel, int channels, bool exists) {
  Bits<kVec> bits = {};
  if (!exists) return bits;
  if constexpr (kAligned) {
    bits = *reinterpret_cast<const Bits<kVec>*>(row + channel);
  } else {
    const auto* const words = reinterpret_cast<const std::uint16_t*>(row);
#pragma unroll
    for (int i = 0; i < kVec; ++i) {
      if (channel + i < channels) bits.pairs[i / 2] |= std::uint32_t{words[channel + i]} << (16 * (i % 2));
    }
  }
  return bits;
}

// The same to shared memory; in the background where it can be.
template <bool kAligned, int kVec>
__device__ __forceinline__ void copy_channels(Bits<kVec>& target, const bf16* row, int channel, int channels, bool exists) {
  if constexpr (kAligned) {
    if constexpr (kVec == 8) {
      asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"(tile::shared_address(&target)),
                   "l"(row + channel), "r"(exists ? 16 : 0)
                   : "memory");
    } else {
      asm volatile("cp.async.ca.shared.global [%0], [%1], 8, %2;\n" ::"r"(tile::shared_address(&target)),
                   "l"(row + channel), "r"(exists ? 8 : 0)
                   : "memory");
    }
  } else {
    target = load_channels<false, kVec>(row, channel, channels, exists);
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

template <bool kAligned, int kVec>
__device__ __forceinline__ void store_channels(bf16* row, int channel, int channels, const Channels<kVec>& c) {
  if constexpr (kAligned) {
    Bits<kVec> bits;
#pragma unroll
    for (int i = 0; i < kVec; i += 2) bits.pairs[i / 2] = to_pair(c.v[i], c.v[i + 1]);
    *reinterpret_cast<Bits<kVec>*>(row + channel) = bits;
  } else {
#pragma unroll
    for (int i = 0; i < kVec; ++i) {
      if (channel + i < channels) row[channel + i] = __float2bfloat16_rn(c.v[i]);
    }
  }
}

// Taps and biases of a thread's channels times `scale`; zero for taps before the kernel's own.
template <int kVec>
struct Taps {
  float w[kVec][kTaps], bias[kVec];

  __device__ __forceinline__ Taps(const float* weight, const float* biases, int width, int channel, int channels, float scale = 1) {
    const bool whole = width == kTaps && reinterpret_cast<std::uintptr_t>(weight) % 16 == 0;
#pragma unroll
    for (int i = 0; i < kVec; ++i) {
      const int c = min(channel + i, channels - 1);
      bias[i] = biases[c] * scale;
      if (whole) {
        const float4 row = *reinterpret_cast<const float4*>(weight + index_t{c} * kTaps);
        w[i][0] = row.x * scale, w[i][1] = row.y * scale, w[i][2] = row.z * scale, w[i][3] = row.w * scale;
        continue;
      }
#pragma unroll
      for (int k = 0; k < kTaps; ++k) {
        const int own = k - (kTaps - width);
        w[i][k] = own >= 0 ? weight[index_t{c} * width + own] * scale : 0;
      }
    }
  }
  // `scale` times the pre-activation of channel i, `window` ending at the step
  __device__ __forceinline__ float apply(const Channels<kVec>* window, int i) const {
    float sum = bias[i];
#pragma unroll
    for (int k = 0; k < kTaps; ++k) sum = fmaf(w[i][k], window[k].v[i], sum);
    return sum;
  }
};

// silu(x) of x times -log2 e: x / (1 + 2^(-x log2 e)), the factor taken out by the division.
constexpr float kMinusLog2e = -1.4426950408889634f;
__device__ __forceinline__ float silu_of_scaled(float scaled) {
  float inverse;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(inverse) : "f"(fmaf(tile::exp2_fast(scaled), kMinusLog2e, kMinusLog2e)));
  return scaled * inverse;
}

// How a sequence is cut into stretches, of which `at_once` are walked at a time.
struct Stretches {
  index_t length, count;  // steps; of one sequence

  // As many as end soonest; a stretch begins with what takes as long as 12 steps.
  Stretches(index_t batch, index_t time, index_t at_once, index_t least) {
    const index_t most = std::max<index_t>(1, std::min(4 * at_once / batch, time / least));
    index_t best = 1, best_cost = 0;
    for (index_t n = 1; n <= most; ++n) {
      const index_t cost = ceil_div(batch * n, at_once) * (ceil_div(time, n) + 12);
      if (n == 1 || cost < best_cost) best = n, best_cost = cost;
    }
    length = ceil_div(time, best);
    count = ceil_div(time, length);
  }
};

// Steps loaded together, groups of them on their way or in use. kRows is kTaps, so that the window is back in its place after each.
constexpr int kForwardWarps = 8, kForwardRows = kTaps, kForwardDepth = 4;
// Blocks of a multiprocessor, and how often they fill the device: three times where that is better than once by measurement.
template <int kVec>
constexpr int kForwardBlocks = kVec == 8 ? 2 : 3;
template <int kVec>
constexpr int kForwardWaves = kVec == 8 ? 3 : 1;

// A warp is one column of kVec * 32 channels and one stretch; columns are counted first.
template <bool kAligned, int kVec>
__global__ void __launch_bounds__(kForwardWarps* kWarp, kForwardBlocks<kVec>)
    forward_kernel(ConvShape s, int stretch, int stretches, int columns, StridedOf<const bf16*> x,
                   const float* __restrict__ w, const float* __restrict__ bias, bf16* __restrict__ y) {
  extern __shared__ uint4 forward_memory[];
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const int channels = static_cast<int>(s.channels), time = static_cast<int>(s.time);
  const index_t place = blockIdx.x * index_t{kForwardWarps} + warp, part = place / columns, sequence = part / stretches;
  const int channel = (static_cast<int>(place - part * columns) * kWarp + lane) * kVec;
  if (sequence >= s.batch || channel >= channels) return;
  auto& rows = reinterpret_cast<Bits<kVec>(*)[kForwardDepth][kForwardRows][kWarp]>(forward_memory)[warp];  // each thread's own
  const int first = static_cast<int>(part - sequence * stretches) * stretch, last = min(first + stretch, time);
  const bf16* x_row = x.data + (sequence * s.time + first) * x.stride;
  bf16* y_row = y + (sequence * s.time + first) * s.channels;
  Channels<kVec> window[kTaps];
  const bf16* const before = x_row - kHalo * x.stride;
  const auto load_rows = [&](int t, int slot) {
#pragma unroll
    for (int r = 0; r < kForwardRows; ++r) {
      copy_channels<kAligned>(rows[slot][r][lane], x_row, channel, channels, t + r < last);
      x_row += x.stride;
    }
    tile::commit_copies();
  };
#pragma unroll
  for (int i = 0; i < kForwardDepth - 1; ++i) load_rows(first + i * kForwardRows, i);
#pragma unroll
  for (int k = 0; k < kHalo; ++k) {
    window[k + 1] = to_numbers(load_channels<kAligned, kVec>(before + k * x.stride, channel, channels, first - kHalo + k >= 0));
  }
  const Taps<kVec> taps(w, bias, static_cast<int>(s.width), channel, channels, kMinusLog2e);
  int slot = 0;
#pragma unroll 1
  for (int t = first; t < last; t += kForwardRows) {
    tile::wait_copies<kForwardDepth - 2>();
    load_rows(t + (kForwardDepth - 1) * kForwardRows, slot == 0 ? kForwardDepth - 1 : slot - 1);
#pragma unroll
    for (int r = 0; r < kForwardRows; ++r) {
#pragma unroll
      for (int k = 0; k < kHalo; ++k) window[k] = window[k + 1];
      window[kHalo] = to_numbers(rows[slot][r][lane]);
      Channels<kVec> result;
#pragma unroll
      for (int i = 0; i < kVec; ++i) result.v[i] = silu_of_scaled(taps.apply(window, i));
      if (t + r < last) store_channels<kAligned>(y_row, channel, channels, result);
      y_row += s.channels;
    }
    slot = slot == kForwardDepth - 1 ? 0 : slot + 1;
  }
}

// Backward: channels of a thread; most warps of a block; steps loaded together; groups of them on their way or in use.
constexpr int kVec = 4, kColumn = kVec * kWarp, kBackwardWarps = 16, kBackwardRows = 3, kDepth = 4;

// What a warp has in shared memory: steps of x and dy, each thread's own; then its sums.
union WarpMemory {
  Bits<kVec> rows[kDepth][2][kBackwardRows][kWarp];
  float sums[kWarp][kVec * (kTaps + 1) + 1];  // of a thread: dw, dbias, and one for the banks
};

// A block: `across` columns, and as many stretches as its other warps make. partial_w (blocks over time, channels * width),
// partial_b (.., channels).
template <bool kAligned>
__global__ void __launch_bounds__(kBackwardWarps* kWarp, 1)
    backward_kernel(ConvShape s, int across, int stretch, int stretches, const bf16* __restrict__ dy,
                    StridedOf<const bf16*> x, const float* __restrict__ w, const float* __restrict__ bias,
                    StridedOf<bf16*> dx, float* __restrict__ partial_w, float* __restrict__ partial_b) {
  extern __shared__ WarpMemory memory[];
  const int channels = static_cast<int>(s.channels), width = static_cast<int>(s.width);
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp, along = blockDim.x / kWarp / across;
  const int first_channel = blockIdx.x * across * kColumn, channel = first_channel + (warp % across * kWarp + lane) * kVec;
  const index_t part = blockIdx.y * index_t{along} + warp / across;
  float dw[kVec][kTaps] = {}, dbias[kVec] = {};

  if (channel < channels && part < s.batch * stretches) {
    const int first = static_cast<int>(part % stretches) * stretch, time = static_cast<int>(s.time);
    const int last = min(first + stretch, time);
    const int end = last + kHalo,
              present = min(end, time);  // ends of the steps that count for dx, that exist
    const index_t row = part / stretches * s.time + first;
    const bf16* x_row = x.data + row * x.stride;
    const bf16* const before = x_row - kHalo * x.stride;
    const bf16* dy_row = dy + row * s.channels;
    bf16* dx_row = dx.data + (row - kHalo) * dx.stride;
    auto& ring = memory[warp].rows;
    const auto load_rows = [&](int t, int exist, int slot) {
#pragma unroll
      for (int r = 0; r < kBackwardRows; ++r) {
        copy_channels<kAligned>(ring[slot][0][r][lane], x_row, channel, channels, t + r < exist);
        copy_channels<kAligned>(ring[slot][1][r][lane], dy_row, channel, channels, t + r < exist);
        x_row += x.stride;
        dy_row += s.channels;
      }
      tile::commit_copies();
    };
#pragma unroll
    for (int i = 0; i < kDepth - 1; ++i) load_rows(first + i * kBackwardRows, present, i);
    Channels<kVec> window[kHalo + kBackwardRows], dpre[kHalo + kBackwardRows] = {};
#pragma unroll
    for (int k = 0; k < kHalo; ++k) {
      window[k] = to_numbers(load_channels<kAligned, kVec>(before + k * x.stride, channel, channels, first - kHalo + k >= 0));
    }
    const Taps<kVec> taps(w, bias, width, channel, channels);
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
          store_channels<kAligned>(dx_row, channel, channels, result);
        }
        dx_row += dx.stride;
      }
#pragma unroll
      for (int k = 0; k < kHalo; ++k) {
        window[k] = window[kBackwardRows + k];
        dpre[k] = dpre[kBackwardRows + k];
      }
    };
    int t = first;
    step(t, std::false_type());
#pragma unroll 2
    for (t += kBackwardRows; t + kAhead + kBackwardRows <= last; t += kBackwardRows)
      step(t, std::true_type());
#pragma unroll 1
    for (; t < end; t += kBackwardRows) step(t, std::false_type());
  }

  tile::wait_copies<0>();
  __syncwarp();  // the rows' place takes the sums
  float(&own)[kVec * (kTaps + 1) + 1] = memory[warp].sums[lane];
#pragma unroll
  for (int i = 0; i < kVec; ++i) {
#pragma unroll
    for (int k = 0; k < kTaps; ++k) own[i * kTaps + k] = dw[i][k];
    own[kVec * kTaps + i] = dbias[i];
  }
  __syncthreads();
  const auto total_of = [&](int c, int sum) {  // c of the block's channels; over its stretches in their order
    float total = 0;
    for (int turn = 0; turn < along; ++turn) {
      total += memory[turn * across + c / kColumn].sums[c / kVec % kWarp][sum];
    }
    return total;
  };
  const int count = min(across * kColumn, channels - first_channel);
  partial_w += (blockIdx.y * s.channels + first_channel) * width;
  for (int index = threadIdx.x; index < count * width; index += blockDim.x) {
    const int c = index / width;
    partial_w[index] = total_of(c, c % kVec * kTaps + index - c * width + kTaps - width);
  }
  partial_b += blockIdx.y * s.channels + first_channel;
  for (int c = threadIdx.x; c < count; c += blockDim.x) partial_b[c] = total_of(c, kVec * kTaps + c % kVec);
}

struct BackwardGrid {
  index_t across, along;    // columns and stretches of a block
  index_t columns, blocks;  // of blocks, over the channels and over time
  Stretches stretches;

  explicit BackwardGrid(const ConvShape& s)
      : across(std::gcd(ceil_div(s.channels, kColumn), kBackwardWarps)),  // the most that leave no warp without work
        along(kBackwardWarps / across),
        columns(ceil_div(s.channels, kColumn * across)),
        stretches(s.batch, s.time, std::max<index_t>(1, kMultiprocessors / columns) * along, 16) {
    blocks = ceil_div(s.batch * stretches.count, along);
  }
};

template <int kVec, class... Pointers>
bool aligned(const ConvShape& s, index_t stride, Pointers... pointers) {
  return s.channels % kVec == 0 && stride % kVec == 0 &&
         ((reinterpret_cast<std::uintptr_t>(pointers) % (2 * kVec) == 0) && ...);
}

void require(const ConvShape& s) {
  if (s.width < 1 || s.width > kTaps) {
    throw InvalidArgument("Expected a convolution of 1 to 4 taps on a CUDA device, got " +
                          std::to_string(s.width));
  }
}

template <bool kAligned, int kVec>
void forward(const ConvShape& s, StridedOf<const bf16*> x, const float* w, const float* bias, bf16* y, cudaStream_t stream) {
  const index_t columns = ceil_div(s.channels, kVec * kWarp);
  const index_t warps = kForwardWaves<kVec> * kMultiprocessors * kForwardBlocks<kVec> * kForwardWarps;
  const Stretches stretches(s.batch, s.time, std::max<index_t>(1, warps / columns), 8);
  const auto blocks = static_cast<unsigned>(ceil_div(s.batch * stretches.count * columns, kForwardWarps));
  const auto kernel = forward_kernel<kAligned, kVec>;
  constexpr int bytes = kForwardWarps * kForwardDepth * kForwardRows * kWarp * static_cast<int>(sizeof(Bits<kVec>));
  allow_shared_memory(kernel, bytes, "causal_conv1d_forward");
  kernel<<<blocks, kForwardWarps * kWarp, bytes, stream>>>(s, static_cast<int>(stretches.length),
                                                           static_cast<int>(stretches.count), static_cast<int>(columns), x, w,
                                                           bias, y);
  check_launch("causal_conv1d_forward");
}

}  // namespace

std::size_t causal_conv1d_workspace(const ConvShape& s) {
  return static_cast<std::size_t>(BackwardGrid(s).blocks * s.channels * (s.width + 1)) * sizeof(float);
}

void causal_conv1d_forward(const ConvShape& s, StridedOf<const bf16*> x, const float* w, const float* bias,
                           bf16* y, cudaStream_t stream) {
  require(s);
  const bool wide = s.channels % (8 * kWarp) == 0 && aligned<8>(s, x.stride, x.data, y);  // no lane without channels
  const auto run = wide ? forward<true, 8> : aligned<4>(s, x.stride, x.data, y) ? forward<true, 4> : forward<false, 4>;
  run(s, x, w, bias, y, stream);
}

void causal_conv1d_backward(const ConvShape& s, const bf16* dy, StridedOf<const bf16*> x, const float* w,
                            const float* bias, StridedOf<bf16*> dx, float* dw, float* dbias, ColumnSums& sums,
                            cudaStream_t stream) {
  require(s);
  const BackwardGrid grid(s);
  float* const partial_w = sums.room(grid.blocks * s.channels * (s.width + 1), stream);
  float* const partial_b = partial_w + grid.blocks * s.channels * s.width;
  const bool whole = aligned<kVec>(s, x.stride, x.data, dy) && aligned<kVec>(s, dx.stride, dx.data);
  const auto kernel = whole ? backward_kernel<true> : backward_kernel<false>;
  const int warps = static_cast<int>(grid.across * grid.along), bytes = warps * static_cast<int>(sizeof(WarpMemory));
  static_assert(kBackwardWarps * sizeof(WarpMemory) <= kLeastSharedMemory - 1024);
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes), "causal_conv1d_backward");
  kernel<<<dim3(static_cast<unsigned>(grid.columns), static_cast<unsigned>(grid.blocks)), warps * kWarp, bytes, stream>>>(
      s, static_cast<int>(grid.across), static_cast<int>(grid.stretches.length), static_cast<int>(grid.stretches.count), dy, x,
      w, bias, dx, partial_w, partial_b);
  check_launch("causal_conv1d_backward");
  sums.add(grid.blocks, s.channels * s.width, partial_w, dw, stream);
  sums.add(grid.blocks, s.channels, partial_b, dbias, stream);
}

}  // namespace lmx::cuda
