// The gradients of an SSD scan inside its chunks, given the states h at the chunks' starts and G = dL/dh at
// their ends.
//
// Step i reads the state through C, step j writes to it through x and B; see ssd_gradient_reader.cuh and
// ssd_gradient_writer.cuh. What is a sum over heads (dB, dC) is left as fp32 partial sums, what needs a
// cumulative sum (dt, A) as terms per step, and ssd_combine.cu finishes both.
#pragma once

#include "ssd_geometry.cuh"

namespace lmx::cuda {

struct SsdGradient {
  SsdGeometry g;
  const bf16* dy;  // rows of `inner`
  const bf16* xbc;
  const bf16* states;  // h, as saved by the forward pass
  const bf16* grads;   // G, in the same layout
  const float* d;
  SsdSteps steps;
  bf16* dxbc;          // x columns; the C columns too when splits == 1
  int splits;          // of each group's heads
  int pieces;          // of the state dimension: 1 or 2
  float* db;           // (2 * splits, partial_rows(), groups * state): readers' parts, then writers'
  float* dc;           // (splits, partial_rows(), groups * state), when splits > 1
  float* decay_term;   // (pieces, batch, virtual heads, steps): Σ_j W_ij - Σ_i W_ij + q_i
  float* write_term;   // (batch, virtual heads, steps): r_j
  float* direct_term;  // (batch, virtual heads, steps): x_j · V_j
  float* carry_term;   // (batch, chunks, virtual heads): e^S <h, G>
  float* skip_term;    // (batch, chunks, virtual heads): Σ dy · x

  __host__ __device__ index_t partial_rows() const { return index_t{g.batch} * g.chunks * kSsdChunk; }
  // First element of chunk rows in part `part` of db or dc.
  __host__ __device__ index_t partial(int part, int b, int chunk) const {
    return (part * partial_rows() + (index_t{b} * g.chunks + chunk) * kSsdChunk) * g.groups * g.state;
  }
};

int ssd_gradient_splits(const SsdGeometry&);

// Pieces the state dimension is cut into on a device whose blocks may have so many bytes of shared memory. At most kMaxStatePieces.
constexpr int kMaxStatePieces = 2;
int ssd_gradient_pieces(const SsdGeometry&, std::size_t shared_memory);

// Bytes that a block then takes, and InvalidArgument where they are more than there are: at 99 KiB (Ada, and Ampere without an A100's
// memory) a state above 128 with heads wider than 32. Functions of the shape alone.
std::size_t ssd_gradient_shared_bytes(const SsdGeometry&, std::size_t shared_memory);
void ssd_gradient_require(const SsdShape&, std::size_t shared_memory);

void ssd_gradient(const SsdGradient&, cudaStream_t);

}  // namespace lmx::cuda
