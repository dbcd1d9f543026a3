// The shape of an SSD scan as its kernels see it, and the buffers they share.
//
// Heads wider than 64 are cut into virtual heads of 64 channels: every quantity of the scan is a sum over
// channels, and a virtual head shares Δ, A and D with its siblings. x, y and the states have the same layout
// either way.
#pragma once

#include <cmath>

#include "../backend.h"
#include "check.h"
#include "launch.h"
#include "pack.cuh"
#include "ssd_scan.cuh"

namespace lmx::cuda {

struct SsdGeometry {
  int batch, time, chunks;  // chunks of kSsdChunk steps
  int heads, piece_shift;   // real heads; log2 of virtual heads per real head
  int virtual_heads, group_virtual_heads, groups;
  int width, state;         // channels of a virtual head; state dimension
  index_t inner, channels;  // elements of a row of y and of xbc
  float dt_min;
  int dt_padding;

  explicit SsdGeometry(const SsdShape& s)
      : batch(static_cast<int>(s.batch)),
        time(static_cast<int>(s.time)),
        chunks(static_cast<int>(ceil_div(s.time, kSsdChunk))),
        heads(static_cast<int>(s.heads)),
        piece_shift(s.head_dim > 128  ? 2
                    : s.head_dim > 64 ? 1
                                      : 0),
        virtual_heads(heads << piece_shift),
        group_virtual_heads(virtual_heads / static_cast<int>(s.groups)),
        groups(static_cast<int>(s.groups)),
        width(static_cast<int>(s.head_dim) >> piece_shift),
        state(static_cast<int>(s.state)),
        inner(s.inner()),
        channels(s.channels()),
        dt_min(static_cast<float>(s.dt_min)),
        dt_padding(static_cast<int>(s.dt_padding)) {}

  __host__ __device__ index_t row(int b, int chunk) const {
    return index_t{b} * time + index_t{chunk} * kSsdChunk;
  }
  // Valid rows of a chunk.
  __host__ __device__ int length(int chunk) const {
    const int left = time - chunk * static_cast<int>(kSsdChunk);
    return left < kSsdChunk ? left : static_cast<int>(kSsdChunk);
  }
  __host__ __device__ int head_of(int virtual_head) const { return virtual_head >> piece_shift; }
  // Per-step vectors are laid out (batch, heads, chunks, kSsdChunk): first element of head 0 in a chunk, and
  // the distance between the same chunk of two heads. For vectors of virtual heads, `head_count` is theirs.
  __host__ __device__ index_t steps(int b, int chunk, int head_count) const {
    return (index_t{b} * head_count * chunks + chunk) * kSsdChunk;
  }
  __host__ __device__ int steps_per_head() const { return chunks * static_cast<int>(kSsdChunk); }
  // States are laid out (batch, chunks, virtual heads, width, state): the same two numbers.
  __host__ __device__ index_t states(int b, int chunk) const {
    return (index_t{b} * chunks + chunk) * virtual_heads * width * state;
  }
  __host__ __device__ int cells_per_head() const { return width * state; }
  __host__ __device__ index_t step_count() const { return index_t{batch} * heads * chunks * kSsdChunk; }
  __host__ __device__ index_t virtual_step_count() const { return step_count() << piece_shift; }
  index_t state_rows() const { return index_t{batch} * chunks * virtual_heads * width; }  // of `state` elements
  index_t state_count() const { return state_rows() * state; }
};

// Per step and head: s log2(e) (s = Σ A·Δ since the chunk's start), the same minus log2(Δ), and Δ. Steps
// after the end of the sequence have Δ = 0: s stays what it was, and the second array holds +inf, so that
// they weigh 2^(-inf) = 0.
struct SsdSteps {
  float* decay;
  float* decay_weight;
  float* delta;
};

// One kernel's blocks, each with `heads` heads of equal cost, cut into the number of splits that ends soonest
// on a device that runs `slots` blocks at a time. A fixed number, so that results do not depend on the
// device.
inline int best_split(index_t blocks, int heads, int slots) {
  int best = 1;
  double best_cost = 1e300;
  for (int split = 1; split <= heads && split <= 16; ++split) {
    const int share = (heads + split - 1) / split;
    if ((heads + share - 1) / share != split) continue;  // some blocks would have no heads
    const double rounds = std::ceil(static_cast<double>(blocks * split) / slots);
    const double cost = rounds * (share + 1.5);  // 1.5 heads: what each block does once
    if (cost < best_cost * 0.98) {
      best = split;
      best_cost = cost;
    }
  }
  return best;
}

// Columns of the tiles that hold a state dimension; the rest of a tile is zero.
inline int padded_state(int state) { return state <= 32 ? 32 : state <= 64 ? 64 : state <= 128 ? 128 : 256; }

// Bytes of shared memory one block may have on the current device. Decides how far ahead a kernel loads,
// never what it computes.
inline std::size_t shared_memory_limit() {
  return static_cast<std::size_t>(device_attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin));
}

}  // namespace lmx::cuda
