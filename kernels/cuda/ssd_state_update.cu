// h <- e^{A Δ} h + Δ x ⊗ B,  y = h C + D x, fp32 arithmetic whatever the state is stored in.
//
// The state of a step crosses memory twice, and nothing else of the operation is of any size: 128 heads x 64 x 128 in fp32 are
// 8.4 MB a sequence, 2 us at 4.2 TB/s. kLanes neighbouring threads own a row of the state (one channel of x), each of them packs of
// kPack elements along n; a block owns some rows of one head. Rows are loaded before any of them is used.
#include <algorithm>
#include <string>
#include <type_traits>

#include "../common/error.h"
#include "check.h"
#include "dependent_launch.cuh"
#include "launch.h"
#include "ssd_state_update.cuh"

namespace lmx::cuda {
namespace {

constexpr int kThreads = 256;
constexpr index_t kEnoughBlocks = 2 * 132;

// kWide neighbouring elements of a state, as they travel.
template <class State, int kWide>
struct Cells {
  float v[kWide];

  __device__ __forceinline__ void load(const State* from) {
    if constexpr (std::is_same_v<State, float> && kWide == 4) {
      const float4 f = *reinterpret_cast<const float4*>(from);
      v[0] = f.x, v[1] = f.y, v[2] = f.z, v[3] = f.w;
    } else if constexpr (std::is_same_v<State, bf16> && kWide == 4) {
      const uint2 f = *reinterpret_cast<const uint2*>(from);
      v[0] = low_half(f.x), v[1] = high_half(f.x), v[2] = low_half(f.y), v[3] = high_half(f.y);
    } else {
      v[0] = static_cast<float>(*from);
    }
  }
  __device__ __forceinline__ void store(State* to) const {
    if constexpr (std::is_same_v<State, float> && kWide == 4) {
      *reinterpret_cast<float4*>(to) = {v[0], v[1], v[2], v[3]};
    } else if constexpr (std::is_same_v<State, bf16> && kWide == 4) {
      *reinterpret_cast<uint2*>(to) = {to_pair(v[0], v[1]), to_pair(v[2], v[3])};
    } else {
      *to = static_cast<State>(v[0]);
    }
  }
};

struct Update {
  const bf16* xbc;
  const bf16* dt;
  const float *a_log, *d, *dt_bias;
  bf16* y;
  int time, heads, head_dim, heads_per_group, state, channels, dt_stride, group_offset;
  float dt_min;
};

// grid (heads, batch, pieces of head_dim). kPacks packs of kWide elements per thread cover a row.
template <class State, int kWide, int kLanes, int kPacks, int kRows>
__global__ void __launch_bounds__(kThreads) update_kernel(const Update u, State* states) {
  constexpr int kRowsAtOnce = kThreads / kLanes;
  const int head = blockIdx.x, lane = threadIdx.x % kLanes, own_row = threadIdx.x / kLanes;
  const index_t b = blockIdx.y;
  const int first = blockIdx.z * kRowsAtOnce * kRows;
  State* const base = states + (b * u.heads + head) * u.head_dim * u.state;
  const float a = -__expf(u.a_log[head]), bias = u.dt_bias[head], skip = u.d[head];
  wait_for_previous();
  let_next_start();

  Cells<State, kWide> cells[kRows][kPacks];
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    const int p = first + r * kRowsAtOnce + own_row;
#pragma unroll
    for (int k = 0; k < kPacks; ++k) {
      const int n = (k * kLanes + lane) * kWide;
      if (p < u.head_dim && n < u.state) cells[r][k].load(base + index_t{p} * u.state + n);
    }
  }
  for (int t = 0; t < u.time; ++t) {
    const index_t row = b * u.time + t;
    const bf16* const x = u.xbc + row * u.channels + head * u.head_dim;
    const bf16* const into = u.xbc + row * u.channels + u.heads * u.head_dim + head / u.heads_per_group * u.state;
    const bf16* const out_of = into + u.group_offset;
    const float raw = __bfloat162float(u.dt[row * u.dt_stride + head]) + bias;
    const float delta = fmaxf(fmaxf(raw, 0.f) + log1pf(expf(-fabsf(raw))), u.dt_min);
    const float keep = expf(a * delta);
    float bv[kPacks][kWide], cv[kPacks][kWide];
#pragma unroll
    for (int k = 0; k < kPacks; ++k) {
      const int n = (k * kLanes + lane) * kWide;
      Cells<bf16, kWide> pb = {}, pc = {};
      if (n < u.state) {
        pb.load(into + n);
        pc.load(out_of + n);
      }
#pragma unroll
      for (int i = 0; i < kWide; ++i) bv[k][i] = pb.v[i], cv[k][i] = pc.v[i];
    }
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const int p = first + r * kRowsAtOnce + own_row;
      const bool active = p < u.head_dim;
      const float xp = active ? __bfloat162float(x[p]) : 0.f, write = delta * xp;
      float sum = 0;
#pragma unroll
      for (int k = 0; k < kPacks; ++k) {
        const int n = (k * kLanes + lane) * kWide;
        if (active && n < u.state) {
#pragma unroll
          for (int i = 0; i < kWide; ++i) {
            cells[r][k].v[i] = fmaf(cells[r][k].v[i], keep, write * bv[k][i]);
            sum = fmaf(cells[r][k].v[i], cv[k][i], sum);
          }
        }
      }
#pragma unroll
      for (int offset = kLanes / 2; offset > 0; offset /= 2) sum += __shfl_xor_sync(~0u, sum, offset);
      if (active && lane == 0) u.y[(row * u.heads + head) * u.head_dim + p] = __float2bfloat16(sum + skip * xp);
    }
  }
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    const int p = first + r * kRowsAtOnce + own_row;
#pragma unroll
    for (int k = 0; k < kPacks; ++k) {
      const int n = (k * kLanes + lane) * kWide;
      if (p < u.head_dim && n < u.state) cells[r][k].store(base + index_t{p} * u.state + n);
    }
  }
}

template <class State, int kWide, int kLanes, int kPacks>
void launch(const SsdShape& s, const Update& u, State* state, cudaStream_t stream) {
  constexpr int kRowsAtOnce = kThreads / kLanes;
  const auto run = [&](auto rows) {
    constexpr int kRows = rows();
    const dim3 grid(static_cast<unsigned>(s.heads), static_cast<unsigned>(s.batch),
                    static_cast<unsigned>(ceil_div(s.head_dim, kRowsAtOnce * kRows)));
    check(launch_dependent(update_kernel<State, kWide, kLanes, kPacks, kRows>, grid, dim3(kThreads), 0, stream, u, state),
          "ssd_state_update");
  };
  // More rows per thread keep more loads in flight; fewer make more blocks.
  const index_t pieces = ceil_div(s.head_dim, kRowsAtOnce), blocks = s.heads * s.batch;
  if (kPacks <= 2 && pieces >= 8 && blocks * ceil_div(pieces, 8) >= kEnoughBlocks) return run(std::integral_constant<int, kPacks <= 2 ? 8 : 2>());
  if (kPacks <= 2 && pieces >= 4 && blocks * ceil_div(pieces, 4) >= kEnoughBlocks) return run(std::integral_constant<int, kPacks <= 2 ? 4 : 2>());
  if (pieces >= 2) return run(std::integral_constant<int, 2>());
  run(std::integral_constant<int, 1>());
}

}  // namespace

template <class State>
void ssd_state_update(const SsdShape& s, const bf16* xbc, StridedOf<const bf16*> dt, const float* a_log, const float* d,
                      const float* dt_bias, State* state, bf16* y, cudaStream_t stream) {
  if (s.state > 256) {
    throw InvalidArgument("Expected the SSD scan's state to be at most 256 on a CUDA device, got " + std::to_string(s.state));
  }
  const auto narrow = [](index_t value) { return static_cast<int>(value); };
  const Update u{xbc, dt.data, a_log, d, dt_bias, y, narrow(s.time), narrow(s.heads), narrow(s.head_dim),
                 narrow(s.heads / s.groups), narrow(s.state), narrow(s.channels()), narrow(dt.stride),
                 narrow(s.groups * s.state), static_cast<float>(s.dt_min)};
  const bool wide = s.state % 4 == 0 && s.channels() % 4 == 0 && s.inner() % 4 == 0 &&
                    reinterpret_cast<std::uintptr_t>(xbc) % 8 == 0;
  if (!wide) {
    if (s.state <= 32) return launch<State, 1, 32, 1>(s, u, state, stream);
    return launch<State, 1, 32, 8>(s, u, state, stream);
  }
  if (s.state <= 16) return launch<State, 4, 4, 1>(s, u, state, stream);
  if (s.state <= 32) return launch<State, 4, 8, 1>(s, u, state, stream);
  if (s.state <= 64) return launch<State, 4, 16, 1>(s, u, state, stream);
  if (s.state <= 128) return launch<State, 4, 32, 1>(s, u, state, stream);
  launch<State, 4, 32, 2>(s, u, state, stream);
}

template void ssd_state_update(const SsdShape&, const bf16*, StridedOf<const bf16*>, const float*, const float*,
                               const float*, float*, bf16*, cudaStream_t);
template void ssd_state_update(const SsdShape&, const bf16*, StridedOf<const bf16*>, const float*, const float*,
                               const float*, bf16*, bf16*, cudaStream_t);

}  // namespace lmx::cuda
