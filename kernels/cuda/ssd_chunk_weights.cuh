// Δ, s and the weights of a chunk's steps in the state pass (ssd_state_pass.cuh), made by one warp for one head.
#pragma once

#include "mma_tile.cuh"
#include "ssd_state_pass.cuh"

namespace lmx::cuda {

constexpr float kLog2E = 1.4426950408889634f;

// A lane's four steps of one chunk.
struct Times {
  float raw[4];
};

__device__ __forceinline__ Times load_times(const SsdStatePass& p, int b, int head, int chunk, int lane) {
  Times times;
#pragma unroll
  for (int k = 0; k < 4; ++k) {
    const int t = chunk * static_cast<int>(kSsdChunk) + lane * 4 + k;
    const bool valid = chunk >= 0 && t < p.g.time;
    times.raw[k] = valid ? __bfloat162float(p.dt.data[(index_t{b} * p.g.time + t) * p.dt.stride + head]) : 0;
  }
  return times;
}

// Δ, s and w of one chunk by one warp: pairs of steps' w in bf16, and what that leaves; S log2(e). See SsdSteps for what is left in
// global memory where `publish`.
template <bool kReverse>
__device__ void prepare_chunk(const SsdStatePass& p, const Times& times, int b, int head, int chunk, int lane,
                              float bias, float a_log2, bool publish, uint2* weight, float* total) {
  float delta[4], decay[4];
  float sum = 0;
#pragma unroll
  for (int k = 0; k < 4; ++k) {
    const float x = times.raw[k] + bias;
    const float soft = fmaxf(x, 0.0f) + log1pf(expf(-fabsf(x)));
    delta[k] = lane * 4 + k < p.g.length(chunk) ? fmaxf(soft, p.g.dt_min) : 0.0f;
    sum += a_log2 * delta[k];
    decay[k] = sum;
  }
  float before = sum;  // inclusive sum over lanes, then exclusive
#pragma unroll
  for (int offset = 1; offset < 32; offset *= 2) {
    const float other = __shfl_up_sync(~0u, before, offset);
    if (lane >= offset) before += other;
  }
  const float last = __shfl_sync(~0u, before, 31);
  before = __shfl_up_sync(~0u, before, 1);
  if (lane == 0) before = 0;
  float w[4];
#pragma unroll
  for (int k = 0; k < 4; ++k) {
    decay[k] += before;
    w[k] = kReverse ? tile::exp2_fast(decay[k]) : tile::exp2_fast(fminf(last - decay[k], 0.0f)) * delta[k];
  }
#pragma unroll
  for (int k = 0; k < 4; k += 2) {
    const std::uint32_t pair = to_pair(w[k], w[k + 1]);
    weight[lane * 2 + k / 2] = {pair, to_pair(w[k] - low_half(pair), w[k + 1] - high_half(pair))};
  }
  if (lane == 0) *total = last;
  if (publish) {
    const index_t at = p.g.steps(b, chunk, p.g.heads) + head * p.g.steps_per_head() + lane * 4;
    *reinterpret_cast<float4*>(p.steps.decay + at) = {decay[0], decay[1], decay[2], decay[3]};
    *reinterpret_cast<float4*>(p.steps.decay_weight + at) = {
        decay[0] - log2f(delta[0]), decay[1] - log2f(delta[1]), decay[2] - log2f(delta[2]),
        decay[3] - log2f(delta[3])};
    *reinterpret_cast<float4*>(p.steps.delta + at) = {delta[0], delta[1], delta[2], delta[3]};
  }
}

}  // namespace lmx::cuda
