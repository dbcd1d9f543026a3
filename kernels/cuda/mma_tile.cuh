// Matrix tiles in shared memory for the warp-wide tensor core instruction mma.m16n8k16 (bf16 in, fp32 sum;
// PTX ISA 9.7.14).
//
// A tile is kRows x kCols bf16, row-major, cut into units of 16 bytes. Unit u of row r lies at place u ^ (r
// mod 8) (fewer bits where a row has fewer than 8 units), so that eight rows of one column of units, which is
// what ldmatrix reads, touch all 32 banks once. Every operand order is one ldmatrix.x4:
//   a   A (m, k) stored [m][k]        a_trans   A (m, k) stored [k][m]
//   b   B (k, n) stored [n][k]        b_trans   B (k, n) stored [k][n]     16 columns: two n8 operands
// A fragment of A and two neighbouring n8 accumulators hold the same elements in the same threads (fragment
// word w is row lane/4 + 8(w mod 2), columns 2(lane mod 4) + 8(w/2) and the next), so results become operands
// without moving.
#pragma once

#include <cstdint>

#include "../backend.h"
#include "pack.cuh"

namespace lmx::cuda::tile {

struct Fragment {
  std::uint32_t w[4];
};

// The bits that change a unit's place in row `row`.
template <int kCols>
__device__ __forceinline__ int turn(int row) {
  constexpr int units = kCols / 8;
  static_assert(units == 2 || units == 4 || units % 8 == 0, "a row is 32, 64 or a multiple of 128 bytes");
  return units == 2 ? (row >> 2) & 1 : units == 4 ? (row >> 1) & 3 : row & 7;
}

// Elements from the tile's start to unit `unit` of row `row`.
template <int kCols>
__device__ __forceinline__ int place(int row, int unit) {
  return row * kCols + ((unit ^ turn<kCols>(row)) << 3);
}

__device__ __forceinline__ std::uint32_t shared_address(const void* pointer) {
  return static_cast<std::uint32_t>(__cvta_generic_to_shared(pointer));
}

template <bool kTranspose>
__device__ __forceinline__ Fragment ldmatrix(std::uint32_t address) {
  Fragment f;
  if constexpr (kTranspose) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];\n"
                 : "=r"(f.w[0]), "=r"(f.w[1]), "=r"(f.w[2]), "=r"(f.w[3])
                 : "r"(address));
  } else {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];\n"
                 : "=r"(f.w[0]), "=r"(f.w[1]), "=r"(f.w[2]), "=r"(f.w[3])
                 : "r"(address));
  }
  return f;
}

// One column of 16 x 16 blocks of a tile, as this thread addresses it. `own` is the thread's part for column
// 0. The sum is hidden in an instruction of its own: the compiler would otherwise keep a register for every
// block of an unrolled loop, where one and a constant do.
template <int kCols, bool kTranspose>
struct BlockColumn {
  std::uint32_t address;

  __device__ __forceinline__ BlockColumn(const bf16* tile, int column, std::uint32_t own) {
    asm volatile("{\n.reg .b32 t;\nxor.b32 t, %1, %2;\nadd.u32 %0, t, %3;\n}\n"
                 : "=r"(address)
                 : "r"(own), "r"(column * 2), "r"(shared_address(tile)));
  }
  __device__ __forceinline__ Fragment at(int row) const {
    return ldmatrix<kTranspose>(address + row * kCols * 2);
  }
};

// Operands out of tiles of kCols columns, one column of blocks at a time: `column` is a multiple of 16,
// .at(row) takes the other index, also a multiple of 16. Made once per thread.
template <int kCols>
class Operands {
 public:
  __device__ __forceinline__ Operands() {
    const int lane = threadIdx.x % 32;
    rows_first_ = own(lane & 15, lane >> 4);
    columns_first_ = own((lane & 7) + (lane >> 4) * 8, (lane >> 3) & 1);
  }
  __device__ __forceinline__ BlockColumn<kCols, false> a(const bf16* tile, int k) const {  // .at(m)
    return {tile, k, rows_first_};
  }
  __device__ __forceinline__ BlockColumn<kCols, true> a_trans(const bf16* tile, int m) const {  // .at(k)
    return {tile, m, columns_first_};
  }
  __device__ __forceinline__ BlockColumn<kCols, false> b(const bf16* tile, int k) const {  // .at(n)
    return {tile, k, columns_first_};
  }
  __device__ __forceinline__ BlockColumn<kCols, true> b_trans(const bf16* tile, int n) const {  // .at(k)
    return {tile, n, rows_first_};
  }

 private:
  static __device__ __forceinline__ std::uint32_t own(int row, int unit) {
    std::uint32_t offset = row * kCols * 2 + ((unit ^ turn<kCols>(row)) << 4);
    asm volatile("" : "+r"(offset));  // kept, not computed again at every use
    return offset;
  }
  std::uint32_t rows_first_, columns_first_;
};

// sum (16, 8) += A (16, 16) · B (16, 8)
__device__ __forceinline__ void mma(float (&sum)[4], const Fragment& a, std::uint32_t b0, std::uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};\n"
      : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
      : "r"(a.w[0]), "r"(a.w[1]), "r"(a.w[2]), "r"(a.w[3]), "r"(b0), "r"(b1));
}

// The same over 16 columns: two neighbouring accumulators.
__device__ __forceinline__ void mma(float (&left)[4], float (&right)[4], const Fragment& a,
                                    const Fragment& b) {
  mma(left, a, b.w[0], b.w[1]);
  mma(right, a, b.w[2], b.w[3]);
}

// Two neighbouring accumulators as an operand of 16 columns.
__device__ __forceinline__ Fragment to_fragment(const float (&left)[4], const float (&right)[4]) {
  return {{to_pair(left[0], left[1]), to_pair(left[2], left[3]), to_pair(right[0], right[1]),
           to_pair(right[2], right[3])}};
}

// Two products of bf16 pairs, rounded to bf16.
__device__ __forceinline__ std::uint32_t multiply_pairs(std::uint32_t a, std::uint32_t b) {
  const __nv_bfloat162 product =
      __hmul2(*reinterpret_cast<const __nv_bfloat162*>(&a), *reinterpret_cast<const __nv_bfloat162*>(&b));
  return *reinterpret_cast<const std::uint32_t*>(&product);
}

// The same with factors of 16 significant bits, each the sum of two bf16: one rounding, of the product.
__device__ __forceinline__ std::uint32_t multiply_pairs(std::uint32_t a, std::uint32_t b, std::uint32_t b_rest) {
  const auto pair = [](const std::uint32_t& word) { return *reinterpret_cast<const __nv_bfloat162*>(&word); };
  const __nv_bfloat162 product = __hfma2(pair(a), pair(b), __hmul2(pair(a), pair(b_rest)));
  return *reinterpret_cast<const std::uint32_t*>(&product);
}

// 2^x; full fp32 range, relative error 2^-22. 2^(-inf) = 0.
__device__ __forceinline__ float exp2_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// 1 / (1 + e^(-x)), relative error 2^-21.
__device__ __forceinline__ float sigmoid_fast(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(1.0f + exp2_fast(x * -1.4426950408889634f)));
  return y;
}

// Sum over the four threads that share a row of an accumulator.
__device__ __forceinline__ float quad_sum(float value) {
  value += __shfl_xor_sync(~0u, value, 1);
  return value + __shfl_xor_sync(~0u, value, 2);
}

// 16 bytes, global -> shared, in the background.
__device__ __forceinline__ void copy_async(void* shared, const void* global) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;\n" ::"r"(shared_address(shared)), "l"(global)
               : "memory");
}
__device__ __forceinline__ void commit_copies() { asm volatile("cp.async.commit_group;\n" ::: "memory"); }
// Waits until at most kPending groups of this thread's copies are under way.
template <int kPending>
__device__ __forceinline__ void wait_copies() {
  asm volatile("cp.async.wait_group %0;\n" ::"n"(kPending) : "memory");
}

// threadIdx.x, read where it stands: addresses made from it are computed there, and not kept in registers (or
// spilled) through a loop whose body needs the registers.
__device__ __forceinline__ int thread_here() {
  int index = threadIdx.x;
  asm volatile("" : "+r"(index));
  return index;
}

// Copies tiles whose rows lie `stride` elements apart, kThreads threads together (`thread` is this one's
// number), 16 bytes at a time. Columns, stride and sources are multiples of 8 elements, a tile's rows lie
// within 4 GB. Made outside of a loop it keeps the thread's place in source and tile in registers, made
// inside it computes them again.
template <int kRows, int kCols, int kThreads>
class TileCopy {
  static constexpr int units = kCols / 8, rows_at_once = kThreads / units;
  static_assert(rows_at_once % 8 == 0 || 8 % rows_at_once == 0, "places in rows repeat");

 public:
  static constexpr int rounds = (kRows + rows_at_once - 1) / rows_at_once;

  __device__ __forceinline__ TileCopy(int thread, index_t stride, int valid_cols)
      : row_(thread / units), unit_(thread % units) {
    if (unit_ * 8 >= valid_cols) row_limit_ = -(1 << 30);
    set_stride(stride);
  }
  // The same for sources whose rows lie `stride` elements apart.
  __device__ __forceinline__ TileCopy with_stride(index_t stride) const {
    TileCopy other = *this;
    other.set_stride(stride);
    return other;
  }
  // Starts one copy; `source` is the same for all threads. Rows and columns beyond the valid ones become
  // zero.
  __device__ __forceinline__ void start(bf16* tile, const bf16* source, int valid_rows) const {
#pragma unroll
    for (int i = 0; i < rounds; ++i) {
      if (outside()) return;
      asm volatile(
          "cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"(shared_address(tile) + place_bytes(i)),
          "l"(from(source, i)), "r"(exists(i, valid_rows) ? 16 : 0)
          : "memory");
    }
  }
  // The i-th of this thread's units, read from the source (zero beyond the valid ones) and from the tile.
  __device__ __forceinline__ uint4 read(const bf16* source, int i, int valid_rows) const {
    return !outside() && exists(i, valid_rows) ? *reinterpret_cast<const uint4*>(from(source, i))
                                               : uint4{0, 0, 0, 0};
  }
  __device__ __forceinline__ uint4 read_tile(const bf16* tile, int i) const {
    if (outside()) return {0, 0, 0, 0};
    return *reinterpret_cast<const uint4*>(reinterpret_cast<const unsigned char*>(tile) + place_bytes(i));
  }

 private:
  __device__ __forceinline__ void set_stride(index_t stride) {
    const std::uint32_t row_bytes = static_cast<std::uint32_t>(stride) * 2;
    source_ = row_ * row_bytes + unit_ * 16;
    step_ = row_bytes * rows_at_once;
  }
  // The tile has fewer rows than the threads could copy at once, and none for this one.
  __device__ __forceinline__ bool outside() const { return rows_at_once > kRows && row_ >= kRows; }
  __device__ __forceinline__ bool exists(int i, int valid_rows) const {
    return row_ + i * rows_at_once < valid_rows + row_limit_;
  }
  __device__ __forceinline__ const unsigned char* from(const bf16* source, int i) const {
    return reinterpret_cast<const unsigned char*>(source) + (source_ + i * step_);
  }
  __device__ __forceinline__ std::uint32_t place_bytes(int i) const {
    const int row = row_ + i * rows_at_once;
    return 2 * (rows_at_once % 8 == 0 ? place<kCols>(row_, unit_) + i * rows_at_once * kCols
                                      : place<kCols>(row, unit_));
  }
  int row_, unit_, row_limit_ = 0;  // the limit goes far below 0 where the thread's columns do not exist
  std::uint32_t source_, step_;
};

// One copy of a tile.
template <int kRows, int kCols, int kThreads>
__device__ __forceinline__ void load_tile(bf16* tile, const bf16* source, index_t stride, int valid_rows,
                                          int valid_cols) {
  TileCopy<kRows, kCols, kThreads>(thread_here(), stride, valid_cols).start(tile, source, valid_rows);
}

// Accumulators of one warp, 16 x kCols, to bf16 rows in global memory, 16 bytes a thread, by way of the
// warp's own tile.
template <int kCols>
__device__ __forceinline__ void store_rows(bf16* tile, const float (&sum)[kCols / 8][4], bf16* target,
                                           index_t stride, int valid_rows, int valid_cols) {
  constexpr int units = kCols / 8;
  const int lane = thread_here() % 32;
#pragma unroll
  for (int q = 0; q < units; ++q) {
    auto* top = reinterpret_cast<std::uint32_t*>(tile + place<kCols>(lane / 4, q)) + lane % 4;
    auto* bottom = reinterpret_cast<std::uint32_t*>(tile + place<kCols>(lane / 4 + 8, q)) + lane % 4;
    *top = to_pair(sum[q][0], sum[q][1]);
    *bottom = to_pair(sum[q][2], sum[q][3]);
  }
  __syncwarp();
#pragma unroll
  for (int i = 0; i < 16 * units / 32; ++i) {
    const int index = lane + i * 32, row = index / units, unit = index % units;
    if (row < valid_rows && unit * 8 < valid_cols) {
      *reinterpret_cast<uint4*>(target + row * stride + unit * 8) =
          *reinterpret_cast<const uint4*>(tile + place<kCols>(row, unit));
    }
  }
  __syncwarp();
}

}  // namespace lmx::cuda::tile
