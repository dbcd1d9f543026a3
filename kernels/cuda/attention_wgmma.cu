// Five products per tile of queries and keys (Dao, arXiv 2307.08691, algorithm 2; Shah et al., arXiv 2407.08608, for the warpgroups):
//   sᵀ = K·Qᵀ   pᵀ = 2^(sᵀ - lse)   dv += pᵀ·dO   dsᵀ = pᵀ ⊙ (V·dOᵀ - delta)   dk += dsᵀ·Q   dq += ds·K
// A block of threads owns 128 keys of one kv head and walks the query blocks from the last to the diagonal, in every block the heads of
// its group. One warp loads (copy engine, three stages), two warpgroups own 64 keys each, with dk and dv in registers; scores are formed
// transposed, so p and ds become operands without moving; ds goes through shared memory to dq. For head_dim 64 a third warpgroup makes dq
// (attention_wgmma_narrow.cuh): the two others' products of one unit are under way while the exponentials of the next are made. For
// head_dim 128 registers do not suffice for a third, and the two make dq themselves (attention_wgmma_wide.cuh).
//
// dq is the sum over key blocks, in a fixed order without a pass of its own: key block n waits until the counter of the query block says
// that n have been added, adds its part in global memory (fp32, copy engine), and counts on. The first stores instead; the last one, on
// the diagonal, adds in registers and writes the bf16 result. Key blocks of a head are launched in ascending order, so a block waits
// only for blocks with a smaller index, which run or have ended. As all walk down from the last query block, block n needs to be but one
// addition behind block n - 1; `pairs_at_once` kv heads are interleaved, which puts that distance between them.
#include "attention_wgmma.cuh"

#include <algorithm>

#include "attention_wgmma_narrow.cuh"
#include "attention_wgmma_wide.cuh"
#include "check.h"
#include "hopper_device.h"
#include "launch.h"

namespace lmx::cuda {
namespace {

using namespace attention;

__global__ void __launch_bounds__(4 * kGroupThreads, 1)
    narrow_backward_engine_kernel(const __grid_constant__ CUtensorMap qkv, const __grid_constant__ CUtensorMap dout,
                                  const __grid_constant__ Problem s, const __grid_constant__ Buffers b) {
#if LMX_HOPPER
  extern __shared__ __align__(1024) unsigned char memory[];
  auto& shared = *reinterpret_cast<NarrowShared*>(memory);
  if (threadIdx.x == 0) make_barriers(shared);
  __syncthreads();
  const int role = __shfl_sync(~0u, static_cast<int>(threadIdx.x) / kGroupThreads, 0);
  if (role == 0) {
    hopper::give_registers<24>();
    if (threadIdx.x == 0) load<64>(shared, qkv, dout, s, b);
    if (threadIdx.x == 32 || threadIdx.x == 64) add_parts<64>(shared.dq, shared.dq_full, shared.slot_empty, s, b, threadIdx.x / 32 - 1);
  } else if (role == 1) {
    hopper::give_registers<104>();
    QueryOwner(shared, s, b).run();
  } else {
    hopper::take_registers<192>();
    KeyOwner(shared, s, b, role - 2).run();
  }
#endif
}

__global__ void __launch_bounds__(3 * kGroupThreads, 1)
    wide_backward_engine_kernel(const __grid_constant__ CUtensorMap qkv, const __grid_constant__ CUtensorMap dout,
                                const __grid_constant__ Problem s, const __grid_constant__ Buffers b) {
#if LMX_HOPPER
  extern __shared__ __align__(1024) unsigned char memory[];
  auto& shared = *reinterpret_cast<WideShared*>(memory);
  if (threadIdx.x == 0) make_barriers(shared);
  __syncthreads();
  const int role = __shfl_sync(~0u, static_cast<int>(threadIdx.x) / kGroupThreads, 0);
  if (role == 0) {
    hopper::give_registers<24>();
    if (threadIdx.x == 0) load<128>(shared, qkv, dout, s, b);
    if (threadIdx.x == 32 || threadIdx.x == 64) add_parts<128>(shared.dq, shared.dq_full, shared.dq_empty, s, b, threadIdx.x / 32 - 1);
  } else {
    hopper::take_registers<240>();
    WideConsumer(shared, s, b, role - 1).run();
  }
#endif
}

// delta = Σ_d dout · out and lse in powers of two, of the queries of one block and head; and nothing has been added to their dq.
// kDim / 8 threads share a row.
template <int kDim>
__global__ void __launch_bounds__(256)
    statistics_kernel(Problem s, Buffers b, const bf16* __restrict__ dout, const bf16* __restrict__ out, const float* __restrict__ lse) {
  constexpr int lanes = kDim / kPack, rows = 256 / lanes, rounds = Tiling<kDim>::queries / rows;
  const int head = blockIdx.x % s.heads, column = threadIdx.x % lanes * kPack;
  const index_t first = index_t{blockIdx.x / static_cast<unsigned>(s.heads)} * Tiling<kDim>::queries + threadIdx.x / lanes;
  uint4 left[rounds], right[rounds];
#pragma unroll
  for (int i = 0; i < rounds; ++i) {
    const index_t at = ((first + i * rows) * s.heads + head) * kDim + column;
    left[i] = *reinterpret_cast<const uint4*>(dout + at);
    right[i] = *reinterpret_cast<const uint4*>(out + at);
  }
#pragma unroll
  for (int i = 0; i < rounds; ++i) {
    const Floats x = unpack(left[i]), y = unpack(right[i]);
    float sum = 0;
#pragma unroll
    for (int e = 0; e < kPack; ++e) sum += x.v[e] * y.v[e];
#pragma unroll
    for (int offset = lanes / 2; offset > 0; offset /= 2) sum += __shfl_xor_sync(~0u, sum, offset);
    const index_t row = first + i * rows, at = (row / s.time * s.heads + head) * s.time + row % s.time;
    if (column == 0) b.delta[at] = sum;
    if (column == kPack) b.lse[at] = lse[at] * kLog2e;
  }
  if (threadIdx.x < 2) b.turn[blockIdx.x * index_t{2} + threadIdx.x] = 0;
}

index_t padded(index_t bytes) { return ceil_div(bytes, 256) * 256; }

struct Sizes {
  index_t statistics, dq, turns;  // bytes, padded

  explicit Sizes(const AttentionShape& s)
      : statistics(padded(s.batch * s.heads * s.time * 4)),
        dq(padded(s.batch * s.heads * s.time * s.head_dim * 4)),
        turns(padded(s.batch * s.heads * (s.time * s.head_dim / (64 * 128)) * 2 * 4)) {}
};

// Heads whose dq is being added up at the same time: it should stay in the L2 cache.
constexpr index_t together_bytes = 12 << 20;

template <int kDim>
void backward(const AttentionShape& s, const bf16* dout, const bf16* qkv, const bf16* out, const float* lse, bf16* dqkv, void* workspace,
              cudaStream_t stream) {
  const Sizes sizes(s);
  auto* bytes = static_cast<char*>(workspace);
  Buffers b;
  b.lse = reinterpret_cast<float*>(bytes);
  b.delta = reinterpret_cast<float*>(bytes + sizes.statistics);
  b.dq = reinterpret_cast<float*>(bytes + 2 * sizes.statistics);
  b.turn = reinterpret_cast<int*>(bytes + 2 * sizes.statistics + sizes.dq);
  b.dqkv = dqkv;
  const index_t pairs = s.batch * s.kv_heads, pair_bytes = s.heads / s.kv_heads * s.time * kDim * 4;
  const index_t together = std::clamp<index_t>(together_bytes / pair_bytes, 1, pairs);
  const auto number = [](index_t value) { return static_cast<int>(value); };
  const Problem problem{number(s.time), number(s.heads),    number(s.kv_heads),         number(s.heads / s.kv_heads),
                        number(pairs),  number(together), static_cast<float>(s.scale)};
  const index_t query_blocks = s.batch * s.heads * (s.time / Tiling<kDim>::queries);
  statistics_kernel<kDim><<<static_cast<unsigned>(query_blocks), 256, 0, stream>>>(problem, b, dout, out, lse);
  const index_t rows = s.batch * s.time;
  const CUtensorMap qkv_map = tensor_map(qkv, rows, s.packed_width(), Tiling<kDim>::queries);
  const CUtensorMap dout_map = tensor_map(dout, rows, s.query_width(), Tiling<kDim>::queries);
  const auto launch = [&](auto* kernel, int threads, std::size_t shared_bytes) {
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes)),
          "attention_wgmma: cudaFuncSetAttribute");
    kernel<<<static_cast<unsigned>(pairs * (s.time / kKeys)), threads, shared_bytes, stream>>>(qkv_map, dout_map, problem, b);
  };
  if constexpr (kDim == 64) {
    launch(narrow_backward_engine_kernel, 4 * kGroupThreads, sizeof(NarrowShared));
  } else {
    launch(wide_backward_engine_kernel, 3 * kGroupThreads, sizeof(WideShared));
  }
}

}  // namespace

bool attention_wgmma_takes(const AttentionShape& s) { return s.time % kKeys == 0 && (s.head_dim == 64 || s.head_dim == 128); }

bool attention_wgmma_runs() { return runs_on_hopper(narrow_backward_engine_kernel); }

std::size_t attention_wgmma_workspace(const AttentionShape& s) {
  const Sizes sizes(s);
  return static_cast<std::size_t>(2 * sizes.statistics + sizes.dq + sizes.turns);
}

void attention_wgmma_backward(const AttentionShape& s, const bf16* dout, const bf16* qkv, const bf16* out, const float* lse, bf16* dqkv,
                              void* workspace, cudaStream_t stream) {
  if (s.head_dim == 64) {
    backward<64>(s, dout, qkv, out, lse, dqkv, workspace, stream);
  } else {
    backward<128>(s, dout, qkv, out, lse, dqkv, workspace, stream);
  }
  check_launch("attention_wgmma_backward");
}

}  // namespace lmx::cuda
