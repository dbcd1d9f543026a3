// Finishes the gradients of a chunk (ssd_combine.cuh). With the terms of ssd_gradient, per head and step k of
// a chunk:
//   da_k = Σ_{i>=k} decay_i + Σ_{j<k} write_j + carry     dL/d(A Δ_k): all whose decay passes over step k
//   ddt_k = (direct_k + A da_k) σ(dt_k + dt_bias), 0 where Δ is clamped;  σ = 1 - e^{-Δ}
// dA_log = Σ A Δ_k da_k, ddt_bias = Σ ddt_k, dD = Σ skip: per chunk here, over chunks by ColumnSums. The other half of the blocks adds the fp32 parts of dB (and of dC where heads are split) and
// writes them as bf16.
//
// 65536 tokens, 24 heads, state 128: 25 MB of terms, 67 MB of parts, 17 MB out: 26 us at 4.2 TB/s. Measured
// on an H200: 34 us.
#include "check.h"
#include "reduce.cuh"
#include "ssd_combine.cuh"

namespace lmx::cuda {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / kWarp, kHeadTile = 32;

struct Steps4 {
  float v[4];
};
__device__ __forceinline__ Steps4 load4(const float* at) {
  const float4 f = *reinterpret_cast<const float4*>(at);
  return {{f.x, f.y, f.z, f.w}};
}
__device__ __forceinline__ void add4(Steps4& sum, const float* at) {
  const Steps4 other = load4(at);
#pragma unroll
  for (int e = 0; e < 4; ++e) sum.v[e] += other.v[e];
}

// ddt of one head over one chunk; a lane has four neighbouring steps. Sums for the parameters go to lane 0's
// outputs.
__device__ Steps4 head_steps(const SsdCombine& p, int b, int chunk, int head, int lane) {
  const SsdGradient& q = p.gradient;
  const SsdGeometry& g = q.g;
  Steps4 decay = {}, write = {}, direct = {};
  float carry = 0, skip = 0;
  for (int vh = head << g.piece_shift; vh < (head + 1) << g.piece_shift; ++vh) {
    const index_t at = g.steps(b, chunk, g.virtual_heads) + index_t{vh} * g.steps_per_head() + lane * 4;
    const index_t block = (index_t{b} * g.chunks + chunk) * g.virtual_heads + vh;
    for (int n = 0; n < q.pieces; ++n) add4(decay, q.decay_term + n * g.virtual_step_count() + at);
    carry += q.carry_term[block];
    add4(write, q.write_term + at);
    add4(direct, q.direct_term + at);
    skip += q.skip_term[block];
  }
  const Steps4 delta =
      load4(q.steps.delta + g.steps(b, chunk, g.heads) + index_t{head} * g.steps_per_head() + lane * 4);

  // Inclusive sums inside the lane, decay from the back, write from the front; then over lanes.
#pragma unroll
  for (int e = 1; e < 4; ++e) {
    decay.v[3 - e] += decay.v[4 - e];
    write.v[e] += write.v[e - 1];
  }
  float after = decay.v[0], before = write.v[3];
#pragma unroll
  for (int offset = 1; offset < kWarp; offset *= 2) {
    const float from_right = __shfl_down_sync(~0u, after, offset),
                from_left = __shfl_up_sync(~0u, before, offset);
    if (lane + offset < kWarp) after += from_right;
    if (lane >= offset) before += from_left;
  }
  after = __shfl_down_sync(~0u, after, 1);
  before = __shfl_up_sync(~0u, before, 1);
  if (lane == kWarp - 1) after = 0;
  if (lane == 0) before = 0;

  const float a = -expf(p.a_log[head]);
  float a_sum = 0, bias_sum = 0;
  Steps4 ddt;
#pragma unroll
  for (int e = 0; e < 4; ++e) {
    const float da = decay.v[e] + after + (e == 0 ? before : before + write.v[e - 1]) + carry;
    const bool valid = lane * 4 + e < g.length(chunk), clamped = g.dt_min > 0 && delta.v[e] <= g.dt_min;
    ddt.v[e] = valid && !clamped ? (direct.v[e] + a * da) * -expm1f(-delta.v[e]) : 0.0f;
    a_sum += a * delta.v[e] * da;
    bias_sum += ddt.v[e];
  }
  a_sum = warp_sum(a_sum);
  bias_sum = warp_sum(bias_sum);
  if (lane == 0) {
    const index_t rows = index_t{g.batch} * g.chunks, at = (index_t{b} * g.chunks + chunk) * g.heads + head;
    p.parameter_partials[at] = a_sum;
    p.parameter_partials[rows * g.heads + at] = skip;
    p.parameter_partials[2 * rows * g.heads + at] = bias_sum;
  }
  return ddt;
}

__device__ void finish_steps(const SsdCombine& p, int b, int chunk, bf16 (&tile)[kSsdChunk][kHeadTile + 2]) {
  const SsdGeometry& g = p.gradient.g;
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp, length = g.length(chunk);
  for (int first = 0; first < g.heads; first += kHeadTile) {
    const int count = min(kHeadTile, g.heads - first);
    for (int h = warp; h < count; h += kWarps) {
      const Steps4 ddt = head_steps(p, b, chunk, first + h, lane);
#pragma unroll
      for (int e = 0; e < 4; ++e) tile[lane * 4 + e][h] = __float2bfloat16_rn(ddt.v[e]);
    }
    __syncthreads();
    bf16* const out = p.ddt.data + g.row(b, chunk) * p.ddt.stride + first;
    for (int index = threadIdx.x; index < length * count; index += kThreads) {
      out[index / count * p.ddt.stride + index % count] = tile[index / count][index % count];
    }
    __syncthreads();
  }
  bf16* const beyond = p.ddt.data + g.row(b, chunk) * p.ddt.stride + g.heads;
  for (int index = threadIdx.x; index < length * g.dt_padding; index += kThreads) {
    beyond[index / g.dt_padding * p.ddt.stride + index % g.dt_padding] = __float2bfloat16_rn(0.f);
  }
}

// Sums `parts` parts of a chunk's rows of dB or dC into columns of dxbc.
__device__ void finish_rows(const SsdGradient& p, int b, int chunk, const float* parts, int count,
                            bf16* out) {
  const SsdGeometry& g = p.g;
  const int width = g.groups * g.state, quads = width / 4;
  const index_t part_size = p.partial_rows() * width;
  const float* const chunk_parts = parts + p.partial(0, b, chunk);
  for (int index = threadIdx.x; index < g.length(chunk) * quads; index += kThreads) {
    const int row = index / quads, column = index % quads * 4;
    const float* at = chunk_parts + index_t{row} * width + column;
    Steps4 sum = load4(at);
    for (int part = 1; part < count; ++part) add4(sum, at + part * part_size);
    *reinterpret_cast<uint2*>(out + (g.row(b, chunk) + row) * g.channels + column) = {
        to_pair(sum.v[0], sum.v[1]), to_pair(sum.v[2], sum.v[3])};
  }
}

// grid (chunks, batch, 2): steps, rows
__global__ void __launch_bounds__(kThreads) ssd_combine_kernel(const SsdCombine p) {
  __shared__ bf16 tile[kSsdChunk][kHeadTile + 2];
  const SsdGradient& q = p.gradient;
  if (blockIdx.z == 0) {
    finish_steps(p, blockIdx.y, blockIdx.x, tile);
  } else {
    bf16* const db = q.dxbc + q.g.inner;
    finish_rows(q, blockIdx.y, blockIdx.x, q.db, 2 * q.splits, db);
    if (q.splits > 1) finish_rows(q, blockIdx.y, blockIdx.x, q.dc, q.splits, db + q.g.groups * q.g.state);
  }
}

}  // namespace

void ssd_combine(const SsdCombine& p, cudaStream_t stream) {
  const SsdGeometry& g = p.gradient.g;
  ssd_combine_kernel<<<dim3(g.chunks, g.batch, 2), kThreads, 0, stream>>>(p);
  check_launch("ssd_combine");
}

}  // namespace lmx::cuda
