// Products of 16 rows a warp with a matrix that lies in shared memory in panels of 64 columns.
//
// On Hopper (compiled for sm_90a) the four warps of a warpgroup make them together: wgmma.mma_async (PTX ISA 9.7.15) takes their rows
// out of registers and reads the matrix once for all four. Elsewhere every warp makes its own, out of ldmatrix and mma.sync. Operands
// and sums hold the same elements in the same threads either way (mma_tile.cuh).
//
// A panel is a tile of mma_tile.cuh whose rows are 128 bytes. At an address that 1024 divides that is the layout which wgmma calls
// 128-byte swizzle: eight rows of eight units, unit u of row r at u ^ r, then the next eight rows.
//
// All warps of a warpgroup call together. What start_* was given - sums and operands - must be left alone until finish_products(), and
// the sums be passed to settle() before they are used. Copies are seen by wgmma after show_copies() in the copying thread and a barrier.
#pragma once

#include "wgmma.cuh"

namespace lmx::cuda::tile {

constexpr int kPanelAlignment = 1024;

// sum (64, 8 kTiles) of a warpgroup = a (64, 16) · B (16, 8 kTiles), or += where `add`. kTranspose: B is stored [k][n].
#if LMX_HOPPER
template <bool kTranspose>
__device__ __forceinline__ void warpgroup_mma(float (&d)[2][4], const Fragment& a, std::uint64_t b, bool add) {
  asm volatile(
      "{\n.reg .pred p;\nsetp.ne.b32 p, %13, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n16k16.f32.bf16.bf16 {%0,%1,%2,%3,%4,%5,%6,%7}, {%8,%9,%10,%11}, %12, p, 1, 1, %14;\n}\n"
      : "+f"(d[0][0]), "+f"(d[0][1]), "+f"(d[0][2]), "+f"(d[0][3]), "+f"(d[1][0]), "+f"(d[1][1]), "+f"(d[1][2]), "+f"(d[1][3])
      : "r"(a.w[0]), "r"(a.w[1]), "r"(a.w[2]), "r"(a.w[3]), "l"(b), "r"(int{add}), "n"(int{kTranspose}));
}
template <bool kTranspose>
__device__ __forceinline__ void warpgroup_mma(float (&d)[4][4], const Fragment& a, std::uint64_t b, bool add) {
  asm volatile(
      "{\n.reg .pred p;\nsetp.ne.b32 p, %21, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n32k16.f32.bf16.bf16 {%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15}, "
      "{%16,%17,%18,%19}, %20, p, 1, 1, %22;\n}\n"
      : "+f"(d[0][0]), "+f"(d[0][1]), "+f"(d[0][2]), "+f"(d[0][3]), "+f"(d[1][0]), "+f"(d[1][1]), "+f"(d[1][2]), "+f"(d[1][3]),
        "+f"(d[2][0]), "+f"(d[2][1]), "+f"(d[2][2]), "+f"(d[2][3]), "+f"(d[3][0]), "+f"(d[3][1]), "+f"(d[3][2]), "+f"(d[3][3])
      : "r"(a.w[0]), "r"(a.w[1]), "r"(a.w[2]), "r"(a.w[3]), "l"(b), "r"(int{add}), "n"(int{kTranspose}));
}
template <bool kTranspose>
__device__ __forceinline__ void warpgroup_mma(float (&d)[8][4], const Fragment& a, std::uint64_t b, bool add) {
  asm volatile(
      "{\n.reg .pred p;\nsetp.ne.b32 p, %37, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,"
      "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31}, {%32,%33,%34,%35}, %36, p, 1, 1, %38;\n}\n"
      : "+f"(d[0][0]), "+f"(d[0][1]), "+f"(d[0][2]), "+f"(d[0][3]), "+f"(d[1][0]), "+f"(d[1][1]), "+f"(d[1][2]), "+f"(d[1][3]),
        "+f"(d[2][0]), "+f"(d[2][1]), "+f"(d[2][2]), "+f"(d[2][3]), "+f"(d[3][0]), "+f"(d[3][1]), "+f"(d[3][2]), "+f"(d[3][3]),
        "+f"(d[4][0]), "+f"(d[4][1]), "+f"(d[4][2]), "+f"(d[4][3]), "+f"(d[5][0]), "+f"(d[5][1]), "+f"(d[5][2]), "+f"(d[5][3]),
        "+f"(d[6][0]), "+f"(d[6][1]), "+f"(d[6][2]), "+f"(d[6][3]), "+f"(d[7][0]), "+f"(d[7][1]), "+f"(d[7][2]), "+f"(d[7][3])
      : "r"(a.w[0]), "r"(a.w[1]), "r"(a.w[2]), "r"(a.w[3]), "l"(b), "r"(int{add}), "n"(int{kTranspose}));
}
// The same with a, too, in shared memory, stored [m][k]; B stored [n][k].
__device__ __forceinline__ void warpgroup_mma(float (&d)[4][4], std::uint64_t a, std::uint64_t b, bool add) {
  asm volatile(
      "{\n.reg .pred p;\nsetp.ne.b32 p, %18, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n32k16.f32.bf16.bf16 {%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15}, "
      "%16, %17, p, 1, 1, 0, 0;\n}\n"
      : "+f"(d[0][0]), "+f"(d[0][1]), "+f"(d[0][2]), "+f"(d[0][3]), "+f"(d[1][0]), "+f"(d[1][1]), "+f"(d[1][2]), "+f"(d[1][3]),
        "+f"(d[2][0]), "+f"(d[2][1]), "+f"(d[2][2]), "+f"(d[2][3]), "+f"(d[3][0]), "+f"(d[3][1]), "+f"(d[3][2]), "+f"(d[3][3])
      : "l"(a), "l"(b), "r"(int{add}));
}
#endif

// Before the first product after this thread wrote sums or operands.
__device__ __forceinline__ void begin_products() {
#if LMX_HOPPER
  hopper::start_products();
#endif
}
__device__ __forceinline__ void finish_products() {
#if LMX_HOPPER
  hopper::commit_products();
  hopper::wait_products<0>();
#endif
}
// Keeps the compiler from using sums before finish_products().
template <int kTiles>
__device__ __forceinline__ void settle(float (&sum)[kTiles][4]) {
#if LMX_HOPPER
  hopper::settle(sum);
#endif
}
__device__ __forceinline__ void show_copies() {
#if LMX_HOPPER
  hopper::show_writes();
#endif
}

// A matrix of kRows x kCols, bf16.
template <int kRows, int kCols>
struct alignas(kPanelAlignment) Panels {
  static constexpr int width = kCols < 64 ? kCols : 64, count = kCols / width, panel_cells = kRows * width;
  template <int kThreads>
  using Copy = TileCopy<kRows, width, kThreads>;

  bf16 cells[kRows * kCols];

  // Starts copying rows `stride` elements apart, kThreads threads together; see TileCopy.
  template <int kThreads>
  __device__ __forceinline__ void start_copy(int thread, const bf16* source, index_t stride, int valid_cols) {
#pragma unroll
    for (int c = 0; c < count; ++c) {
      Copy<kThreads>(thread, stride, valid_cols - c * width).start(cells + c * panel_cells, source + c * width, kRows);
    }
  }

  // sum (16, 8 kTiles) of a warp = a (16, kRows) · columns [first, first + 8 kTiles), or += where `add`. They lie in one panel.
  template <int kTiles>
  __device__ __forceinline__ void start_product(float (&sum)[kTiles][4], const Fragment (&a)[kRows / 16], int first, bool add) const {
    const bf16* const panel = cells + first / width * panel_cells;
    const int column = first % width;
#if LMX_HOPPER
    if constexpr (width == 64) {
#pragma unroll
      for (int k = 0; k < kRows / 16; ++k) warpgroup_mma<true>(sum, a[k], descriptor(panel, column * 2, k * 16 * 128), add || k > 0);
      return;
    }
#endif
    const Operands<width> operands;
#pragma unroll
    for (int q = 0; q < kTiles; q += 2) {
      if (!add) clear(sum[q], sum[q + 1]);
      const auto b = operands.b_trans(panel, column + q * 8);
#pragma unroll
      for (int k = 0; k < kRows / 16; ++k) mma(sum[q], sum[q + 1], a[k], b.at(k * 16));
    }
  }

  // The same with the transposed matrix: sum (16, 8 kTiles) = a (16, kCols) · rows [first, first + 8 kTiles).
  template <int kTiles>
  __device__ __forceinline__ void start_transposed_product(float (&sum)[kTiles][4], const Fragment (&a)[kCols / 16], int first,
                                                           bool add) const {
#if LMX_HOPPER
    if constexpr (width == 64) {
#pragma unroll
      for (int k = 0; k < kCols / 16; ++k) {
        warpgroup_mma<false>(sum, a[k], descriptor(cells, first * 128, k / 4 * panel_cells * 2 + k % 4 * 32), add || k > 0);
      }
      return;
    }
#endif
    const Operands<width> operands;
    if (!add) {
#pragma unroll
      for (int q = 0; q < kTiles; q += 2) clear(sum[q], sum[q + 1]);
    }
#pragma unroll
    for (int k = 0; k < kCols / 16; ++k) {
      const auto b = operands.b(cells + k * 16 / width * panel_cells, k * 16 % width);
#pragma unroll
      for (int q = 0; q < kTiles; q += 2) mma(sum[q], sum[q + 1], a[k], b.at(first + q * 8));
    }
  }

#if LMX_HOPPER
  // The same for a warpgroup, whose 64 rows begin at `from` in another matrix.
  template <int kTiles, int kRowsA>
  __device__ __forceinline__ void start_transposed_product(float (&sum)[kTiles][4], const Panels<kRowsA, kCols>& a, int from,
                                                           int first, bool add) const {
    static_assert(width == 64, "panels of 64 columns");
#pragma unroll
    for (int k = 0; k < kCols / 16; ++k) {
      warpgroup_mma(sum, a.descriptor(a.cells, from * 128, k / 4 * a.panel_cells * 2 + k % 4 * 32),
                    descriptor(cells, first * 128, k / 4 * panel_cells * 2 + k % 4 * 32), add || k > 0);
    }
  }
#endif

 private:
  template <int, int>
  friend struct Panels;
  // wgmma's description of operands that begin so many bytes into a panel: in units of 16 bytes the address and 64, from eight rows to
  // the next eight; 128-byte swizzle. The other distance, between panels, is not used: 1.
  static __device__ __forceinline__ std::uint64_t descriptor(const bf16* panel, int offset, int step) {
    const std::uint32_t low = ((shared_address(panel) + offset) >> 4 | 1u << 16) + step / 16;
    return std::uint64_t{1u << 30 | 64u} << 32 | low;
  }
  static __device__ __forceinline__ void clear(float (&left)[4], float (&right)[4]) {
#pragma unroll
    for (int e = 0; e < 4; ++e) left[e] = right[e] = 0;
  }
};

}  // namespace lmx::cuda::tile
