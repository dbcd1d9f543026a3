// A row of logits is cut into pieces, a block each; the last block of a row picks the first largest among them, the last of all moves
// the position on. Comparing values and then indices gives the same token in any order. 256000 logits in fp32 are 1 MB a row.
#include <algorithm>

#include "check.h"
#include "dependent_launch.cuh"
#include "launch.h"
#include "select_greedy.cuh"

namespace lmx::cuda {
namespace {

constexpr int kThreads = 256;
constexpr index_t kLeastPiece = 4096;

struct Candidate {
  float value;
  int index;
};

// The larger value, or the smaller index of equal ones.
__device__ __forceinline__ Candidate better(Candidate a, Candidate b) {
  return b.value > a.value || (b.value == a.value && b.index < a.index) ? b : a;
}

__device__ Candidate block_best(Candidate best) {
  __shared__ Candidate shared[kThreads / 32];
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2) {
    best = better(best, {__shfl_xor_sync(~0u, best.value, offset), __shfl_xor_sync(~0u, best.index, offset)});
  }
  __syncthreads();
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = best;
  __syncthreads();
  for (int w = 0; w < kThreads / 32; ++w) best = better(best, shared[w]);
  return best;
}

// grid (pieces, rows)
__global__ void __launch_bounds__(kThreads)
    greedy_kernel(int rows, int vocab, const float* logits, int seen, TokenBuffers to, Candidate* candidates, unsigned* counters) {
  __shared__ bool is_last;
  const int row = blockIdx.y, pieces = gridDim.x;
  const int piece = (vocab + pieces - 1) / pieces, first = blockIdx.x * piece, end = min(vocab, first + piece);
  wait_for_previous();
  let_next_start();
  const float* const own = logits + index_t{row} * vocab;
  Candidate best = {-INFINITY, 0x7fffffff};
  for (int i = first + threadIdx.x; i < end; i += kThreads) best = better(best, {own[i], i});
  best = block_best(best);
  if (threadIdx.x == 0) {
    candidates[row * pieces + blockIdx.x] = best;
    __threadfence();
    is_last = atomicAdd(counters + 1 + row, 1u) == static_cast<unsigned>(pieces) - 1;
  }
  __syncthreads();
  if (!is_last) return;
  __threadfence();
  best = {-INFINITY, 0x7fffffff};
  for (int i = threadIdx.x; i < pieces; i += kThreads) {
    const volatile Candidate* const c = candidates + row * pieces + i;
    best = better(best, {c->value, c->index});
  }
  best = block_best(best);
  if (threadIdx.x != 0) return;
  const int token = best.index < vocab ? best.index : 0;  // nothing but NaN: the first
  const int position = *static_cast<volatile std::int32_t*>(to.position) + seen;
  to.tokens[row] = token;
  to.history[position % to.ring * rows + row] = token;
  counters[1 + row] = 0;
  __threadfence();
  if (atomicAdd(counters, 1u) == static_cast<unsigned>(rows) - 1) {
    *to.position = position;
    counters[0] = 0;
  }
}

}  // namespace

void select_greedy(index_t rows, index_t vocab, const float* logits, index_t seen, const TokenBuffers& to, void* scratch,
                   cudaStream_t stream) {
  const index_t most = std::max<index_t>(1, kGreedyMostBlocks / rows);
  const index_t pieces = std::clamp<index_t>(vocab / kLeastPiece, 1, std::min<index_t>(most, 64));
  auto* const candidates = static_cast<Candidate*>(scratch);
  auto* const counters = reinterpret_cast<unsigned*>(candidates + kGreedyMostBlocks);
  check(launch_dependent(greedy_kernel, dim3(static_cast<unsigned>(pieces), static_cast<unsigned>(rows)), dim3(kThreads), 0,
                         stream, static_cast<int>(rows), static_cast<int>(vocab), logits, static_cast<int>(seen), to, candidates,
                         counters),
        "select_greedy");
}

}  // namespace lmx::cuda
