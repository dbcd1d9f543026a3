// Flash decoding (Dao et al., "Flash-Decoding for long-context inference", 2023): the context is cut into pieces, so that a few
// sequences fill the GPU; a block goes over the keys and values of one kv head and one piece with a running softmax for all query heads
// that read them, and the last block of a row merges the pieces in order.
//
// Memory-bound: every key and value crosses memory once; 8 kv heads of 128 over 128K tokens are 537 MB, 128 us at 4.2 TB/s. The query heads of
// a kv head are the rows of mma.m16n8k16, padded to 8 or 16. Both products take their operands from memory straight to registers, 16 bytes a
// thread, by choosing which element stands for which index of an mma (g = lane / 4, t = lane % 4):
//   q·k   key g of a tile of 8; elements 32c + 8t .. + 7 of the head serve two mmas, whose k index is free
//   p·v   keys 2t, 2t+1, 2t+8, 2t+9 of a tile of 16, where the scores of q·k already lie; elements 64c + 8g .. + 7 serve eight
//         mmas as column g of each
// A warp takes 16 keys at a time; warps are merged in order as well: equal inputs give equal bits.
#include <algorithm>
#include <string>

#include "../common/error.h"
#include "attention_decode.cuh"
#include "check.h"
#include "dependent_launch.cuh"
#include "launch.h"
#include "reduce.cuh"

namespace lmx::cuda {
namespace {

constexpr int kWarps = 4;
constexpr int kThreads = kWarps * 32;
constexpr int kKeys = 16;             // of a warp at a time
constexpr int kMostHeads = 16;        // query heads of a block
constexpr index_t kWantedBlocks = 3 * 132;
constexpr index_t kLeastPiece = 256;  // keys worth a block of their own
constexpr float kLog2E = 1.4426950408889634f;

struct Decode {
  const bf16 *qkv, *keys, *values;
  const std::int32_t* position;
  bf16* out;
  float* partial;  // (rows, heads, pieces, head_dim + 2): sums scaled to the maximum, the maximum, the sum of weights
  unsigned* counters;
  index_t context;
  int time, heads, kv_heads, head_dim, group, group_tiles, pieces;
  float scale_log2;
};

__device__ __forceinline__ uint4 load_cache(const bf16* pointer) {
  uint4 v;
  asm volatile("ld.global.L1::no_allocate.v4.u32 {%0,%1,%2,%3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "l"(pointer));
  return v;
}

__device__ __forceinline__ void multiply(float (&c)[4], std::uint32_t a0, std::uint32_t a1, std::uint32_t a2, std::uint32_t a3,
                                         std::uint32_t b0, std::uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

// Word i of a uint4, for constant i.
__device__ __forceinline__ std::uint32_t word(const uint4& v, int i) { return i == 0 ? v.x : i == 1 ? v.y : i == 2 ? v.z : v.w; }

// The softmax of pieces seen so far for one query head: weights are 2^(score - maximum).
struct Running {
  float maximum = -INFINITY, sum = 0;
};

// grid (rows, kv_heads * group_tiles, pieces). kRows query heads, 8 or 16; kDim: head_dim rounded up to 64 or 128.
template <int kDim, int kRows>
__global__ void __launch_bounds__(kThreads, kRows == 8 ? 3 : 2) decode_kernel(const Decode p) {
  constexpr int kHalves = kRows / 8, kChunks = kDim / 32, kWide = kDim / 64;
  __shared__ float merged[kWarps][kRows][kDim + 4];
  __shared__ float maxima[kWarps][kRows], weights[kWarps][kRows];
  __shared__ bool is_last;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, g = lane / 4, t = lane % 4;
  const index_t row = blockIdx.x;
  const int kv_head = blockIdx.y / p.group_tiles, first_head = blockIdx.y % p.group_tiles * kMostHeads;
  const int own_heads = min(p.group - first_head, kMostHeads), head0 = kv_head * p.group + first_head;
  wait_for_previous();
  let_next_start();
  const int visible = *p.position + static_cast<int>(row % p.time) + 1;
  constexpr int kGranule = kWarps * kKeys;
  const int piece = ((visible + p.pieces - 1) / p.pieces + kGranule - 1) / kGranule * kGranule;
  const int begin = min(static_cast<int>(blockIdx.z) * piece, visible), end = min(begin + piece, visible);
  const index_t cache = (row / p.time * p.kv_heads + kv_head) * p.context * p.head_dim;
  const bf16 *const keys = p.keys + cache, *const values = p.values + cache;

  uint4 q[kHalves][kChunks];
  {
    const bf16* const packed = p.qkv + row * (p.heads + 2 * p.kv_heads) * p.head_dim;
#pragma unroll
    for (int h = 0; h < kHalves; ++h) {
#pragma unroll
      for (int c = 0; c < kChunks; ++c) {
        const int head = h * 8 + g, d = c * 32 + t * 8;
        q[h][c] = head < own_heads && d < p.head_dim
                      ? *reinterpret_cast<const uint4*>(packed + (head0 + head) * p.head_dim + d)
                      : uint4{0, 0, 0, 0};
      }
    }
  }

  float o[kWide][8][kHalves][2] = {};
  Running running[kHalves];
  for (int base = begin + warp * kKeys; base < end; base += kGranule) {
    // Keys beyond the end are read as the last one, and get no weight.
    uint4 k[2][kChunks], v[4][kWide];
#pragma unroll
    for (int tile = 0; tile < 2; ++tile) {
      const bf16* const from = keys + index_t{min(base + tile * 8 + g, end - 1)} * p.head_dim + t * 8;
#pragma unroll
      for (int c = 0; c < kChunks; ++c) k[tile][c] = c * 32 + t * 8 < p.head_dim ? load_cache(from + c * 32) : uint4{0, 0, 0, 0};
    }
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const bf16* const from = values + index_t{min(base + 2 * t + j % 2 + j / 2 * 8, end - 1)} * p.head_dim + g * 8;
#pragma unroll
      for (int c = 0; c < kWide; ++c) v[j][c] = c * 64 + g * 8 < p.head_dim ? load_cache(from + c * 64) : uint4{0, 0, 0, 0};
    }

    float score[2][4] = {};
#pragma unroll
    for (int tile = 0; tile < 2; ++tile) {
#pragma unroll
      for (int c = 0; c < kChunks; ++c) {
        const uint4 low = q[0][c], high = kHalves == 2 ? q[kHalves - 1][c] : uint4{0, 0, 0, 0};
        multiply(score[tile], low.x, high.x, low.y, high.y, k[tile][c].x, k[tile][c].y);
        multiply(score[tile], low.z, high.z, low.w, high.w, k[tile][c].z, k[tile][c].w);
      }
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const bool there = base + tile * 8 + t * 2 + e % 2 < end;
        score[tile][e] = there ? score[tile][e] * p.scale_log2 : -INFINITY;
      }
    }
    std::uint32_t weight[2][2] = {};  // [half][tile]: pairs of bf16, as the A operand of p·v
#pragma unroll
    for (int h = 0; h < kHalves; ++h) {
      float largest = fmaxf(fmaxf(score[0][2 * h], score[0][2 * h + 1]), fmaxf(score[1][2 * h], score[1][2 * h + 1]));
      largest = fmaxf(largest, __shfl_xor_sync(~0u, largest, 1));
      largest = fmaxf(largest, __shfl_xor_sync(~0u, largest, 2));
      const float maximum = fmaxf(running[h].maximum, largest);  // finite: key `base` is there
      const float shrink = fast_exp2(running[h].maximum - maximum);
      running[h].maximum = maximum;
      float sum = 0;
#pragma unroll
      for (int tile = 0; tile < 2; ++tile) {
        const float w0 = fast_exp2(score[tile][2 * h] - maximum), w1 = fast_exp2(score[tile][2 * h + 1] - maximum);
        weight[h][tile] = to_pair(w0, w1);
        sum += w0 + w1;
      }
      running[h].sum = running[h].sum * shrink + sum;
#pragma unroll
      for (int c = 0; c < kWide; ++c) {
#pragma unroll
        for (int j = 0; j < 8; ++j) {
          o[c][j][h][0] *= shrink;
          o[c][j][h][1] *= shrink;
        }
      }
    }
#pragma unroll
    for (int c = 0; c < kWide; ++c) {
#pragma unroll
      for (int j = 0; j < 8; ++j) {
        const unsigned halves = j % 2 == 0 ? 0x5410u : 0x7632u;
        const std::uint32_t b0 = __byte_perm(word(v[0][c], j / 2), word(v[1][c], j / 2), halves);
        const std::uint32_t b1 = __byte_perm(word(v[2][c], j / 2), word(v[3][c], j / 2), halves);
        float sum[4] = {o[c][j][0][0], o[c][j][0][1], kHalves == 2 ? o[c][j][kHalves - 1][0] : 0.f,
                        kHalves == 2 ? o[c][j][kHalves - 1][1] : 0.f};
        multiply(sum, weight[0][0], weight[1][0], weight[0][1], weight[1][1], b0, b1);
        o[c][j][0][0] = sum[0];
        o[c][j][0][1] = sum[1];
        if constexpr (kHalves == 2) {
          o[c][j][1][0] = sum[2];
          o[c][j][1][1] = sum[3];
        }
      }
    }
  }

  // Column n of mma (c, j) is element 64c + 8n + j.
#pragma unroll
  for (int h = 0; h < kHalves; ++h) {
    running[h].sum += __shfl_xor_sync(~0u, running[h].sum, 1);
    running[h].sum += __shfl_xor_sync(~0u, running[h].sum, 2);
    if (t == 0) {
      maxima[warp][h * 8 + g] = running[h].maximum;
      weights[warp][h * 8 + g] = running[h].sum;
    }
#pragma unroll
    for (int c = 0; c < kWide; ++c) {
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        float* const to = &merged[warp][h * 8 + g][c * 64 + (t * 2 + e) * 8];
#pragma unroll
        for (int j = 0; j < 8; ++j) to[j] = o[c][j][h][e];
      }
    }
  }
  __syncthreads();
  for (int i = threadIdx.x; i < own_heads * p.head_dim; i += kThreads) {
    const int head = i / p.head_dim, d = i % p.head_dim;
    float maximum = -INFINITY, sum = 0, value = 0;
#pragma unroll
    for (int w = 0; w < kWarps; ++w) maximum = fmaxf(maximum, maxima[w][head]);
#pragma unroll
    for (int w = 0; w < kWarps; ++w) {
      if (maxima[w][head] == -INFINITY) continue;  // this warp had no key
      const float shrink = fast_exp2(maxima[w][head] - maximum);
      sum += weights[w][head] * shrink;
      value += merged[w][head][d] * shrink;
    }
    if (p.pieces == 1) {
      p.out[(row * p.heads + head0 + head) * p.head_dim + d] = __float2bfloat16(value / sum);
      continue;
    }
    float* const to = p.partial + ((row * p.heads + head0 + head) * p.pieces + blockIdx.z) * (p.head_dim + 2);
    to[d] = value;
    if (d == 0) {
      to[p.head_dim] = maximum;
      to[p.head_dim + 1] = sum;
    }
  }
  if (p.pieces == 1) return;

  __threadfence();
  __syncthreads();
  unsigned* const counter = p.counters + row * gridDim.y + blockIdx.y;
  if (threadIdx.x == 0) {
    is_last = atomicAdd(counter, 1u) == static_cast<unsigned>(p.pieces) - 1;
    if (is_last) *counter = 0;
  }
  __syncthreads();
  if (!is_last) return;
  __threadfence();
  for (int i = threadIdx.x; i < own_heads * p.head_dim; i += kThreads) {
    const int head = i / p.head_dim, d = i % p.head_dim;
    const volatile float* const from = p.partial + (row * p.heads + head0 + head) * p.pieces * (p.head_dim + 2);
    float maximum = -INFINITY, sum = 0, value = 0;
    for (int s = 0; s < p.pieces; ++s) maximum = fmaxf(maximum, from[s * (p.head_dim + 2) + p.head_dim]);
    for (int s = 0; s < p.pieces; ++s) {
      const volatile float* const part = from + s * (p.head_dim + 2);
      const float own = part[p.head_dim];
      if (own == -INFINITY) continue;  // an empty piece
      const float shrink = fast_exp2(own - maximum);
      sum += part[p.head_dim + 1] * shrink;
      value += part[d] * shrink;
    }
    p.out[(row * p.heads + head0 + head) * p.head_dim + d] = __float2bfloat16(value / sum);
  }
}

// A function of the shape alone: the same pieces on every card.
index_t pieces_of(const CacheShape& s) {
  const index_t tiles = ceil_div(s.heads / s.kv_heads, kMostHeads), blocks = s.batch * s.time * s.kv_heads * tiles;
  if (blocks > kAttentionCounters) return 1;
  return std::max<index_t>(1, std::min(ceil_div(kWantedBlocks, blocks), s.context / kLeastPiece));
}

}  // namespace

std::size_t attention_decode_workspace(const CacheShape& s) {
  const index_t pieces = pieces_of(s);
  return pieces == 1 ? 0 : static_cast<std::size_t>(s.batch * s.time * s.heads * pieces * (s.head_dim + 2)) * sizeof(float);
}

void attention_decode(const CacheShape& s, const bf16* qkv, const bf16* keys, const bf16* values, const std::int32_t* position,
                      bf16* out, void* workspace, unsigned* counters, cudaStream_t stream) {
  if (s.head_dim > 128 || s.head_dim % kPack != 0) {
    throw InvalidArgument("Expected head_dim of attention to be a multiple of 8 up to 128 on a CUDA device, got " +
                          std::to_string(s.head_dim));
  }
  const index_t group = s.heads / s.kv_heads, tiles = ceil_div(group, kMostHeads);
  const Decode p{qkv,
                 keys,
                 values,
                 position,
                 out,
                 static_cast<float*>(workspace),
                 counters,
                 s.context,
                 static_cast<int>(s.time),
                 static_cast<int>(s.heads),
                 static_cast<int>(s.kv_heads),
                 static_cast<int>(s.head_dim),
                 static_cast<int>(group),
                 static_cast<int>(tiles),
                 static_cast<int>(pieces_of(s)),
                 static_cast<float>(s.scale) * kLog2E};
  const auto run = [&](auto kernel) {
    const dim3 grid(static_cast<unsigned>(s.batch * s.time), static_cast<unsigned>(s.kv_heads * tiles),
                    static_cast<unsigned>(p.pieces));
    check(launch_dependent(kernel, grid, dim3(kThreads), 0, stream, p), "attention_decode");
  };
  if (s.head_dim <= 64) {
    group <= 8 ? run(decode_kernel<64, 8>) : run(decode_kernel<64, 16>);
  } else {
    group <= 8 ? run(decode_kernel<128, 8>) : run(decode_kernel<128, 16>);
  }
}

}  // namespace lmx::cuda
