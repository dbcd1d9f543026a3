// h <- e^{A Δ} h + Δ x ⊗ B,  y = h C + D x, fp32 arithmetic whatever the state is stored in.
//
// The state of a step crosses memory twice, and nothing else of the operation is of any size: 128 heads x 64 x 128 in fp32 are
// 8.4 MB a sequence, 2 us at 4.2 TB/s; 32 sequences measured on an H200: 95 us (64 us at 4.2 TB/s). kLanes neighbouring threads own a row
// of the state (one channel of x), each of them packs of kWide elements along n, 16 bytes; a block owns some rows of one head. Rows, and
// what a token brings for them, are loaded before any of them is used, and the sums of all of a thread's rows go through the lanes together.
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
    if constexpr (kWide == 1) {
      v[0] = static_cast<float>(*from);
    } else if constexpr (std::is_same_v<State, float>) {
      const float4 f = *reinterpret_cast<const float4*>(from);
      v[0] = f.x, v[1] = f.y, v[2] = f.z, v[3] = f.w;
    } else {
      using Words = std::conditional_t<kWide == 8, uint4, uint2>;
      const Words words = *reinterpret_cast<const Words*>(from);
      const auto* const word = reinterpret_cast<const std::uint32_t*>(&words);
#pragma unroll
      for (int i = 0; i < kWide / 2; ++i) v[i * 2] = low_half(word[i]), v[i * 2 + 1] = high_half(word[i]);
    }
  }
  __device__ __forceinline__ void store(State* to) const {
    if constexpr (kWide == 1) {
      *to = static_cast<State>(v[0]);
    } else if constexpr (std::is_same_v<State, float>) {
      *reinterpret_cast<float4*>(to) = {v[0], v[1], v[2], v[3]};
    } else {
      using Words = std::conditional_t<kWide == 8, uint4, uint2>;
      Words words;
      auto* const word = reinterpret_cast<std::uint32_t*>(&words);
#pragma unroll
      for (int i = 0; i < kWide / 2; ++i) word[i] = to_pair(v[i * 2], v[i * 2 + 1]);
      *reinterpret_cast<Words*>(to) = words;
    }
  }
};

// Sums each of kRows values over kLanes neighbouring lanes. A value moves over half of the lanes at every step, so that all of them take
// little more than one would: afterwards lane l holds the sum of row l * kRows / kLanes (of row 0 where kRows is 1).
template <int kLanes, int kRows>
__device__ __forceinline__ float sum_rows(float (&v)[kRows], int lane) {
  static_assert(kLanes % kRows == 0, "a row for every group of lanes");
  int offset = kLanes / 2;
#pragma unroll
  for (int count = kRows; count > 1; count /= 2, offset /= 2) {
    const bool upper = lane & offset;
#pragma unroll
    for (int r = 0; r < count / 2; ++r) {
      const float other = __shfl_xor_sync(~0u, upper ? v[r] : v[r + count / 2], offset);
      v[r] = (upper ? v[r + count / 2] : v[r]) + other;
    }
  }
#pragma unroll
  for (int left = kLanes / kRows / 2; left > 0; left /= 2) v[0] += __shfl_xor_sync(~0u, v[0], left);
  return v[0];
}

// v[index], without an indexed register.
template <int kRows>
__device__ __forceinline__ float pick(const float (&v)[kRows], int index) {
  float value = v[0];
#pragma unroll
  for (int r = 1; r < kRows; ++r) value = index == r ? v[r] : value;
  return value;
}

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
__global__ void __launch_bounds__(kThreads, kPacks > 2 ? 1 : 3) update_kernel(const Update u, State* states) {
  constexpr int kRowsAtOnce = kThreads / kLanes;
  const int head = blockIdx.x, lane = threadIdx.x % kLanes, own_row = threadIdx.x / kLanes;
  const index_t b = blockIdx.y;
  const int first = blockIdx.z * kRowsAtOnce * kRows;
  State* const base = states + (b * u.heads + head) * u.head_dim * u.state;
  const float a = -__expf(u.a_log[head]), bias = u.dt_bias[head], skip = u.d[head];
  wait_for_previous();
  let_next_start();

  Cells<State, kWide> cells[kRows][kPacks] = {};
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
    float xp[kRows], sum[kRows];
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const int p = first + r * kRowsAtOnce + own_row;
      xp[r] = p < u.head_dim ? __bfloat162float(x[p]) : 0.f;
    }
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const float write = delta * xp[r];
      sum[r] = 0;
#pragma unroll
      for (int k = 0; k < kPacks; ++k)
#pragma unroll
        for (int i = 0; i < kWide; ++i) {
          cells[r][k].v[i] = fmaf(cells[r][k].v[i], keep, write * bv[k][i]);
          sum[r] = fmaf(cells[r][k].v[i], cv[k][i], sum[r]);
        }
    }
    constexpr int kLanesOfRow = kLanes / kRows;  // that hold the same sum
    const float total = sum_rows<kLanes>(sum, lane);
    const int r = lane / kLanesOfRow, p = first + r * kRowsAtOnce + own_row;
    if (lane % kLanesOfRow == 0 && p < u.head_dim) {
      u.y[(row * u.heads + head) * u.head_dim + p] = __float2bfloat16(total + skip * pick(xp, r));
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
  constexpr int kMost = kPacks > 2 ? 2 : 4;
  if (pieces >= kMost && blocks * ceil_div(pieces, kMost) >= kEnoughBlocks) return run(std::integral_constant<int, kMost>());
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
  // 16 bytes of the state at a time where its rows and those of xbc allow.
  constexpr int kWide = std::is_same_v<State, float> ? 4 : 8;
  const bool wide = s.state % kWide == 0 && s.channels() % kWide == 0 && s.inner() % kWide == 0 &&
                    reinterpret_cast<std::uintptr_t>(xbc) % (kWide * sizeof(bf16)) == 0;
  if (!wide) {
    if (s.state <= 32) return launch<State, 1, 32, 1>(s, u, state, stream);
    return launch<State, 1, 32, 8>(s, u, state, stream);
  }
  if (s.state <= 32) return launch<State, kWide, 32 / kWide, 1>(s, u, state, stream);
  if (s.state <= 64) return launch<State, kWide, 64 / kWide, 1>(s, u, state, stream);
  if (s.state <= 128) return launch<State, kWide, 128 / kWide, 1>(s, u, state, stream);
  launch<State, kWide, 32, 256 / kWide / 32>(s, u, state, stream);
}

template void ssd_state_update(const SsdShape&, const bf16*, StridedOf<const bf16*>, const float*, const float*,
                               const float*, float*, bf16*, cudaStream_t);
template void ssd_state_update(const SsdShape&, const bf16*, StridedOf<const bf16*>, const float*, const float*,
                               const float*, bf16*, bf16*, cudaStream_t);

}  // namespace lmx::cuda
