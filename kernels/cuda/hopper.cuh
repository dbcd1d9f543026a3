// What Hopper (compute capability 9.0) does beside its threads: copies between global and shared memory that one thread starts,
// barriers in shared memory that such copies complete, and registers that warpgroups pass to one another. PTX ISA 9.7.9.25
// (cp.async.bulk), 9.7.13.15 (mbarrier), 9.7.19.5 (setmaxnreg).
//
// These copies, like wgmma, go through the async proxy: shared memory written by ordinary stores is seen by them after show_writes() in
// every writing thread and a barrier.
#pragma once

#include <cuda.h>

#include <cstdint>

#include "mma_tile.cuh"

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define LMX_HOPPER 1
#else
#define LMX_HOPPER 0
#endif

namespace lmx::cuda::hopper {

using tile::shared_address;

// ---- barriers in shared memory ------------------------------------------------------------------------------------------------------

using Barrier = std::uint64_t;

// One thread, before show_barriers() and __syncthreads().
__device__ __forceinline__ void make_barrier(Barrier& barrier, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;\n" ::"r"(shared_address(&barrier)), "r"(arrivals) : "memory");
}
__device__ __forceinline__ void show_barriers() { asm volatile("fence.mbarrier_init.release.cluster;\n" ::: "memory"); }

__device__ __forceinline__ void arrive(Barrier& barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];\n" ::"r"(shared_address(&barrier)) : "memory");
}
// One arrival for the whole warp, after what each of its threads did.
__device__ __forceinline__ void arrive_as_warp(Barrier& barrier) {
  __syncwarp();
  if (tile::thread_here() % 32 == 0) arrive(barrier);
}
// Arrives, and makes the phase wait for so many bytes of copies as well.
__device__ __forceinline__ void arrive_expecting(Barrier& barrier, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;\n" ::"r"(shared_address(&barrier)), "r"(bytes) : "memory");
}
// Waits for the end of the barrier's phase of this parity: its first phase has parity 0.
__device__ __forceinline__ void wait(Barrier& barrier, int parity) {
  const std::uint32_t address = shared_address(&barrier);
  std::uint32_t done;
  do {
    asm volatile("{\n.reg .pred p;\nmbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\nselp.u32 %0, 1, 0, p;\n}\n"
                 : "=r"(done)
                 : "r"(address), "r"(parity)
                 : "memory");
  } while (done == 0);
}

// A place in a ring of buffers, and the parity of the phase in which it is filled; who fills it waits for the other parity.
template <int kSlots>
struct Turn {
  int slot = 0, parity = 0;
  __device__ __forceinline__ void advance() {
    if (++slot == kSlots) {
      slot = 0;
      parity ^= 1;
    }
  }
};

// How many of `count` came before this one; after the last, they begin anew. What each did before it came is seen by those after.
__device__ __forceinline__ unsigned count_round(unsigned& counter, unsigned count) {
  unsigned before;
  asm volatile("atom.acq_rel.cta.shared.inc.u32 %0, [%1], %2;\n" : "=r"(before) : "r"(shared_address(&counter)), "r"(count - 1) : "memory");
  return before;
}

// Barriers by number (1 to 15; __syncthreads() is 0), over `threads` threads: those that wait, and those that only tell.
__device__ __forceinline__ void sync_threads(int number, int threads) {
  asm volatile("bar.sync %0, %1;\n" ::"r"(number), "r"(threads) : "memory");
}
__device__ __forceinline__ void tell_threads(int number, int threads) {
  asm volatile("bar.arrive %0, %1;\n" ::"r"(number), "r"(threads) : "memory");
}

__device__ __forceinline__ void show_writes() { asm volatile("fence.proxy.async.shared::cta;\n" ::: "memory"); }

// ---- copies -------------------------------------------------------------------------------------------------------------------------

// A box of a two-dimensional array, from column and row on; completes on the barrier.
__device__ __forceinline__ void copy_box(void* shared, const CUtensorMap& map, int column, int row, Barrier& barrier) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];\n" ::"r"(
          shared_address(shared)),
      "l"(&map), "r"(column), "r"(row), "r"(shared_address(&barrier))
      : "memory");
}
// The same of a three-dimensional array, in one of its planes.
__device__ __forceinline__ void copy_box(void* shared, const CUtensorMap& map, int column, int row, int plane, Barrier& barrier) {
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3, %4}], [%5];\n" ::"r"(
          shared_address(shared)),
      "l"(&map), "r"(column), "r"(row), "r"(plane), "r"(shared_address(&barrier))
      : "memory");
}
// Contiguous bytes, a multiple of 16; completes on the barrier.
__device__ __forceinline__ void copy_bytes(void* shared, const void* global, int bytes, Barrier& barrier) {
  asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];\n" ::"r"(
                   shared_address(shared)),
               "l"(global), "r"(bytes), "r"(shared_address(&barrier))
               : "memory");
}
// Brings a box, or bytes, into L2 for a copy that comes later.
__device__ __forceinline__ void prefetch_box(const CUtensorMap& map, int column, int row) {
  asm volatile("cp.async.bulk.prefetch.tensor.2d.L2.global.tile [%0, {%1, %2}];\n" ::"l"(&map), "r"(column), "r"(row) : "memory");
}
__device__ __forceinline__ void prefetch_box(const CUtensorMap& map, int column, int row, int plane) {
  asm volatile("cp.async.bulk.prefetch.tensor.3d.L2.global.tile [%0, {%1, %2, %3}];\n" ::"l"(&map), "r"(column), "r"(row), "r"(plane)
               : "memory");
}
// Shared to global memory: stored, or added to the fp32 values there (rounded to nearest even). Belongs to the thread's group of copies.
__device__ __forceinline__ void store_bytes(void* global, const void* shared, int bytes) {
  asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;\n" ::"l"(global), "r"(shared_address(shared)), "r"(bytes)
               : "memory");
}
__device__ __forceinline__ void store_box(const CUtensorMap& map, const void* shared, int column, int row) {
  asm volatile("cp.async.bulk.tensor.2d.global.shared::cta.tile.bulk_group [%0, {%1, %2}], [%3];\n" ::"l"(&map), "r"(column), "r"(row),
               "r"(shared_address(shared))
               : "memory");
}
__device__ __forceinline__ void store_box(const CUtensorMap& map, const void* shared, int column, int row, int plane) {
  asm volatile("cp.async.bulk.tensor.3d.global.shared::cta.tile.bulk_group [%0, {%1, %2, %3}], [%4];\n" ::"l"(&map), "r"(column),
               "r"(row), "r"(plane), "r"(shared_address(shared))
               : "memory");
}
__device__ __forceinline__ void add_floats(float* global, const float* shared, int bytes) {
  asm volatile("cp.reduce.async.bulk.global.shared::cta.bulk_group.add.f32 [%0], [%1], %2;\n" ::"l"(global),
               "r"(shared_address(shared)), "r"(bytes)
               : "memory");
}
__device__ __forceinline__ void commit_stores() { asm volatile("cp.async.bulk.commit_group;\n" ::: "memory"); }
// Until all of this thread's groups have read shared memory; until they are done.
__device__ __forceinline__ void wait_stores_read() { asm volatile("cp.async.bulk.wait_group.read 0;\n" ::: "memory"); }
__device__ __forceinline__ void wait_stores() { asm volatile("cp.async.bulk.wait_group 0;\n" ::: "memory"); }

__device__ __forceinline__ void prefetch(const CUtensorMap& map) {
  asm volatile("prefetch.tensormap [%0];\n" ::"l"(&map) : "memory");
}

// ---- operands -----------------------------------------------------------------------------------------------------------------------

// Accumulators packed as a Fragment (mma_tile.cuh: to_fragment) to shared memory, the reverse of an ldmatrix: thread t of the warp gives
// the address of 8 elements, row t % 16, columns 8 (t / 16) and on; transposed: row 8 (t / 16) + t % 8, columns 8 (t / 8 % 2) and on.
template <bool kTranspose = false>
__device__ __forceinline__ void store_fragment(std::uint32_t address, const tile::Fragment& f) {
  if constexpr (kTranspose) {
    asm volatile("stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [%0], {%1, %2, %3, %4};\n" ::"r"(address), "r"(f.w[0]), "r"(f.w[1]),
                 "r"(f.w[2]), "r"(f.w[3])
                 : "memory");
  } else {
    asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};\n" ::"r"(address), "r"(f.w[0]), "r"(f.w[1]),
                 "r"(f.w[2]), "r"(f.w[3])
                 : "memory");
  }
}

// ---- counters in global memory, between blocks --------------------------------------------------------------------------------------

// Until the counter, which grows, has reached `value`: what was written before it was set to that is seen after, by copies too.
__device__ __forceinline__ void wait_for_turn(const int* counter, int value) {
  int seen;
  do {
    asm volatile("ld.acquire.gpu.global.s32 %0, [%1];\n" : "=r"(seen) : "l"(counter) : "memory");
  } while (seen < value);
  asm volatile("fence.proxy.async.global;\n" ::: "memory");
}
__device__ __forceinline__ void set_turn(int* counter, int value) {
  asm volatile("fence.proxy.async.global;\nst.release.gpu.global.s32 [%0], %1;\n" ::"l"(counter), "r"(value) : "memory");
}

// ---- registers ----------------------------------------------------------------------------------------------------------------------

// All warps of a warpgroup: how many registers a thread may use from here on, a multiple of 8.
template <int kRegisters>
__device__ __forceinline__ void take_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;\n" ::"n"(kRegisters));
}
template <int kRegisters>
__device__ __forceinline__ void give_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;\n" ::"n"(kRegisters));
}

}  // namespace lmx::cuda::hopper
