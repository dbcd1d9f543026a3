// Hopper's own instructions (sm_90a; PTX ISA 9.7): mbarriers, bulk tensor copies (TMA), wgmma. Names say what PTX says.
//
// Tiles are 128 bytes wide (64 bf16) in the copy engine's 128-byte swizzle: unit u (16 bytes) of row r lies at place u ^ (r mod 8), and a
// tile starts on 1024 bytes.
#pragma once

#include <cuda.h>

#include <cstdint>

namespace lmx::cuda::hopper {

__device__ __forceinline__ std::uint32_t shared_address(const void* pointer) {
  return static_cast<std::uint32_t>(__cvta_generic_to_shared(pointer));
}

// ---- mbarriers ------------------------------------------------------------------------------------------------------------
__device__ __forceinline__ void barrier_init(std::uint64_t* barrier, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;\n" ::"r"(shared_address(barrier)), "r"(arrivals));
}
// Arrives, and expects `bytes` more of bulk copies in this phase.
__device__ __forceinline__ void barrier_expect(std::uint64_t* barrier, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;\n" ::"r"(shared_address(barrier)), "r"(bytes)
               : "memory");
}
// Arrives at the same barrier of another block of the cluster (or of this one).
__device__ __forceinline__ void barrier_arrive(std::uint64_t* barrier, int block) {
  asm volatile(
      "{\n.reg .b32 there;\nmapa.shared::cluster.u32 there, %0, %1;\n"
      "mbarrier.arrive.release.cluster.shared::cluster.b64 _, [there];\n}\n" ::"r"(shared_address(barrier)),
      "r"(block)
      : "memory");
}
// Waits until the phase of this parity has completed.
__device__ __forceinline__ void barrier_wait(std::uint64_t* barrier, int parity) {
  asm volatile(
      "{\n.reg .pred done;\nagain_%=:\n"
      "mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 done, [%0], %1;\n"
      "@!done bra again_%=;\n}\n" ::"r"(shared_address(barrier)),
      "r"(parity)
      : "memory");
}
// Makes initialised barriers known to the copy engine and to the cluster.
__device__ __forceinline__ void fence_barrier_init() { asm volatile("fence.mbarrier_init.release.cluster;\n" ::: "memory"); }
__device__ __forceinline__ void cluster_sync() {
  asm volatile("barrier.cluster.arrive.release;\nbarrier.cluster.wait.acquire;\n" ::: "memory");
}
__device__ __forceinline__ int cluster_rank() {
  int rank;
  asm volatile("mov.u32 %0, %%cluster_ctarank;\n" : "=r"(rank));
  return rank;
}
// Some warps of a block: barrier `id` (1 to 15) for `threads` of them; arrive does not wait.
__device__ __forceinline__ void named_sync(int id, int threads) {
  asm volatile("bar.sync %0, %1;\n" ::"r"(id), "r"(threads) : "memory");
}
__device__ __forceinline__ void named_arrive(int id, int threads) {
  asm volatile("bar.arrive %0, %1;\n" ::"r"(id), "r"(threads) : "memory");
}

// ---- bulk tensor copies; coordinates count elements, the contiguous dimension first -------------------------------------
__device__ __forceinline__ void copy_in(void* shared, const CUtensorMap* map, int column, int row, std::uint64_t* barrier) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4}], [%2];\n" ::"r"(
          shared_address(shared)),
      "l"(map), "r"(shared_address(barrier)), "r"(column), "r"(row)
      : "memory");
}
// To the same place of every block in `blocks` (a bit each); each one's own barrier hears of it.
__device__ __forceinline__ void copy_in_all(void* shared, const CUtensorMap* map, int column, int row,
                                            std::uint64_t* barrier, std::uint16_t blocks) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%0], [%1, {%4, %5}], "
      "[%2], %3;\n" ::"r"(shared_address(shared)),
      "l"(map), "r"(shared_address(barrier)), "h"(blocks), "r"(column), "r"(row)
      : "memory");
}
__device__ __forceinline__ void prefetch(const CUtensorMap* map, int column, int row) {
  asm volatile("cp.async.bulk.prefetch.tensor.2d.L2.global [%0, {%1, %2}];\n" ::"l"(map), "r"(column), "r"(row) : "memory");
}
__device__ __forceinline__ void copy_out(const CUtensorMap* map, const void* shared, int column, int row) {
  asm volatile("cp.async.bulk.tensor.2d.global.shared::cta.bulk_group [%0, {%2, %3}], [%1];\n" ::"l"(map),
               "r"(shared_address(shared)), "r"(column), "r"(row)
               : "memory");
}
__device__ __forceinline__ void commit_out() { asm volatile("cp.async.bulk.commit_group;\n" ::: "memory"); }
// Waits until all but the last kPending groups of this thread have read their shared memory.
template <int kPending>
__device__ __forceinline__ void wait_out_read() {
  asm volatile("cp.async.bulk.wait_group.read %0;\n" ::"n"(kPending) : "memory");
}
// Orders ordinary writes to shared memory before what the copy engine and the tensor cores read of it.
__device__ __forceinline__ void fence_async() { asm volatile("fence.proxy.async.shared::cta;\n" ::: "memory"); }

// ---- wgmma ----------------------------------------------------------------------------------------------------------------
// An operand in swizzled tiles. K contiguous: groups of eight rows follow one another, 1024 bytes each, and k + 16 is 32 bytes further.
// M or N contiguous: the same of eight k, k + 16 is 2048 bytes further, and `next_tile` bytes on come the next 64 of M or N.
__device__ __forceinline__ std::uint64_t operand(const void* shared, int next_tile = 16) {
  return (shared_address(shared) & 0x3ffff) >> 4 | std::uint64_t(next_tile >> 4) << 16 | std::uint64_t{1024 >> 4} << 32 |
         std::uint64_t{1} << 62;
}
__device__ __forceinline__ void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;\n" ::: "memory"); }
__device__ __forceinline__ void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;\n" ::: "memory"); }
template <int kPending>
__device__ __forceinline__ void wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;\n" ::"n"(kPending) : "memory");
}

#define LMX_ACC8(d, i) \
  "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3]), "+f"(d[i + 4]), "+f"(d[i + 5]), "+f"(d[i + 6]), "+f"(d[i + 7])

// sum (64, 256) = A (64, 16) · B (16, 256) + (add ? sum : 0). kTransposeB: N runs first in memory. Element (row, column) of a thread's
// sum[j * 4 + e]: row 16 (warp mod 4) + lane / 4 + e / 2 * 8, column 8 j + lane mod 4 * 2 + e mod 2.
template <bool kTransposeB>
__device__ __forceinline__ void wgmma_64x256(float (&sum)[128], std::uint64_t a, std::uint64_t b, bool add) {
  asm volatile(
      "{\n.reg .pred add;\nsetp.ne.b32 add, %130, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16 "
      "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, "
      "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, "
      "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, "
      "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, "
      "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127}, "
      "%128, %129, add, 1, 1, 0, %131;\n}\n"
      : LMX_ACC8(sum, 0), LMX_ACC8(sum, 8), LMX_ACC8(sum, 16), LMX_ACC8(sum, 24), LMX_ACC8(sum, 32), LMX_ACC8(sum, 40),
        LMX_ACC8(sum, 48), LMX_ACC8(sum, 56), LMX_ACC8(sum, 64), LMX_ACC8(sum, 72), LMX_ACC8(sum, 80), LMX_ACC8(sum, 88),
        LMX_ACC8(sum, 96), LMX_ACC8(sum, 104), LMX_ACC8(sum, 112), LMX_ACC8(sum, 120)
      : "l"(a), "l"(b), "r"(static_cast<int>(add)), "n"(kTransposeB ? 1 : 0));
}

// sum (64, 32) = A (64, 16) · B (16, 32) + (kAdd ? sum : 0), A in registers: each warp's 16 rows as for mma.m16n8k16, of any matrix rows.
template <bool kTransposeB, bool kAdd>
__device__ __forceinline__ void wgmma_64x32(float (&sum)[16], const std::uint32_t (&a)[4], std::uint64_t b) {
  asm volatile(
      "{\n.reg .pred add;\nsetp.ne.b32 add, %21, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n32k16.f32.bf16.bf16 "
      "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15}, {%16, %17, %18, %19}, %20, add, 1, 1, %22;\n}\n"
      : LMX_ACC8(sum, 0), LMX_ACC8(sum, 8)
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "n"(kAdd ? 1 : 0), "n"(kTransposeB ? 1 : 0));
}
#undef LMX_ACC8

// After wgmma_wait: the sums are complete, and are not looked at before.
template <int kCount>
__device__ __forceinline__ void wgmma_done(float (&sum)[kCount]) {
#pragma unroll
  for (int i = 0; i < kCount; ++i) asm volatile("" : "+f"(sum[i])::"memory");
}

// Four 8 x 8 matrices of bf16 between registers and shared memory; lane l gives the address of row l mod 8 of matrix l / 8.
__device__ __forceinline__ void stmatrix(std::uint32_t address, const std::uint32_t (&w)[4]) {
  asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};\n" ::"r"(address), "r"(w[0]), "r"(w[1]),
               "r"(w[2]), "r"(w[3])
               : "memory");
}
__device__ __forceinline__ void ldmatrix(std::uint32_t (&w)[4], std::uint32_t address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];\n"
               : "=r"(w[0]), "=r"(w[1]), "=r"(w[2]), "=r"(w[3])
               : "r"(address)
               : "memory");
}

// Registers per thread of this warpgroup from here on.
template <int kRegisters>
__device__ __forceinline__ void more_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;\n" ::"n"(kRegisters));
}
template <int kRegisters>
__device__ __forceinline__ void fewer_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;\n" ::"n"(kRegisters));
}

}  // namespace lmx::cuda::hopper
