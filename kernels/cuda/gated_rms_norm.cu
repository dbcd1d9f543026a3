// v = y silu(z), out = v rstd weight, rstd = 1/sqrt(mean(v²) + eps) over each group of columns. Backward,
// with g = dout weight:
//   dv = rstd (g - v rstd² mean(g v)),  dy = dv silu(z),  dz = dv y silu'(z),  dweight += Σ_rows dout v rstd
//
// A group of one row stays with kRowThreads threads between the reduction and its use: 6 bytes an element forward (65536 x 1536:
// 604 MB, floor 146 us at the 4.13 TB/s of a copy, 151 us on an H200), 10 backward. Backward walks the rows with a fixed grid and keeps its
// share of dweight in registers; each block leaves one partial row, column_sums adds those. Groups of 513 to 2048 columns take a block each
// (gated_rms_norm_wide.cuh); narrower ones a warp, wider ones 256 threads, and the next rows are on their way to shared memory (row_ring.cuh) as
// soon as a row's last piece is read.
#include "../common/error.h"
#include "check.h"
#include "gated_rms_norm.cuh"
#include "gated_rms_norm_wide.cuh"
#include "launch.h"
#include "mma_tile.cuh"
#include "reduce.cuh"
#include "row_ring.cuh"

namespace lmx::cuda {
namespace {

constexpr int kMaxPacks = 8;

// Over the kRowThreads threads of a row, the `row`-th of its block. scratch: a float for each warp of the block. Who calls it again hands it
// another scratch than the last time: a row's barrier then separates the two uses of each.
template <int kRowThreads>
__device__ __forceinline__ float row_sum(float value, float* scratch, int row) {
  constexpr int warps = kRowThreads / kWarp;
  value = warp_sum(value);
  if constexpr (warps > 1) {
    if (threadIdx.x % kWarp == 0) scratch[threadIdx.x / kWarp] = value;
    asm volatile("bar.sync %0, %1;\n" ::"r"(1 + row), "n"(kRowThreads) : "memory");
    value = 0;
#pragma unroll
    for (int w = 0; w < warps; ++w) value += scratch[row * warps + w];
  }
  return value;
}

// grid (rows, groups); a block has kThreads / kRowThreads rows.
template <int kRowThreads, int kPacks, bool kAligned>
__global__ void __launch_bounds__(256)
    forward_kernel(GatedNormShape s, const bf16* __restrict__ y, StridedOf<const bf16*> z,
                   const float* __restrict__ weight, bf16* __restrict__ out, float* __restrict__ rstd) {
  __shared__ float scratch[256 / kWarp];
  const index_t row = blockIdx.x * index_t{256 / kRowThreads} + threadIdx.x / kRowThreads;
  if (row >= s.rows) return;  // whole warps only: the threads of a row wait for one another alone
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
      v[p].v[i] *= gates.v[i] * tile::sigmoid_fast(gates.v[i]);
      squares += v[p].v[i] * v[p].v[i];
    }
  }
  const float mean = row_sum<kRowThreads>(squares, scratch, threadIdx.x / kRowThreads) / width;
  const float scale = rsqrtf(mean + static_cast<float>(s.eps));
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

// Of a block: whole rows, and as many threads as have the registers they need in three blocks of a multiprocessor.
template <int kRowThreads>
constexpr int kBackwardThreads = kRowThreads == 256 ? 256 : 128;

// Rows of a thread in shared memory: as many as let a multiprocessor of an H200 have three blocks and any card one.
template <int kRowThreads, int kPacks>
constexpr int kDepth = kRowThreads == 256 ? (kPacks <= 4 ? 2 : 1) : kPacks == 1 ? 4 : 3;
template <int kRowThreads, int kPacks>
using BackwardRing = RowRing<3, kPacks, kDepth<kRowThreads, kPacks>, kBackwardThreads<kRowThreads>>;
enum { of_z, of_y, of_dout };

// grid (blocks, groups); partial (blocks, cols). kFull: the packs of a row's threads are the group, no more; aligned.
template <int kRowThreads, int kPacks, bool kAligned, bool kFull>
__global__ void __launch_bounds__(kBackwardThreads<kRowThreads>, kRowThreads == kWarp ? 3 : 1)
    backward_kernel(GatedNormShape s, const bf16* __restrict__ dout, const bf16* __restrict__ y,
                    StridedOf<const bf16*> z, const float* __restrict__ weight,
                    const float* __restrict__ rstd, bf16* __restrict__ dy, StridedOf<bf16*> dz,
                    float* __restrict__ partial) {
  using Ring = BackwardRing<kRowThreads, kPacks>;
  constexpr int kRows = kBackwardThreads<kRowThreads> / kRowThreads, depth = kDepth<kRowThreads, kPacks>;
  // Registers hold the sigmoids of a row and a thread's weights; where there are too many, they are made and read twice.
  constexpr bool kKeepSigmoids = kPacks <= 4, kKeepWeights = kPacks <= 2;
  constexpr int kStride = kRowThreads * kPack;  // between a thread's packs
  extern __shared__ uint4 memory[];
  __shared__ float scratch[2][kBackwardThreads<kRowThreads> / kWarp];
  Ring ring(memory);
  const int lane = threadIdx.x % kRowThreads, slot_of_row = threadIdx.x / kRowThreads;
  const int width = kFull ? kPacks * kStride : static_cast<int>(s.cols / s.groups);
  const int first = blockIdx.y * width + lane * kPack, columns = width - lane * kPack;  // from this thread's first on
  const int rows = static_cast<int>(s.rows), step = gridDim.x * kRows, first_row = blockIdx.x * kRows + slot_of_row;
  const auto fetch_pack = [&](int row, int slot, int p, const bf16* z_row, const bf16* y_row, const bf16* dout_row) {
    if (row >= rows) return;
    ring.template fetch<kAligned>(slot, of_z, p, z_row, p * kStride, columns);
    ring.template fetch<kAligned>(slot, of_y, p, y_row, p * kStride, columns);
    ring.template fetch<kAligned>(slot, of_dout, p, dout_row, p * kStride, columns);
  };
  const auto of_row = [&](const bf16* base, int row, index_t stride) { return base + (row * stride + first); };
#pragma unroll
  for (int d = 0; d < depth; ++d) {
    const int row = first_row + d * step;
#pragma unroll
    for (int p = 0; p < kPacks; ++p) {
      fetch_pack(row, d, p, of_row(z.data, row, z.stride), of_row(y, row, s.cols), of_row(dout, row, s.cols));
    }
    ring.commit();
  }
  const auto scale_of = [&](int row) { return row < rows ? rstd[row * s.groups + blockIdx.y] : 0.f; };
  float next_scale = scale_of(first_row);
  Floats dweight[kPacks] = {}, weights[kKeepWeights ? kPacks : 1];
  const auto weights_of = [&](int p) { return load<kAligned>(weight + first, p * kStride, columns); };
  if constexpr (kKeepWeights) {
#pragma unroll
    for (int p = 0; p < kPacks; ++p) weights[p] = weights_of(p);
  }
  int slot = 0, parity = 0;
  for (int row = first_row; row < rows; row += step) {
    const float scale = next_scale;
    next_scale = scale_of(row + step);
    ring.wait();
    Floats sigmoids[kKeepSigmoids ? kPacks : 1];
    float dot = 0;
#pragma unroll
    for (int p = 0; p < kPacks; ++p) {
      const Floats zs = unpack(ring.bits(slot, of_z, p)), ys = unpack(ring.bits(slot, of_y, p)),
                   ds = unpack(ring.bits(slot, of_dout, p));
      Floats w;
      if constexpr (kKeepWeights) w = weights[p]; else w = weights_of(p);
#pragma unroll
      for (int i = 0; i < kPack; ++i) {
        const float sigmoid = tile::sigmoid_fast(zs.v[i]);
        if constexpr (kKeepSigmoids) sigmoids[p].v[i] = sigmoid;
        const float dv = ds.v[i] * (ys.v[i] * (zs.v[i] * sigmoid));  // dout · v
        dweight[p].v[i] += dv * scale;
        dot += dv * w.v[i];
      }
    }
    const float slope = row_sum<kRowThreads>(dot, scratch[parity], slot_of_row) / width * scale * scale;
    parity ^= 1;
    asm volatile("" ::: "memory");  // the row is read again, rather than kept in registers
    const int next = row + depth * step;
    const bf16 *const next_z = of_row(z.data, next, z.stride), *const next_y = of_row(y, next, s.cols),
               *const next_dout = of_row(dout, next, s.cols);
    bf16 *const dy_row = dy + (row * s.cols + first), *const dz_row = dz.data + (row * dz.stride + first);
#pragma unroll
    for (int p = 0; p < kPacks; ++p) {
      const Floats zs = unpack(ring.bits(slot, of_z, p)), ys = unpack(ring.bits(slot, of_y, p)),
                   ds = unpack(ring.bits(slot, of_dout, p));
      fetch_pack(next, slot, p, next_z, next_y, next_dout);
      Floats w, dys, dzs;
      if constexpr (kKeepWeights) w = weights[p]; else w = weights_of(p);
#pragma unroll
      for (int i = 0; i < kPack; ++i) {
        float sigmoid;
        if constexpr (kKeepSigmoids) sigmoid = sigmoids[p].v[i]; else sigmoid = tile::sigmoid_fast(zs.v[i]);
        const GatedGradient d = gated_gradient(ys.v[i], zs.v[i], sigmoid, ds.v[i] * w.v[i], scale, slope);
        dys.v[i] = d.dy;
        dzs.v[i] = d.dz;
      }
      store<kAligned>(dy_row, p * kStride, columns, dys);
      store<kAligned>(dz_row, p * kStride, columns, dzs);
    }
    ring.commit();
    slot = Ring::next(slot);
  }

  partial += blockIdx.x * s.cols + blockIdx.y * index_t{width};
  if constexpr (kRows == 1) {
#pragma unroll
    for (int p = 0; p < kPacks; ++p) store<kAligned>(partial + lane * kPack, p * kStride, columns, dweight[p]);
  } else {  // the ring's place takes the sums of rows side by side, which are added one after the other
    constexpr int kColumns = kPacks * kStride;
    static_assert(Ring::bytes >= kRows * kColumns * 4);
    float* const sums = reinterpret_cast<float*>(memory);
    __syncthreads();
#pragma unroll
    for (int p = 0; p < kPacks; ++p) store<true>(sums + slot_of_row * kColumns, p * kStride + lane * kPack, kColumns, dweight[p]);
    __syncthreads();
    for (int column = threadIdx.x; column < width; column += kBackwardThreads<kRowThreads>) {
      float sum = 0;
#pragma unroll
      for (int r = 0; r < kRows; ++r) sum += sums[r * kColumns + column];
      partial[column] = sum;
    }
  }
}

bool is_wide(const GatedNormShape& s) {
  const index_t width = s.cols / s.groups;
  return s.cols % s.groups == 0 && width >= kLeastWideGroup && width <= kMostWideGroup;
}

// About three blocks per multiprocessor of an H200 where groups are not wide; a fixed number, so that results do not depend on the card.
index_t backward_blocks(const GatedNormShape& s) {
  const index_t all = is_wide(s) ? wide_blocks(s.cols / s.groups) : 3 * kMultiprocessors;
  const index_t most = ceil_div(all, s.groups), needed = ceil_div(s.rows, 4);
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
  if constexpr (!kBackward) {
    if (packs <= 4 * kWarp) return f(Constant<kWarp>(), Constant<4>(), alignment);
    if (packs <= 6 * kWarp) return f(Constant<kWarp>(), Constant<6>(), alignment);
    if (packs <= 4 * 64) return f(Constant<64>(), Constant<4>(), alignment);
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

// Calls f with the least kWarps that hold a wide group, and kAligned.
template <class F>
void with_wide_group(int warps, bool aligned, F f) {
  const auto with = [&](auto most) { aligned ? f(most, std::true_type()) : f(most, std::false_type()); };
  if (warps <= 3) return with(Constant<3>());
  if (warps <= 4) return with(Constant<4>());
  if (warps <= 6) return with(Constant<6>());
  with(Constant<8>());
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
  const dim3 grid(static_cast<unsigned>(blocks), static_cast<unsigned>(s.groups));
  float* const partial = sums.room(blocks * s.cols, stream);
  if (is_wide(s)) {
    const int warps = wide_warps(s.cols / s.groups);
    with_wide_group(warps, aligned, [&](auto most, auto alignment) {
      wide_backward_kernel<most(), alignment()><<<grid, warps * kWarp, 0, stream>>>(s, dout, y, z, weight, rstd, dy, dz, partial);
      check_launch("gated_rms_norm_backward");
    });
    return sums.add(blocks, s.cols, partial, dweight, stream);
  }
  dispatch<true>(s, aligned, [&](auto threads, auto packs, auto alignment) {
    const bool full = alignment() && threads() * packs() * kPack == s.cols / s.groups;
    const auto kernel = full ? backward_kernel<threads(), packs(), true, true> : backward_kernel<threads(), packs(), alignment(), false>;
    constexpr int bytes = BackwardRing<threads(), packs()>::bytes;
    static_assert(bytes <= kLeastSharedMemory - 1024);
    allow_shared_memory(kernel, bytes, "gated_rms_norm_backward");
    kernel<<<grid, kBackwardThreads<threads()>, bytes, stream>>>(s, dout, y, z, weight, rstd, dy, dz, partial);
    check_launch("gated_rms_norm_backward");
  });
  sums.add(blocks, s.cols, partial, dweight, stream);
}

}  // namespace lmx::cuda
