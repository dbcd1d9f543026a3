// Attention in one pass over keys with a running softmax (Dao et al., arXiv 2205.14135; 2307.08691), on mma.m16n8k16.
//
// Forward: a block of 4 warps owns 64 queries of one head, 16 a warp; it walks the key tiles up to the diagonal, two of
// them in flight. Backward is deterministic without atomics because every gradient has one owner: one kernel owns 64 keys and
// walks the queries of all heads that share them (dk, dv), another owns 64 queries and walks the keys (dq). It forms the
// scores twice - seven products instead of five - which is the price of a fixed order.
// FLOPs (causal): forward 2·T²·head_dim, backward 7·T²·head_dim per head and sequence.
#include "attention_mma.cuh"
#include "check.h"
#include "../common/error.h"
#include "launch.h"
#include "mma_tile.cuh"

namespace lmx::cuda {
namespace {

constexpr int kTile = 64;  // queries and keys of one tile
constexpr int kThreads = 128;
constexpr float kLog2e = 1.4426950408889634f, kLn2 = 0.6931471805599453f;

using Scores = float[kTile / 8][4];  // 16 x 64 of one warp

// Where one (sequence, head) lies, in elements.
struct Problem {
  index_t time, heads, kv_heads;
  int head_dim;
  float scale;

  __device__ index_t width() const { return (heads + 2 * kv_heads) * head_dim; }
  __device__ index_t query(index_t batch, index_t head) const { return batch * time * width() + head * head_dim; }
  __device__ index_t key(index_t batch, index_t kv) const {
    return batch * time * width() + (heads + kv) * head_dim;
  }
  __device__ index_t value(index_t batch, index_t kv) const { return key(batch, kv) + kv_heads * head_dim; }
  __device__ index_t output(index_t batch, index_t head) const { return batch * time * out_width() + head * head_dim; }
  __device__ index_t out_width() const { return heads * head_dim; }
  __device__ index_t statistic(index_t batch, index_t head) const { return (batch * heads + head) * time; }
  __device__ int valid(index_t first) const { return static_cast<int>(min(index_t{kTile}, time - first)); }
};

// Operands from tiles: A (16, 16) stored [m][k]; B (16, 16) stored [n][k], or, transposed, [k][n].
template <int kDim>
__device__ __forceinline__ tile::Fragment load_a(const bf16* a, int m, int k) {
  const int lane = threadIdx.x % 32;
  return tile::ldmatrix<false>(tile::shared_address(a + tile::place<kDim>(m + (lane & 15), k / 8 + (lane >> 4))));
}
template <int kDim>
__device__ __forceinline__ tile::Fragment load_b(const bf16* b, int n, int k) {
  const int lane = threadIdx.x % 32, row = n + (lane & 7) + (lane >> 4) * 8;
  return tile::ldmatrix<false>(tile::shared_address(b + tile::place<kDim>(row, k / 8 + ((lane >> 3) & 1))));
}
template <int kDim>
__device__ __forceinline__ tile::Fragment load_b_trans(const bf16* b, int k, int n) {
  const int lane = threadIdx.x % 32;
  return tile::ldmatrix<true>(tile::shared_address(b + tile::place<kDim>(k + (lane & 15), n / 8 + (lane >> 4))));
}

// sum (16, 64) = A · Bᵀ for the warp's 16 rows of tile `a` and all rows of tile `b`.
template <int kDim>
__device__ __forceinline__ void row_products(Scores& sum, const bf16* a, const bf16* b) {
  const int row = threadIdx.x / 32 * 16;
#pragma unroll
  for (int n = 0; n < kTile / 8; ++n) sum[n][0] = sum[n][1] = sum[n][2] = sum[n][3] = 0;
#pragma unroll
  for (int k = 0; k < kDim; k += 16) {
    const tile::Fragment left = load_a<kDim>(a, row, k);
#pragma unroll
    for (int n = 0; n < kTile; n += 16) tile::mma(sum[n / 8], sum[n / 8 + 1], left, load_b<kDim>(b, n, k));
  }
}

// sum (16, kDim) += P · B, where P is (16, 64) in accumulators and B a tile of 64 rows.
template <int kDim>
__device__ __forceinline__ void weighted_rows(float (&sum)[kDim / 8][4], const Scores& p, const bf16* b) {
  tile::Fragment left[kTile / 16];
#pragma unroll
  for (int k = 0; k < kTile; k += 16) left[k / 16] = tile::to_fragment(p[k / 8], p[k / 8 + 1]);
#pragma unroll
  for (int n = 0; n < kDim; n += 16) {
#pragma unroll
    for (int k = 0; k < kTile; k += 16) {
      tile::mma(sum[n / 8], sum[n / 8 + 1], left[k / 16], load_b_trans<kDim>(b, k, n));
    }
  }
}

// Row (of the warp's 16) and column of accumulator word `i` of n8 block `n`.
__device__ __forceinline__ int accumulator_row(int i) { return threadIdx.x % 32 / 4 + (i / 2) * 8; }
__device__ __forceinline__ int accumulator_column(int n, int i) { return n * 8 + threadIdx.x % 4 * 2 + i % 2; }

__device__ __forceinline__ float quad_max(float value) {
  value = fmaxf(value, __shfl_xor_sync(~0u, value, 1));
  return fmaxf(value, __shfl_xor_sync(~0u, value, 2));
}

template <int kDim>
__global__ void __launch_bounds__(kThreads)
    forward_kernel(Problem s, const bf16* __restrict__ qkv, bf16* __restrict__ out, float* __restrict__ lse) {
  extern __shared__ uint4 shared[];
  constexpr int elements = kTile * kDim;
  bf16* const q = reinterpret_cast<bf16*>(shared);
  bf16* const k[2] = {q + elements, q + 2 * elements};
  bf16* const v[2] = {q + 3 * elements, q + 4 * elements};
  const index_t batch = blockIdx.z, head = blockIdx.y, kv = head / (s.heads / s.kv_heads);
  const int last = static_cast<int>(gridDim.x - 1 - blockIdx.x);  // longest rows first
  const index_t first_query = index_t{last} * kTile;
  const index_t width = s.width();
  const int warp_row = threadIdx.x / 32 * 16;
  const float scale = s.scale * kLog2e;

  const auto load_keys = [&](int j) {
    const index_t row = index_t{j} * kTile;
    tile::load_tile<kTile, kDim, kThreads>(k[j % 2], qkv + s.key(batch, kv) + row * width, width, s.valid(row), s.head_dim);
    tile::load_tile<kTile, kDim, kThreads>(v[j % 2], qkv + s.value(batch, kv) + row * width, width, s.valid(row), s.head_dim);
    tile::commit_copies();
  };
  tile::load_tile<kTile, kDim, kThreads>(q, qkv + s.query(batch, head) + first_query * width, width,
                                         s.valid(first_query), s.head_dim);
  load_keys(0);

  float sum[kDim / 8][4] = {};
  float maximum[2] = {-INFINITY, -INFINITY}, total[2] = {0, 0};  // of rows lane/4 and lane/4 + 8, in powers of two
  for (int j = 0; j <= last; ++j) {
    if (j < last) {
      load_keys(j + 1);
      tile::wait_copies<1>();
    } else {
      tile::wait_copies<0>();
    }
    __syncthreads();
    Scores p;
    row_products<kDim>(p, q, k[j % 2]);
    float largest[2] = {-INFINITY, -INFINITY};
#pragma unroll
    for (int n = 0; n < kTile / 8; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        p[n][i] *= scale;
        if (j == last && accumulator_column(n, i) > warp_row + accumulator_row(i)) p[n][i] = -INFINITY;
        largest[i / 2] = fmaxf(largest[i / 2], p[n][i]);
      }
    }
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const float next = fmaxf(maximum[r], quad_max(largest[r])), shrink = tile::exp2_fast(maximum[r] - next);
      maximum[r] = next;
      total[r] *= shrink;
#pragma unroll
      for (int n = 0; n < kDim / 8; ++n) {
        sum[n][2 * r] *= shrink;
        sum[n][2 * r + 1] *= shrink;
      }
    }
#pragma unroll
    for (int n = 0; n < kTile / 8; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        p[n][i] = tile::exp2_fast(p[n][i] - maximum[i / 2]);
        total[i / 2] += p[n][i];
      }
    }
    weighted_rows<kDim>(sum, p, v[j % 2]);
    __syncthreads();
  }
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    total[r] = tile::quad_sum(total[r]);
    const index_t row = first_query + warp_row + accumulator_row(2 * r);
    if (threadIdx.x % 4 == 0 && row < s.time) {
      lse[s.statistic(batch, head) + row] = (maximum[r] + log2f(total[r])) * kLn2;
    }
    const float inverse = 1 / total[r];
#pragma unroll
    for (int n = 0; n < kDim / 8; ++n) {
      sum[n][2 * r] *= inverse;
      sum[n][2 * r + 1] *= inverse;
    }
  }
  tile::store_rows<kDim>(q + warp_row * kDim, sum,
                         out + s.output(batch, head) + (first_query + warp_row) * s.out_width(), s.out_width(),
                         s.valid(first_query) - warp_row, s.head_dim);
}

// delta (batch, heads, time) = Σ_d dout · out; kDim / 8 threads share a row.
template <int kDim>
__global__ void __launch_bounds__(256)
    delta_kernel(Problem s, index_t rows, const bf16* __restrict__ dout, const bf16* __restrict__ out,
                 float* __restrict__ delta) {
  constexpr int lanes = kDim / kPack;
  const index_t item = (blockIdx.x * index_t{256} + threadIdx.x) / lanes;  // (row, head)
  const int column = threadIdx.x % lanes * kPack;
  float sum = 0;
  if (item < rows * s.heads) {
    const Floats a = load<true>(dout + item * s.head_dim, column, s.head_dim);
    const Floats b = load<true>(out + item * s.head_dim, column, s.head_dim);
#pragma unroll
    for (int i = 0; i < kPack; ++i) sum += a.v[i] * b.v[i];
  }
#pragma unroll
  for (int offset = lanes / 2; offset > 0; offset /= 2) sum += __shfl_xor_sync(~0u, sum, offset);
  if (column != 0 || item >= rows * s.heads) return;
  const index_t row = item / s.heads, head = item % s.heads;
  delta[s.statistic(row / s.time, head) + row % s.time] = sum;
}

// dk and dv of 64 keys: sᵀ = K·Qᵀ, pᵀ = 2^(sᵀ - lse), dv += pᵀ·dO, dsᵀ = pᵀ ⊙ (V·dOᵀ - delta), dk += dsᵀ·Q.
template <int kDim>
__global__ void __launch_bounds__(kThreads)
    backward_keys_kernel(Problem s, const bf16* __restrict__ dout, const bf16* __restrict__ qkv,
                         const float* __restrict__ lse, const float* __restrict__ delta, bf16* __restrict__ dqkv) {
  extern __shared__ uint4 shared[];
  __shared__ float query_lse[kTile], query_delta[kTile];
  constexpr int elements = kTile * kDim;
  bf16* const k = reinterpret_cast<bf16*>(shared);
  bf16 *const v = k + elements, *const q = k + 2 * elements, *const dy = k + 3 * elements;
  const index_t batch = blockIdx.z, kv = blockIdx.y, group = s.heads / s.kv_heads;
  const index_t first_key = index_t{blockIdx.x} * kTile, width = s.width();
  const int warp_row = threadIdx.x / 32 * 16, tiles = static_cast<int>((s.time + kTile - 1) / kTile);
  const float scale = s.scale * kLog2e;

  tile::load_tile<kTile, kDim, kThreads>(k, qkv + s.key(batch, kv) + first_key * width, width, s.valid(first_key), s.head_dim);
  tile::load_tile<kTile, kDim, kThreads>(v, qkv + s.value(batch, kv) + first_key * width, width, s.valid(first_key), s.head_dim);
  tile::commit_copies();

  float dk[kDim / 8][4] = {}, dv[kDim / 8][4] = {};
  for (index_t head = kv * group; head < (kv + 1) * group; ++head) {
    for (int i = blockIdx.x; i < tiles; ++i) {
      const index_t first_query = index_t{i} * kTile;
      const int valid = s.valid(first_query);
      __syncthreads();  // the previous tile has been used up
      tile::load_tile<kTile, kDim, kThreads>(q, qkv + s.query(batch, head) + first_query * width, width, valid, s.head_dim);
      tile::load_tile<kTile, kDim, kThreads>(dy, dout + s.output(batch, head) + first_query * s.out_width(),
                                             s.out_width(), valid, s.head_dim);
      tile::commit_copies();
      if (threadIdx.x < kTile) {  // queries beyond the end get weight 2^-inf = 0
        const index_t at = s.statistic(batch, head) + first_query + threadIdx.x;
        query_lse[threadIdx.x] = threadIdx.x < valid ? lse[at] * kLog2e : INFINITY;
        query_delta[threadIdx.x] = threadIdx.x < valid ? delta[at] : 0.f;
      }
      tile::wait_copies<0>();
      __syncthreads();
      Scores p, ds;
      row_products<kDim>(p, k, q);
#pragma unroll
      for (int n = 0; n < kTile / 8; ++n) {
#pragma unroll
        for (int w = 0; w < 4; ++w) {
          const int query = accumulator_column(n, w);
          const bool masked = i == blockIdx.x && query < warp_row + accumulator_row(w);
          p[n][w] = masked ? 0.f : tile::exp2_fast(p[n][w] * scale - query_lse[query]);
        }
      }
      weighted_rows<kDim>(dv, p, dy);
      row_products<kDim>(ds, v, dy);
#pragma unroll
      for (int n = 0; n < kTile / 8; ++n) {
#pragma unroll
        for (int w = 0; w < 4; ++w) ds[n][w] = p[n][w] * (ds[n][w] - query_delta[accumulator_column(n, w)]);
      }
      weighted_rows<kDim>(dk, ds, q);
    }
  }
#pragma unroll
  for (int n = 0; n < kDim / 8; ++n) {
#pragma unroll
    for (int w = 0; w < 4; ++w) dk[n][w] *= s.scale;
  }
  __syncthreads();
  const index_t row = first_key + warp_row;
  const int valid = s.valid(first_key) - warp_row;
  tile::store_rows<kDim>(k + warp_row * kDim, dk, dqkv + s.key(batch, kv) + row * width, width, valid, s.head_dim);
  tile::store_rows<kDim>(k + warp_row * kDim, dv, dqkv + s.value(batch, kv) + row * width, width, valid, s.head_dim);
}

// dq of 64 queries: p = 2^(s - lse), ds = p ⊙ (dO·Vᵀ - delta), dq += ds·K.
template <int kDim>
__global__ void __launch_bounds__(kThreads)
    backward_queries_kernel(Problem s, const bf16* __restrict__ dout, const bf16* __restrict__ qkv,
                            const float* __restrict__ lse, const float* __restrict__ delta, bf16* __restrict__ dqkv) {
  extern __shared__ uint4 shared[];
  constexpr int elements = kTile * kDim;
  bf16* const q = reinterpret_cast<bf16*>(shared);
  bf16 *const dy = q + elements, *const k = q + 2 * elements, *const v = q + 3 * elements;
  const index_t batch = blockIdx.z, head = blockIdx.y, kv = head / (s.heads / s.kv_heads);
  const int last = static_cast<int>(gridDim.x - 1 - blockIdx.x);
  const index_t first_query = index_t{last} * kTile, width = s.width();
  const int warp_row = threadIdx.x / 32 * 16, valid = s.valid(first_query);
  const float scale = s.scale * kLog2e;

  tile::load_tile<kTile, kDim, kThreads>(q, qkv + s.query(batch, head) + first_query * width, width, valid, s.head_dim);
  tile::load_tile<kTile, kDim, kThreads>(dy, dout + s.output(batch, head) + first_query * s.out_width(), s.out_width(),
                                         valid, s.head_dim);
  tile::commit_copies();
  float row_lse[2], row_delta[2];
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int row = warp_row + accumulator_row(2 * r);
    const index_t at = s.statistic(batch, head) + first_query + row;
    row_lse[r] = row < valid ? lse[at] * kLog2e : INFINITY;
    row_delta[r] = row < valid ? delta[at] : 0.f;
  }

  float dq[kDim / 8][4] = {};
  for (int j = 0; j <= last; ++j) {
    const index_t row = index_t{j} * kTile;
    __syncthreads();  // the previous tile has been used up
    tile::load_tile<kTile, kDim, kThreads>(k, qkv + s.key(batch, kv) + row * width, width, s.valid(row), s.head_dim);
    tile::load_tile<kTile, kDim, kThreads>(v, qkv + s.value(batch, kv) + row * width, width, s.valid(row), s.head_dim);
    tile::commit_copies();
    tile::wait_copies<0>();
    __syncthreads();
    Scores p, ds;
    row_products<kDim>(p, q, k);
    row_products<kDim>(ds, dy, v);
#pragma unroll
    for (int n = 0; n < kTile / 8; ++n) {
#pragma unroll
      for (int w = 0; w < 4; ++w) {
        const bool masked = j == last && accumulator_column(n, w) > warp_row + accumulator_row(w);
        const float weight = masked ? 0.f : tile::exp2_fast(p[n][w] * scale - row_lse[w / 2]);
        ds[n][w] = weight * (ds[n][w] - row_delta[w / 2]);
      }
    }
    weighted_rows<kDim>(dq, ds, k);
  }
#pragma unroll
  for (int n = 0; n < kDim / 8; ++n) {
#pragma unroll
    for (int w = 0; w < 4; ++w) dq[n][w] *= s.scale;
  }
  __syncthreads();
  tile::store_rows<kDim>(q + warp_row * kDim, dq, dqkv + s.query(batch, head) + (first_query + warp_row) * width, width,
                         valid - warp_row, s.head_dim);
}

Problem problem_of(const AttentionShape& s) {
  return {s.time, s.heads, s.kv_heads, static_cast<int>(s.head_dim), static_cast<float>(s.scale)};
}

// Calls body with the columns of a tile, as a compile-time constant; narrower heads are padded with zeros in shared memory.
template <class Body>
void with_head_dim(const AttentionShape& s, const Body& body) {
  if (s.head_dim % kPack != 0 || s.head_dim < kPack || s.head_dim > 128) {
    throw InvalidArgument("attention on a GPU: Expected a head_dim that is a multiple of 8, up to 128, got " +
                          std::to_string(s.head_dim));
  }
  if (s.head_dim <= 32) return body(std::integral_constant<int, 32>());
  if (s.head_dim <= 64) return body(std::integral_constant<int, 64>());
  body(std::integral_constant<int, 128>());
}

static_assert(5 * kTile * 128 * sizeof(bf16) <= kLeastSharedMemory, "the most tiles of the widest heads fit every card");

template <class Kernel, class... Arguments>
void launch(Kernel kernel, dim3 grid, int tiles, int head_dim, cudaStream_t stream, Arguments... arguments) {
  const int bytes = tiles * kTile * head_dim * static_cast<int>(sizeof(bf16));
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes), "attention: cudaFuncSetAttribute");
  kernel<<<grid, kThreads, bytes, stream>>>(arguments...);
}

dim3 grid_of(const AttentionShape& s, index_t heads) {
  return dim3(static_cast<unsigned>(ceil_div(s.time, kTile)), static_cast<unsigned>(heads), static_cast<unsigned>(s.batch));
}

}  // namespace

std::size_t attention_mma_workspace(const AttentionShape& s) {
  return static_cast<std::size_t>(s.batch * s.heads * s.time) * sizeof(float);
}

void attention_mma_forward(const AttentionShape& s, const bf16* qkv, bf16* out, float* lse, cudaStream_t stream) {
  with_head_dim(s, [&](auto dim) {
    launch(forward_kernel<dim()>, grid_of(s, s.heads), 5, dim(), stream, problem_of(s), qkv, out, lse);
  });
  check_launch("attention_forward");
}

void attention_mma_backward(const AttentionShape& s, const bf16* dout, const bf16* qkv, const bf16* out,
                            const float* lse, bf16* dqkv, void* workspace, cudaStream_t stream) {
  auto* delta = static_cast<float*>(workspace);
  with_head_dim(s, [&](auto dim) {
    const Problem problem = problem_of(s);
    const index_t rows = s.batch * s.time, threads = rows * s.heads * (dim() / kPack);
    delta_kernel<dim()><<<static_cast<unsigned>(ceil_div(threads, 256)), 256, 0, stream>>>(problem, rows, dout, out, delta);
    launch(backward_keys_kernel<dim()>, grid_of(s, s.kv_heads), 4, dim(), stream, problem, dout, qkv, lse, delta, dqkv);
    launch(backward_queries_kernel<dim()>, grid_of(s, s.heads), 4, dim(), stream, problem, dout, qkv, lse, delta, dqkv);
  });
  check_launch("attention_backward");
}

}  // namespace lmx::cuda
