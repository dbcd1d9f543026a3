// v = y silu(z), out = v rstd weight, rstd = 1/sqrt(mean(v²) + eps) over each group of columns. Backward,
// with g = dout weight:
//   dv = rstd (g - v rstd² mean(g v)),  dy = dv silu(z),  dz = dv y silu'(z),  dweight += Σ_rows dout v rstd
//
// A group of one row stays with kRowThreads threads (a warp up to 2048 columns forward, 1536 backward) between the
// reduction and its use: 6 bytes an element forward (65536 x 1536: 604 MB, floor 144 us at 4.2 TB/s), 10 backward
// (1007 MB, 240 us). Backward walks the rows with a fixed grid, the next ones on their way to shared memory
// (row_ring.cuh), and keeps its share of dweight in registers; a block adds its warps in order and leaves one
// partial row, column_sums adds those.
#include "../common/error.h"
#include "check.h"
#include "gated_rms_norm.cuh"
#include "launch.h"
#include "mma_tile.cuh"
#include "reduce.cuh"
#include "row_ring.cuh"

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

// Rows of a thread in shared memory: as many as let a multiprocessor of an H200 have three blocks and any card one.
template <int kRowThreads, int kPacks>
constexpr int kDepth = kPacks == 1 ? 4 : kPacks == 2 && kRowThreads == kWarp ? 3 : kPacks <= 6 ? 2 : 1;
template <int kRowThreads, int kPacks>
using BackwardRing = RowRing<3, kPacks, kDepth<kRowThreads, kPacks>, kBackwardThreads<kRowThreads>>;
enum { of_z, of_y, of_dout };

// grid (blocks, groups); partial (blocks, cols)
template <int kRowThreads, int kPacks, bool kAligned>
__global__ void __launch_bounds__(kBackwardThreads<kRowThreads>, kRowThreads == kWarp || kPacks == 1 ? 3 : 1)
    backward_kernel(GatedNormShape s, const bf16* __restrict__ dout, const bf16* __restrict__ y,
                    StridedOf<const bf16*> z, const float* __restrict__ weight,
                    const float* __restrict__ rstd, bf16* __restrict__ dy, StridedOf<bf16*> dz,
                    float* __restrict__ partial) {
  using Ring = BackwardRing<kRowThreads, kPacks>;
  constexpr int kRows = kBackwardThreads<kRowThreads> / kRowThreads, depth = kDepth<kRowThreads, kPacks>;
  // Registers hold a thread's weights and the sigmoids of a row; where there are too many, both are made twice.
  constexpr bool kKeep = kPacks <= 2;
  extern __shared__ uint4 memory[];
  __shared__ float scratch[kBackwardThreads<kRowThreads> / kWarp];
  Ring ring(memory);
  const int lane = threadIdx.x % kRowThreads, slot_of_row = threadIdx.x / kRowThreads;
  const int width = static_cast<int>(s.cols / s.groups), first = blockIdx.y * width;
  const float* const w_group = weight + first;
  const index_t first_row = blockIdx.x * index_t{kRows} + slot_of_row, step = gridDim.x * index_t{kRows};
  const auto fetch = [&](index_t row, int slot) {
    if (row < s.rows) {
#pragma unroll
      for (int p = 0; p < kPacks; ++p) {
        const int column = (p * kRowThreads + lane) * kPack;
        ring.template fetch<kAligned>(slot, of_z, p, z.data + row * z.stride + first, column, width);
        ring.template fetch<kAligned>(slot, of_y, p, y + row * s.cols + first, column, width);
        ring.template fetch<kAligned>(slot, of_dout, p, dout + row * s.cols + first, column, width);
      }
    }
    ring.commit();
  };
#pragma unroll
  for (int d = 0; d < depth; ++d) fetch(first_row + d * step, d);
  const auto scale_of = [&](index_t row) { return row < s.rows ? rstd[row * s.groups + blockIdx.y] : 0.f; };
  float next_scale = scale_of(first_row);
  Floats dweight[kPacks] = {}, weights[kKeep ? kPacks : 1];
  const auto weights_of = [&](int p) { return load<kAligned>(w_group, (p * kRowThreads + lane) * kPack, width); };
  if constexpr (kKeep) {
#pragma unroll
    for (int p = 0; p < kPacks; ++p) weights[p] = weights_of(p);
  }
  int slot = 0;
  for (index_t row = first_row; row < s.rows; row += step) {
    const float scale = next_scale;
    next_scale = scale_of(row + step);
    ring.wait();
    Floats sigmoids[kKeep ? kPacks : 1];
    float dot = 0;
#pragma unroll
    for (int p = 0; p < kPacks; ++p) {
      const Floats zs = unpack(ring.bits(slot, of_z, p)), ys = unpack(ring.bits(slot, of_y, p)),
                   ds = unpack(ring.bits(slot, of_dout, p));
      Floats w;
      if constexpr (kKeep) w = weights[p]; else w = weights_of(p);
#pragma unroll
      for (int i = 0; i < kPack; ++i) {
        const Gate gate = gate_of(zs.v[i]);
        if constexpr (kKeep) sigmoids[p].v[i] = gate.sigmoid;
        const float dv = ds.v[i] * ys.v[i] * gate.silu;  // dout · v
        dweight[p].v[i] += dv * scale;
        dot += dv * w.v[i];
      }
    }
    const float slope = row_sum<kRowThreads>(dot, scratch) / width * scale * scale;
    if constexpr (!kKeep) asm volatile("" ::: "memory");  // the row is read again, rather than kept in registers
#pragma unroll
    for (int p = 0; p < kPacks; ++p) {
      const int column = (p * kRowThreads + lane) * kPack;
      const Floats zs = unpack(ring.bits(slot, of_z, p)), ys = unpack(ring.bits(slot, of_y, p)),
                   ds = unpack(ring.bits(slot, of_dout, p));
      Floats w, dys, dzs;
      if constexpr (kKeep) w = weights[p]; else w = weights_of(p);
#pragma unroll
      for (int i = 0; i < kPack; ++i) {
        Gate gate;
        if constexpr (kKeep) gate = {sigmoids[p].v[i], zs.v[i] * sigmoids[p].v[i]}; else gate = gate_of(zs.v[i]);
        const float dv = scale * (ds.v[i] * w.v[i] - ys.v[i] * gate.silu * slope);
        dys.v[i] = dv * gate.silu;
        dzs.v[i] = dv * ys.v[i] * (gate.sigmoid + gate.silu * (1 - gate.sigmoid));
      }
      store<kAligned>(dy + row * s.cols + first, column, width, dys);
      store<kAligned>(dz.data + row * dz.stride + first, column, width, dzs);
    }
    fetch(row + depth * step, slot);
    slot = Ring::next(slot);
  }

  partial += blockIdx.x * s.cols + first;
  if constexpr (kRows == 1) {
#pragma unroll
    for (int p = 0; p < kPacks; ++p) store<kAligned>(partial, (p * kRowThreads + lane) * kPack, width, dweight[p]);
  } else {  // the ring's place takes the sums of rows side by side, which are added one after the other
    constexpr int columns = kPacks * kRowThreads * kPack;
    static_assert(Ring::bytes >= kRows * columns * 4);
    float* const sums = reinterpret_cast<float*>(memory);
    __syncthreads();
#pragma unroll
    for (int p = 0; p < kPacks; ++p) {
      store<true>(sums + slot_of_row * columns, (p * kRowThreads + lane) * kPack, columns, dweight[p]);
    }
    __syncthreads();
    for (int column = threadIdx.x; column < width; column += kBackwardThreads<kRowThreads>) {
      float sum = 0;
#pragma unroll
      for (int r = 0; r < kRows; ++r) sum += sums[r * columns + column];
      partial[column] = sum;
    }
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

template <bool kBackward, bool kAligned, class F>
void with_row(index_t width, F f) {
  const index_t packs = ceil_div(width, kPack);
  const std::integral_constant<bool, kAligned> alignment;
  if (packs <= 1 * kWarp) return f(Constant<kWarp>(), Constant<1>(), alignment);
  if (packs <= 2 * kWarp) return f(Constant<kWarp>(), Constant<2>(), alignment);
  if (packs <= 4 * kWarp) return f(Constant<kWarp>(), Constant<4>(), alignment);
  if (packs <= 6 * kWarp) return f(Constant<kWarp>(), Constant<6>(), alignment);
  if constexpr (kBackward) {
    if (packs <= 256) return f(Constant<256>(), Constant<1>(), alignment);
  } else {
    if (packs <= 8 * kWarp) return f(Constant<kWarp>(), Constant<8>(), alignment);
  }
  if (packs <= 2 * 256) return f(Constant<256>(), Constant<2>(), alignment);
  if (packs <= 4 * 256) return f(Constant<256>(), Constant<4>(), alignment);
  f(Constant<256>(), Constant<kMaxPacks>(), alignment);
}

template <bool kBackward, class F>
void dispatch(const GatedNormShape& s, bool aligned, F f) {
  const index_t width = s.cols / s.groups;
  if (s.cols % s.groups != 0 || width > 256 * kMaxPacks * kPack) {
    throw InvalidArgument(
        "Expected groups of at most 16384 channels in a gated RMSNorm on a CUDA device, got " +
        std::to_string(s.cols) + " channels in " + std::to_string(s.groups) + " groups");
  }
  aligned ? with_row<kBackward, true>(width, f) : with_row<kBackward, false>(width, f);
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
  dispatch<false>(s, aligned, [&](auto threads, auto packs, auto alignment) {
    const dim3 grid(static_cast<unsigned>(ceil_div(s.rows, 256 / threads())),
                    static_cast<unsigned>(s.groups));
    forward_kernel<threads(), packs(), alignment()><<<grid, 256, 0, stream>>>(s, y, z, weight, out, rstd);
    check_launch("gated_rms_norm_forward");
  });
}

void gated_rms_norm_backward(const GatedNormShape& s, const bf16* dout, const bf16* y,
                             StridedOf<const bf16*> z, const float* weight, const float* rstd, bf16* dy,
                             StridedOf<bf16*> dz, float* dweight, ColumnSums& sums, cudaStream_t stream) {
  const bool aligned = aligned_rows(s.cols / s.groups, dout, y, weight, dy) &&
                       aligned_view(z.data, z.stride) && aligned_view(dz.data, dz.stride);
  const index_t blocks = backward_blocks(s);
  float* const partial = sums.room(blocks * s.cols, stream);
  dispatch<true>(s, aligned, [&](auto threads, auto packs, auto alignment) {
    const dim3 grid(static_cast<unsigned>(blocks), static_cast<unsigned>(s.groups));
    const auto kernel = backward_kernel<threads(), packs(), alignment()>;
    constexpr int bytes = BackwardRing<threads(), packs()>::bytes;
    static_assert(bytes <= kLeastSharedMemory - 1024);
    allow_shared_memory(kernel, bytes, "gated_rms_norm_backward");
    kernel<<<grid, kBackwardThreads<threads()>, bytes, stream>>>(s, dout, y, z, weight, rstd, dy, dz, partial);
    check_launch("gated_rms_norm_backward");
  });
  sums.add(blocks, s.cols, partial, dweight, stream);
}

}  // namespace lmx::cuda
