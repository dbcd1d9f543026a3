// v = y silu(z), out = v rstd weight, rstd = 1/sqrt(mean(v²) + eps) over each group of columns. Backward,
// with g = dout weight:
//   dv = rstd (g - v rstd² mean(g v)),  dy = dv silu(z),  dz = dv y silu'(z),  dweight += Σ_rows dout v rstd
//
// A group of one row stays in the registers of kRowThreads threads (a warp up to 2048 columns), packed as it
// came, between the reduction and its use: 6 bytes an element forward (65536 x 1536: 604 MB, floor 144 us at
// 4.2 TB/s), 10 backward (1007 MB, 240 us). Backward walks the rows with a fixed grid and keeps its share of
// dweight in registers; a block adds its warps in order and leaves one partial row, column_sum adds those.
// Measured on an H200: 151 and 283 us.
#include "../common/error.h"
#include "check.h"
#include "column_sum.cuh"
#include "gated_rms_norm.cuh"
#include "launch.h"
#include "mma_tile.cuh"
#include "reduce.cuh"

namespace lmx::cuda {
namespace {

constexpr int kMaxPacks = 8;

struct Gate {
  float sigmoid, silu;
};
__device__ __forceinline__ Gate gate_of(float z) {
  const float s = tile::sigmoid_fast(z);
  return {s, z * s};
}

// The same bits, of unknown origin: what is computed from them before is computed again after, rather than
// kept in registers.
__device__ __forceinline__ void forget(uint4& bits) {
  asm volatile("" : "+r"(bits.x), "+r"(bits.y), "+r"(bits.z), "+r"(bits.w));
}

template <int kRowThreads>
__device__ __forceinline__ float row_sum(float value, float* scratch) {
  if constexpr (kRowThreads == kWarp) {
    return warp_sum(value);
  } else {
    __syncthreads();  // the scratch of the previous row has been read
    return block_sum(value, scratch);
  }
}

// grid (rows, groups); a block has kThreads / kRowThreads rows.
template <int kRowThreads, int kPacks, bool kAligned>
__global__ void __launch_bounds__(256)
    forward_kernel(GatedNormShape s, const bf16* __restrict__ y, StridedOf<const bf16*> z,
                   const float* __restrict__ weight, bf16* __restrict__ out, float* __restrict__ rstd) {
  __shared__ float scratch[256 / kWarp];
  const index_t row = blockIdx.x * index_t{256 / kRowThreads} + threadIdx.x / kRowThreads;
  if (row >= s.rows) return;  // whole warps only: a row of many warps fills its block
  const int lane = threadIdx.x % kRowThreads, width = static_cast<int>(s.cols / s.groups),
            first = blockIdx.y * width;
  const bf16* const y_row = y + row * s.cols + first;
  const bf16* const z_row = z.data + row * z.stride + first;
  uint4 y_bits[kPacks], z_bits[kPacks];
#pragma unroll
  for (int p = 0; p < kPacks; ++p) {
    y_bits[p] = load_bits<kAligned>(y_row, (p * kRowThreads + lane) * kPack, width);
    z_bits[p] = load_bits<kAligned>(z_row, (p * kRowThreads + lane) * kPack, width);
  }
  Floats v[kPacks];
  float squares = 0;
#pragma unroll
  for (int p = 0; p < kPacks; ++p) {
    const Floats gates = unpack(z_bits[p]);
    v[p] = unpack(y_bits[p]);
#pragma unroll
    for (int i = 0; i < kPack; ++i) {
      v[p].v[i] *= gate_of(gates.v[i]).silu;
      squares += v[p].v[i] * v[p].v[i];
    }
  }
  const float scale = rsqrtf(row_sum<kRowThreads>(squares, scratch) / width + static_cast<float>(s.eps));
  if (lane == 0) rstd[row * s.groups + blockIdx.y] = scale;
#pragma unroll
  for (int p = 0; p < kPacks; ++p) {
    const int column = (p * kRowThreads + lane) * kPack;
    const Floats w = load<kAligned>(weight + first, column, width);
#pragma unroll
    for (int i = 0; i < kPack; ++i) v[p].v[i] *= scale * w.v[i];
    store<kAligned>(out + row * s.cols + first, column, width, v[p]);
  }
}

template <int kRowThreads>
constexpr int kBackwardThreads = kRowThreads == kWarp ? 128 : kRowThreads;

// grid (blocks, groups); partial (blocks, cols)
template <int kRowThreads, int kPacks, bool kAligned>
__global__ void __launch_bounds__(kBackwardThreads<kRowThreads>, kRowThreads == kWarp ? 3 : 1)
    backward_kernel(GatedNormShape s, const bf16* __restrict__ dout, const bf16* __restrict__ y,
                    StridedOf<const bf16*> z, const float* __restrict__ weight,
                    const float* __restrict__ rstd, bf16* __restrict__ dy, StridedOf<bf16*> dz,
                    float* __restrict__ partial) {
  constexpr int kRows = kBackwardThreads<kRowThreads> / kRowThreads;
  __shared__ float scratch[kBackwardThreads<kRowThreads> / kWarp];
  __shared__ float shared_sums[kRows > 1 ? kPacks * kRowThreads * kPack : 1];
  const int lane = threadIdx.x % kRowThreads, slot = threadIdx.x / kRowThreads;
  const int width = static_cast<int>(s.cols / s.groups), first = blockIdx.y * width;
  const float* const w_group = weight + first;
  Floats dweight[kPacks] = {};
  for (index_t row = blockIdx.x * index_t{kRows} + slot; row < s.rows; row += gridDim.x * index_t{kRows}) {
    uint4 d_bits[kPacks], y_bits[kPacks], z_bits[kPacks];
#pragma unroll
    for (int p = 0; p < kPacks; ++p) {
      const int column = (p * kRowThreads + lane) * kPack;
      z_bits[p] = load_bits<kAligned>(z.data + row * z.stride + first, column, width);
      y_bits[p] = load_bits<kAligned>(y + row * s.cols + first, column, width);
      d_bits[p] = load_bits<kAligned>(dout + row * s.cols + first, column, width);
    }
    const float scale = rstd[row * s.groups + blockIdx.y];
    float dot = 0;
#pragma unroll
    for (int p = 0; p < kPacks; ++p) {
      const Floats zs = unpack(z_bits[p]), ys = unpack(y_bits[p]), ds = unpack(d_bits[p]);
      const Floats w = load<kAligned>(w_group, (p * kRowThreads + lane) * kPack, width);
#pragma unroll
      for (int i = 0; i < kPack; ++i) {
        const float dv = ds.v[i] * ys.v[i] * gate_of(zs.v[i]).silu;  // dout · v
        dweight[p].v[i] += dv * scale;
        dot += dv * w.v[i];
      }
    }
    const float slope = row_sum<kRowThreads>(dot, scratch) / width * scale * scale;
#pragma unroll
    for (int p = 0; p < kPacks; ++p) {
      const int column = (p * kRowThreads + lane) * kPack;
      forget(z_bits[p]);
      forget(y_bits[p]);
      forget(d_bits[p]);
      const Floats zs = unpack(z_bits[p]), ys = unpack(y_bits[p]), ds = unpack(d_bits[p]);
      const Floats w = load<kAligned>(w_group, column, width);
      Floats dys, dzs;
#pragma unroll
      for (int i = 0; i < kPack; ++i) {
        const Gate gate = gate_of(zs.v[i]);
        const float dv = scale * (ds.v[i] * w.v[i] - ys.v[i] * gate.silu * slope);
        dys.v[i] = dv * gate.silu;
        dzs.v[i] = dv * ys.v[i] * (gate.sigmoid + gate.silu * (1 - gate.sigmoid));
      }
      store<kAligned>(dy + row * s.cols + first, column, width, dys);
      store<kAligned>(dz.data + row * dz.stride + first, column, width, dzs);
    }
  }

  for (int turn = 0; turn < kRows; ++turn) {
    if (slot == turn) {
#pragma unroll
      for (int p = 0; p < kPacks; ++p) {
#pragma unroll
        for (int i = 0; i < kPack; ++i) {
          const int column = (p * kRowThreads + lane) * kPack + i;
          if (column >= width) continue;
          const float sum = dweight[p].v[i] + (turn == 0 ? 0.0f : shared_sums[column]);
          if (turn == kRows - 1) {
            partial[blockIdx.x * s.cols + first + column] = sum;
          } else {
            shared_sums[column] = sum;
          }
        }
      }
    }
    __syncthreads();
  }
}

// About three blocks per multiprocessor of an H200; a fixed number, so that results do not depend on the
// card.
index_t backward_blocks(const GatedNormShape& s) {
  const index_t most = ceil_div(396, s.groups), needed = ceil_div(s.rows, 4);
  return needed < most ? needed : most;
}

// Calls f with kRowThreads, kPacks, kAligned as compile-time constants.
template <int kValue>
using Constant = std::integral_constant<int, kValue>;

template <bool kAligned, class F>
void with_row(index_t width, F f) {
  const index_t packs = ceil_div(width, kPack);
  const std::integral_constant<bool, kAligned> alignment;
  if (packs <= 1 * kWarp) return f(Constant<kWarp>(), Constant<1>(), alignment);
  if (packs <= 2 * kWarp) return f(Constant<kWarp>(), Constant<2>(), alignment);
  if (packs <= 4 * kWarp) return f(Constant<kWarp>(), Constant<4>(), alignment);
  if (packs <= 6 * kWarp) return f(Constant<kWarp>(), Constant<6>(), alignment);
  if (packs <= 8 * kWarp) return f(Constant<kWarp>(), Constant<8>(), alignment);
  if (packs <= 2 * 256) return f(Constant<256>(), Constant<2>(), alignment);
  if (packs <= 4 * 256) return f(Constant<256>(), Constant<4>(), alignment);
  f(Constant<256>(), Constant<kMaxPacks>(), alignment);
}

template <class F>
void dispatch(const GatedNormShape& s, bool aligned, F f) {
  const index_t width = s.cols / s.groups;
  if (s.cols % s.groups != 0 || width > 256 * kMaxPacks * kPack) {
    throw InvalidArgument(
        "Expected groups of at most 16384 channels in a gated RMSNorm on a CUDA device, got " +
        std::to_string(s.cols) + " channels in " + std::to_string(s.groups) + " groups");
  }
  aligned ? with_row<true>(width, f) : with_row<false>(width, f);
}

bool aligned_view(const void* data, index_t stride) {
  return stride % kPack == 0 && reinterpret_cast<std::uintptr_t>(data) % 16 == 0;
}

}  // namespace

std::size_t gated_rms_norm_workspace(const GatedNormShape& s) {
  return static_cast<std::size_t>(backward_blocks(s) * s.cols) * sizeof(float);
}

void gated_rms_norm_forward(const GatedNormShape& s, const bf16* y, StridedOf<const bf16*> z,
                            const float* weight, bf16* out, float* rstd, cudaStream_t stream) {
  const bool aligned = aligned_rows(s.cols / s.groups, y, weight, out) && aligned_view(z.data, z.stride);
  dispatch(s, aligned, [&](auto threads, auto packs, auto alignment) {
    const dim3 grid(static_cast<unsigned>(ceil_div(s.rows, 256 / threads())),
                    static_cast<unsigned>(s.groups));
    forward_kernel<threads(), packs(), alignment()><<<grid, 256, 0, stream>>>(s, y, z, weight, out, rstd);
    check_launch("gated_rms_norm_forward");
  });
}

void gated_rms_norm_backward(const GatedNormShape& s, const bf16* dout, const bf16* y,
                             StridedOf<const bf16*> z, const float* weight, const float* rstd, bf16* dy,
                             StridedOf<bf16*> dz, float* dweight, void* workspace, cudaStream_t stream) {
  const bool aligned = aligned_rows(s.cols / s.groups, dout, y, weight, dy) &&
                       aligned_view(z.data, z.stride) && aligned_view(dz.data, dz.stride);
  float* const partial = static_cast<float*>(workspace);
  const index_t blocks = backward_blocks(s);
  dispatch(s, aligned, [&](auto threads, auto packs, auto alignment) {
    const dim3 grid(static_cast<unsigned>(blocks), static_cast<unsigned>(s.groups));
    backward_kernel<threads(), packs(), alignment()>
        <<<grid, kBackwardThreads<threads()>, 0, stream>>>(s, dout, y, z, weight, rstd, dy, dz, partial);
    check_launch("gated_rms_norm_backward");
  });
  column_sum(blocks, s.cols, partial, dweight, stream);
}

}  // namespace lmx::cuda
