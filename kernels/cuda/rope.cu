// Channels (i, i + rotary_dim/2) of every q and k head turn by t · theta^(-2i / rotary_dim).
//
// A block owns kRows rows. It first works out their cosines and sines, once for all heads - the angle in fp64, because
// t · frequency needs more than 24 bits at long contexts - and then turns whole rows, neighbouring threads on neighbouring
// channels. Memory-bound: 4 bytes per rotated element (65536 x 24 heads x 64: 403 MB, floor 96 us at 4.2 TB/s).
#include "check.h"
#include "launch.h"
#include "rope.cuh"

namespace lmx::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kRows = 4;

// kPairs channel pairs at `first` and `second`.
template <int kPairs>
__device__ __forceinline__ void turn(bf16* first, bf16* second, const float2* angles) {
  if constexpr (kPairs == kPack) {
    Floats a = load<true>(first, 0, kPack), b = load<true>(second, 0, kPack);
#pragma unroll
    for (int p = 0; p < kPack; ++p) {
      const float x = a.v[p], y = b.v[p];
      a.v[p] = x * angles[p].x - y * angles[p].y;
      b.v[p] = y * angles[p].x + x * angles[p].y;
    }
    store<true>(first, 0, kPack, a);
    store<true>(second, 0, kPack, b);
  } else {
    const float x = __bfloat162float(*first), y = __bfloat162float(*second);
    *first = __float2bfloat16(x * angles->x - y * angles->y);
    *second = __float2bfloat16(y * angles->x + x * angles->y);
  }
}

// kPairs: 8 where both halves of every head can be moved 16 bytes at a time, else 1.
template <int kPairs>
__global__ void __launch_bounds__(kThreads)
    rope_kernel(index_t rows, int time, int rotated_heads, int head_dim, int half, index_t width, double log2_theta,
                float direction, bf16* __restrict__ qkv) {
  extern __shared__ float2 angles[];  // (kRows, half): cosine, sine
  const index_t first_row = blockIdx.x * index_t{kRows};
  for (int i = threadIdx.x; i < kRows * half; i += kThreads) {
    const double t = static_cast<double>((first_row + i / half) % time);
    const double turns = t * exp2(-(i % half) * log2_theta / half) * 0.15915494309189535;  // of 2 pi
    float sine, cosine;
    sincospif(static_cast<float>(2 * (turns - rint(turns))), &sine, &cosine);
    angles[i] = {cosine, sine * direction};
  }
  __syncthreads();
  const int per_head = half / kPairs, per_row = rotated_heads * per_head;
  for (int i = threadIdx.x; i < kRows * per_row; i += kThreads) {
    const int row = i / per_row, head = i % per_row / per_head, channel = i % per_head * kPairs;
    if (first_row + row >= rows) return;
    bf16* const first = qkv + (first_row + row) * width + head * head_dim + channel;
    turn<kPairs>(first, first + half, angles + row * half + channel);
  }
}

}  // namespace

void rope(const RopeShape& s, bf16* qkv, int direction, cudaStream_t stream) {
  const int half = static_cast<int>(s.rotary_dim / 2);
  const index_t rows = s.batch * s.time, width = (s.heads + 2 * s.kv_heads) * s.head_dim;
  if (rows == 0 || half == 0) return;
  const bool wide = half % kPack == 0 && aligned_rows(s.head_dim, qkv);
  const auto kernel = wide ? rope_kernel<kPack> : rope_kernel<1>;
  kernel<<<static_cast<unsigned>(ceil_div(rows, kRows)), kThreads, kRows * half * sizeof(float2), stream>>>(
      rows, static_cast<int>(s.time), static_cast<int>(s.heads + s.kv_heads), static_cast<int>(s.head_dim), half, width,
      std::log2(s.theta), static_cast<float>(direction), qkv);
  check_launch("rope");
}

}  // namespace lmx::cuda
