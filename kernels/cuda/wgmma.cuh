// Products of a warpgroup, four warps together: wgmma.mma_async (PTX ISA 9.7.15), bf16 in, fp32 sums. Hopper alone.
//
// sum (64, N) = or += A (64, 16) · B (16, N). Warp w of the four holds rows 16w to 16w + 15 of the sum as the accumulators of
// mma_tile.cuh, and A, where it comes out of registers, as a Fragment. Operands in shared memory lie in panels: rows of 64 elements, 128
// bytes, at an address that 1024 divides, unit u (16 bytes) of row r at place u ^ (r mod 8): mma_tile.cuh's tile of 64 columns, wgmma's
// and the copy engine's 128-byte swizzle. An operand is described by its address (PTX ISA 9.7.15.5.1.2):
//   rows()      A stored [m][k], B stored [n][k]: 16 k are 32 bytes of a panel
//   columns()   A stored [k][m], B stored [k][n]: 16 k are 16 rows, 2048 bytes; every 64 m or n lie in another panel
//
// Between start_products() and wait_products() the sums and fragments of the products are left alone; settle() keeps the compiler from
// reading sums before the wait that stands in front of it.
#pragma once

#include "hopper.cuh"

namespace lmx::cuda::hopper {

using Operand = std::uint64_t;

// `address` in shared memory, in bytes, may lie rows and 32-byte steps into a panel. 8 rows to the next 8 rows: 1024 bytes.
__device__ __forceinline__ Operand rows(std::uint32_t address) {
  return std::uint64_t{1u << 30 | 1024 / 16} << 32 | (1u << 16 | (address & 0x3ffff) >> 4);
}
// `panel_bytes` from one panel to the next.
__device__ __forceinline__ Operand columns(std::uint32_t address, int panel_bytes) {
  return std::uint64_t{1u << 30 | 1024 / 16} << 32 | (static_cast<std::uint32_t>(panel_bytes / 16) << 16 | (address & 0x3ffff) >> 4);
}
// The same operand, so many bytes further on (a multiple of 16).
__device__ __forceinline__ Operand moved(Operand operand, int bytes) {
  return (operand & ~Operand{0xffffffffu}) | (static_cast<std::uint32_t>(operand) + static_cast<std::uint32_t>(bytes / 16));
}

// Before the first product after this thread wrote sums or fragments.
__device__ __forceinline__ void start_products() { asm volatile("wgmma.fence.sync.aligned;\n" ::: "memory"); }
// What was started since the last call becomes a group, perhaps an empty one.
__device__ __forceinline__ void commit_products() { asm volatile("wgmma.commit_group.sync.aligned;\n" ::: "memory"); }
// Until all groups but the last kPending are done.
template <int kPending>
__device__ __forceinline__ void wait_products() {
  asm volatile("wgmma.wait_group.sync.aligned %0;\n" ::"n"(kPending) : "memory");
}
template <int kTiles>
__device__ __forceinline__ void settle(float (&sum)[kTiles][4]) {
#pragma unroll
  for (int q = 0; q < kTiles; ++q) {
#pragma unroll
    for (int e = 0; e < 4; ++e) asm volatile("" : "+f"(sum[q][e])::"memory");
  }
}

using tile::Fragment;

// The same for fragments made for products that begin after this.
template <int kCount>
__device__ __forceinline__ void settle(Fragment (&f)[kCount]) {
#pragma unroll
  for (int k = 0; k < kCount; ++k) asm volatile("" : "+r"(f[k].w[0]), "+r"(f[k].w[1]), "+r"(f[k].w[2]), "+r"(f[k].w[3])::"memory");
}

// 64 columns, A and B in shared memory.
template <bool kColumnsA, bool kColumnsB>
__device__ __forceinline__ void set_product(float (&d)[8][4], Operand a, Operand b) {
  asm volatile(
      "{\n.reg .pred p;\nsetp.ne.b32 p, 0, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {"
      "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,"
      "%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31}, "
      "%32, %33, p, 1, 1, %34, %35;\n}\n"
      : "=f"(d[0][0]), "=f"(d[0][1]), "=f"(d[0][2]), "=f"(d[0][3]), "=f"(d[1][0]), "=f"(d[1][1]), "=f"(d[1][2]), "=f"(d[1][3]),
        "=f"(d[2][0]), "=f"(d[2][1]), "=f"(d[2][2]), "=f"(d[2][3]), "=f"(d[3][0]), "=f"(d[3][1]), "=f"(d[3][2]), "=f"(d[3][3]),
        "=f"(d[4][0]), "=f"(d[4][1]), "=f"(d[4][2]), "=f"(d[4][3]), "=f"(d[5][0]), "=f"(d[5][1]), "=f"(d[5][2]), "=f"(d[5][3]),
        "=f"(d[6][0]), "=f"(d[6][1]), "=f"(d[6][2]), "=f"(d[6][3]), "=f"(d[7][0]), "=f"(d[7][1]), "=f"(d[7][2]), "=f"(d[7][3])
      : "l"(a), "l"(b), "n"(int{kColumnsA}), "n"(int{kColumnsB}));
}
template <bool kColumnsA, bool kColumnsB>
__device__ __forceinline__ void add_product(float (&d)[8][4], Operand a, Operand b) {
  asm volatile(
      "{\n.reg .pred p;\nsetp.ne.b32 p, 1, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {"
      "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,"
      "%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31}, "
      "%32, %33, p, 1, 1, %34, %35;\n}\n"
      : "+f"(d[0][0]), "+f"(d[0][1]), "+f"(d[0][2]), "+f"(d[0][3]), "+f"(d[1][0]), "+f"(d[1][1]), "+f"(d[1][2]), "+f"(d[1][3]),
        "+f"(d[2][0]), "+f"(d[2][1]), "+f"(d[2][2]), "+f"(d[2][3]), "+f"(d[3][0]), "+f"(d[3][1]), "+f"(d[3][2]), "+f"(d[3][3]),
        "+f"(d[4][0]), "+f"(d[4][1]), "+f"(d[4][2]), "+f"(d[4][3]), "+f"(d[5][0]), "+f"(d[5][1]), "+f"(d[5][2]), "+f"(d[5][3]),
        "+f"(d[6][0]), "+f"(d[6][1]), "+f"(d[6][2]), "+f"(d[6][3]), "+f"(d[7][0]), "+f"(d[7][1]), "+f"(d[7][2]), "+f"(d[7][3])
      : "l"(a), "l"(b), "n"(int{kColumnsA}), "n"(int{kColumnsB}));
}

// 64 columns, A in registers.
template <bool kColumnsB>
__device__ __forceinline__ void set_product(float (&d)[8][4], const Fragment& a, Operand b) {
  asm volatile(
      "{\n.reg .pred p;\nsetp.ne.b32 p, 0, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {"
      "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,"
      "%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31}, "
      "{%32,%33,%34,%35}, %36, p, 1, 1, %37;\n}\n"
      : "=f"(d[0][0]), "=f"(d[0][1]), "=f"(d[0][2]), "=f"(d[0][3]), "=f"(d[1][0]), "=f"(d[1][1]), "=f"(d[1][2]), "=f"(d[1][3]),
        "=f"(d[2][0]), "=f"(d[2][1]), "=f"(d[2][2]), "=f"(d[2][3]), "=f"(d[3][0]), "=f"(d[3][1]), "=f"(d[3][2]), "=f"(d[3][3]),
        "=f"(d[4][0]), "=f"(d[4][1]), "=f"(d[4][2]), "=f"(d[4][3]), "=f"(d[5][0]), "=f"(d[5][1]), "=f"(d[5][2]), "=f"(d[5][3]),
        "=f"(d[6][0]), "=f"(d[6][1]), "=f"(d[6][2]), "=f"(d[6][3]), "=f"(d[7][0]), "=f"(d[7][1]), "=f"(d[7][2]), "=f"(d[7][3])
      : "r"(a.w[0]), "r"(a.w[1]), "r"(a.w[2]), "r"(a.w[3]), "l"(b), "n"(int{kColumnsB}));
}
template <bool kColumnsB>
__device__ __forceinline__ void add_product(float (&d)[8][4], const Fragment& a, Operand b) {
  asm volatile(
      "{\n.reg .pred p;\nsetp.ne.b32 p, 1, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {"
      "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,"
      "%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31}, "
      "{%32,%33,%34,%35}, %36, p, 1, 1, %37;\n}\n"
      : "+f"(d[0][0]), "+f"(d[0][1]), "+f"(d[0][2]), "+f"(d[0][3]), "+f"(d[1][0]), "+f"(d[1][1]), "+f"(d[1][2]), "+f"(d[1][3]),
        "+f"(d[2][0]), "+f"(d[2][1]), "+f"(d[2][2]), "+f"(d[2][3]), "+f"(d[3][0]), "+f"(d[3][1]), "+f"(d[3][2]), "+f"(d[3][3]),
        "+f"(d[4][0]), "+f"(d[4][1]), "+f"(d[4][2]), "+f"(d[4][3]), "+f"(d[5][0]), "+f"(d[5][1]), "+f"(d[5][2]), "+f"(d[5][3]),
        "+f"(d[6][0]), "+f"(d[6][1]), "+f"(d[6][2]), "+f"(d[6][3]), "+f"(d[7][0]), "+f"(d[7][1]), "+f"(d[7][2]), "+f"(d[7][3])
      : "r"(a.w[0]), "r"(a.w[1]), "r"(a.w[2]), "r"(a.w[3]), "l"(b), "n"(int{kColumnsB}));
}

// 128 columns, A in registers.
template <bool kColumnsB>
__device__ __forceinline__ void add_product(float (&d)[16][4], const Fragment& a, Operand b) {
  asm volatile(
      "{\n.reg .pred p;\nsetp.ne.b32 p, 1, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {"
      "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,"
      "%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31,%32,%33,%34,%35,%36,%37,%38,%39,"
      "%40,%41,%42,%43,%44,%45,%46,%47,%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,"
      "%60,%61,%62,%63}, "
      "{%64,%65,%66,%67}, %68, p, 1, 1, %69;\n}\n"
      : "+f"(d[0][0]), "+f"(d[0][1]), "+f"(d[0][2]), "+f"(d[0][3]), "+f"(d[1][0]), "+f"(d[1][1]), "+f"(d[1][2]), "+f"(d[1][3]),
        "+f"(d[2][0]), "+f"(d[2][1]), "+f"(d[2][2]), "+f"(d[2][3]), "+f"(d[3][0]), "+f"(d[3][1]), "+f"(d[3][2]), "+f"(d[3][3]),
        "+f"(d[4][0]), "+f"(d[4][1]), "+f"(d[4][2]), "+f"(d[4][3]), "+f"(d[5][0]), "+f"(d[5][1]), "+f"(d[5][2]), "+f"(d[5][3]),
        "+f"(d[6][0]), "+f"(d[6][1]), "+f"(d[6][2]), "+f"(d[6][3]), "+f"(d[7][0]), "+f"(d[7][1]), "+f"(d[7][2]), "+f"(d[7][3]),
        "+f"(d[8][0]), "+f"(d[8][1]), "+f"(d[8][2]), "+f"(d[8][3]), "+f"(d[9][0]), "+f"(d[9][1]), "+f"(d[9][2]), "+f"(d[9][3]),
        "+f"(d[10][0]), "+f"(d[10][1]), "+f"(d[10][2]), "+f"(d[10][3]), "+f"(d[11][0]), "+f"(d[11][1]), "+f"(d[11][2]), "+f"(d[11][3]),
        "+f"(d[12][0]), "+f"(d[12][1]), "+f"(d[12][2]), "+f"(d[12][3]), "+f"(d[13][0]), "+f"(d[13][1]), "+f"(d[13][2]), "+f"(d[13][3]),
        "+f"(d[14][0]), "+f"(d[14][1]), "+f"(d[14][2]), "+f"(d[14][3]), "+f"(d[15][0]), "+f"(d[15][1]), "+f"(d[15][2]), "+f"(d[15][3])
      : "r"(a.w[0]), "r"(a.w[1]), "r"(a.w[2]), "r"(a.w[3]), "l"(b), "n"(int{kColumnsB}));
}

}  // namespace lmx::cuda::hopper
