// A block owns 16 outputs, its warps share the sum over `in`, and the tensor core multiplies 16 weight rows by up to 8
// rows of x at once: mma.m16n8k16 with the weights as A. The order of k inside an mma is free as long as both operands agree, so
// every thread takes 8 neighbouring elements of a row, 16 bytes, straight from memory to registers: nothing is staged or
// transposed. Thread (g = lane / 4, t = lane % 4) holds elements 8t .. 8t+7 of a stretch of 32, of weight rows g and g + 8 and of row g of x.
//
// Memory-bound: 2 bytes per weight; a 16384 -> 4096 product is 134 MB, 32 us at 4.2 TB/s, 38 us measured on an H200. Blocks that took 32
// rows of x needed 69 us: each read all of x through L2, as many bytes as weights. The next stretches are loaded before the current ones
// are used, the first ones before the kernel before has ended. RMSNorm costs nothing: x is multiplied by the norm's weight as it is read,
// its squares are summed on the way, and 1/rms, which does not depend on k, is applied to the finished sums.
// Partial sums of the warps are added in warp order: equal inputs give equal bits.
#include <type_traits>

#include "check.h"
#include "dependent_launch.cuh"
#include "launch.h"
#include "linear_few_rows.cuh"
#include "mlp_activation.cuh"

namespace lmx::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int kThreads = kWarps * 32;
constexpr int kStretch = 32;   // elements of k that the four threads of a row take at once
constexpr int kOutputs = 16;   // of a block
constexpr int kColumns = 8;    // rows of x
// Stretches of one round: 256 bytes of every weight row, or 128 where there are twice as many rows.
template <int kM>
constexpr int kStretches = kM == 1 ? 4 : 2;

struct Call {
  const bf16 *x, *w;
  const float* norm_weight;
  const bf16* residual;
  bf16* y;
  float* wide_y;
  int rows, in, out;
  int second;  // gated: rows of w from the gate's to the up's
  float eps;
};

// Read once, by one thread: past L1.
__device__ __forceinline__ uint4 load_weights(const bf16* pointer) {
  uint4 v;
  asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0,%1,%2,%3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "l"(pointer));
  return v;
}

__device__ __forceinline__ void multiply(float (&sum)[4], uint4 low_row, uint4 high_row, uint4 x) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
      : "r"(low_row.x), "r"(high_row.x), "r"(low_row.y), "r"(high_row.y), "r"(x.x), "r"(x.y));
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
      : "r"(low_row.z), "r"(high_row.z), "r"(low_row.w), "r"(high_row.w), "r"(x.z), "r"(x.w));
}

// Weights of one round: kM tiles of 16 rows.
template <int kM>
struct Round {
  uint4 rows[kM][2][kStretches<kM>];

  __device__ __forceinline__ void load(const bf16* const (&pointers)[kM][2], int k, int in) {
#pragma unroll
    for (int s = 0; s < kStretches<kM>; ++s) {
#pragma unroll
      for (int m = 0; m < kM; ++m) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          rows[m][half][s] = k + s * kStretch < in ? load_weights(pointers[m][half] + k + s * kStretch) : uint4{0, 0, 0, 0};
        }
      }
    }
  }
};

template <Activation kActivation>
__device__ __forceinline__ float activated(float x) {
  if constexpr (kActivation == Activation::gelu_tanh) {
    return x * __fdividef(1.f, 1.f + __expf(-1.5957691216057308f * (x + 0.044715f * x * x * x)));
  } else if constexpr (kActivation == Activation::gelu_erf) {
    return x * 0.5f * erfcf(-0.7071067811865476f * x);
  } else if constexpr (kActivation == Activation::relu2) {
    const float positive = fmaxf(x, 0.f);
    return positive * positive;
  } else {
    return x * __fdividef(1.f, 1.f + __expf(-x));
  }
}

// What becomes of the sums of one output and row of x; an MLP's second tile is the `up` of a gate, or not there.
struct Plain {
  static constexpr bool kGated = false;
  __device__ static float apply(float sum, float) { return sum; }
};
template <Activation kActivation, bool kGate>
struct Activated {
  static constexpr bool kGated = kGate;
  __device__ static float apply(float sum, float up) { return activated<kActivation>(sum) * (kGate ? up : 1.f); }
};

// Gated: two tiles of 16 weight rows, the gate's and the up's of the same outputs.
template <bool kNorm, class Finish>
__global__ void __launch_bounds__(kThreads, 2) few_rows_kernel(const Call c) {
  constexpr int kM = Finish::kGated ? 2 : 1;
  __shared__ float sums[kWarps][kM * 16][kColumns + 1];
  __shared__ float squares[kWarps][kColumns];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, g = lane / 4, t = lane % 4;
  const int first = blockIdx.x * kOutputs;

  const bf16* pointers[kM][2];
#pragma unroll
  for (int m = 0; m < kM; ++m) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      pointers[m][half] = c.w + index_t{min(first + half * 8 + g, c.out - 1) + m * c.second} * c.in;
    }
  }
  constexpr int kRoundElements = kStretch * kStretches<kM>, kStep = kRoundElements * kWarps;
  Round<kM> current;
  int k = warp * kRoundElements + t * 8;
  current.load(pointers, k, c.in);
  wait_for_previous();
  let_next_start();

  float sum[kM][4] = {};
  float square = 0;
  const int rounds = (c.in + kRoundElements - 1) / kRoundElements;
  for (int round = warp; round < rounds; round += kWarps, k += kStep) {
    Round<kM> next;
    if (round + kWarps < rounds) next.load(pointers, k + kStep, c.in);
#pragma unroll
    for (int s = 0; s < kStretches<kM>; ++s) {
      const int at = k + s * kStretch;
      uint4 x = {0, 0, 0, 0};
      if (g < c.rows && at < c.in) x = *reinterpret_cast<const uint4*>(c.x + index_t{g} * c.in + at);
      if constexpr (kNorm) {
        Floats f = unpack(x);
        if (at < c.in) {
          const Floats w = load<true>(c.norm_weight, at, c.in);
#pragma unroll
          for (int i = 0; i < kPack; ++i) {
            square += f.v[i] * f.v[i];
            f.v[i] *= w.v[i];
          }
        }
        x = pack(f);
      }
#pragma unroll
      for (int m = 0; m < kM; ++m) multiply(sum[m], current.rows[m][0][s], current.rows[m][1][s], x);
    }
    current = next;
  }

  if constexpr (kNorm) {
    square += __shfl_xor_sync(~0u, square, 1);
    square += __shfl_xor_sync(~0u, square, 2);
    if (t == 0) squares[warp][g] = square;
  }
#pragma unroll
  for (int m = 0; m < kM; ++m) {
#pragma unroll
    for (int e = 0; e < 4; ++e) sums[warp][m * 16 + g + e / 2 * 8][t * 2 + e % 2] = sum[m][e];
  }
  __syncthreads();
  const auto total = [&](int output, int row) {
    float all = 0;
#pragma unroll
    for (int w = 0; w < kWarps; ++w) all += sums[w][output][row];
    return all;
  };
  for (int i = threadIdx.x; i < kOutputs * kColumns; i += kThreads) {
    const int output = i % kOutputs, row = i / kOutputs;
    if (row >= c.rows || first + output >= c.out) continue;
    float scale = 1;
    if constexpr (kNorm) {
      float all = 0;
#pragma unroll
      for (int w = 0; w < kWarps; ++w) all += squares[w][row];
      scale = rsqrtf(all / c.in + c.eps);
    }
    float up = 0;
    if constexpr (Finish::kGated) up = total(16 + output, row) * scale;
    float value = Finish::apply(total(output, row) * scale, up);
    const index_t at = index_t{row} * c.out + first + output;
    if (c.residual != nullptr) value += __bfloat162float(c.residual[at]);
    if (c.wide_y != nullptr) {
      c.wide_y[at] = value;
    } else {
      c.y[at] = __float2bfloat16(value);
    }
  }
}

template <class Finish>
void launch(const Call& c, cudaStream_t stream) {
  const auto kernel = c.norm_weight != nullptr ? few_rows_kernel<true, Finish> : few_rows_kernel<false, Finish>;
  check(launch_dependent(kernel, dim3(static_cast<unsigned>(ceil_div(c.out, kOutputs))), dim3(kThreads), 0, stream, c),
        "linear_few_rows");
}

Call call_of(const FewRowsLinear& l) {
  return {l.x,   l.w,    l.norm_weight, l.residual, l.y, l.wide_y, static_cast<int>(l.shape.rows), static_cast<int>(l.shape.in),
          static_cast<int>(l.shape.out), 0, l.eps};
}

}  // namespace

bool takes_few_rows(const LinearShape& s, const void* x, const void* w) {
  return s.rows <= kMostFewRows && s.y_stride() == s.out && s.in % kPack == 0 && s.in < (index_t{1} << 30) && s.out < (index_t{1} << 30) &&
         aligned_rows(s.in, x, w);
}

void linear_few_rows(const FewRowsLinear& l, cudaStream_t stream) { launch<Plain>(call_of(l), stream); }

void mlp_up_few_rows(const MlpShape& s, const FewRowsLinear& l, bf16* a, cudaStream_t stream) {
  Call c = call_of(l);
  c.rows = static_cast<int>(s.rows);
  c.out = static_cast<int>(s.width);
  c.second = static_cast<int>(s.width);
  c.residual = nullptr;
  c.y = a;
  c.wide_y = nullptr;
  const auto with_gate = [&](auto activation) {
    if (s.gated) return launch<Activated<activation(), true>>(c, stream);
    launch<Activated<activation(), false>>(c, stream);
  };
  switch (s.activation) {
    case Activation::gelu_tanh: return with_gate(std::integral_constant<Activation, Activation::gelu_tanh>());
    case Activation::gelu_erf: return with_gate(std::integral_constant<Activation, Activation::gelu_erf>());
    case Activation::relu2: return with_gate(std::integral_constant<Activation, Activation::relu2>());
    case Activation::silu: return with_gate(std::integral_constant<Activation, Activation::silu>());
  }
}

}  // namespace lmx::cuda
