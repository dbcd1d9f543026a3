// The backward of attention on Hopper (cuda/attention_wgmma.cuh) against our other kernels and, where that takes little time, fp64; repeated
// while another stream disturbs the order in which blocks run, to the same bits. Exits 77 (skipped) on other devices.
//   test_cuda_attention [few]    few: small shapes alone, two repeats, for tools under which kernels are slow
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "check.h"
#include "cuda/attention_mma.cuh"
#include "cuda/attention_wgmma.cuh"
#include "cuda/check.h"

using namespace lmx;
using namespace lmx::cuda;

namespace {

cudaStream_t stream, other;

__device__ std::uint32_t scramble(std::uint32_t x) {
  x = (x ^ (x >> 16)) * 0x7feb352du;
  x = (x ^ (x >> 15)) * 0x846ca68bu;
  return x ^ (x >> 16);
}

// Sums of four uniform numbers: near a normal distribution of variance scale².
__global__ void fill_kernel(std::size_t count, bf16* values, float scale, std::uint32_t seed) {
  for (std::size_t i = blockIdx.x * std::size_t{blockDim.x} + threadIdx.x; i < count; i += std::size_t{gridDim.x} * blockDim.x) {
    float sum = 0;
    for (std::uint32_t k = 0; k < 4; ++k) sum += static_cast<float>(scramble(static_cast<std::uint32_t>(i) * 4 + k + seed)) * 0x1p-31f - 1;
    values[i] = __float2bfloat16(sum * 0.866f * scale);
  }
}

// sums[part] += |a - b|², sums[3 + part] += |b|² where a part is q, k or v of packed rows.
__global__ void difference_kernel(index_t rows, index_t q_width, index_t kv_width, const bf16* a, const bf16* b, double* sums) {
  const index_t width = q_width + 2 * kv_width;
  double difference[3] = {}, norm[3] = {};
  for (index_t row = blockIdx.x; row < rows; row += gridDim.x) {
    for (index_t c = threadIdx.x; c < width; c += blockDim.x) {
      const int part = c < q_width ? 0 : c < q_width + kv_width ? 1 : 2;
      const double x = __bfloat162float(a[row * width + c]), y = __bfloat162float(b[row * width + c]);
      difference[part] += (x - y) * (x - y);
      norm[part] += y * y;
    }
  }
  for (int p = 0; p < 3; ++p) {
    atomicAdd(sums + p, difference[p]);
    atomicAdd(sums + 3 + p, norm[p]);
  }
}

__global__ void count_kernel(std::size_t words, const std::uint32_t* a, const std::uint32_t* b, unsigned long long* count) {
  unsigned long long different = 0;
  for (std::size_t i = blockIdx.x * std::size_t{blockDim.x} + threadIdx.x; i < words; i += std::size_t{gridDim.x} * blockDim.x) {
    different += a[i] != b[i];
  }
  if (different != 0) atomicAdd(count, different);
}

// Keeps some multiprocessors and the memory busy, blocks for different times.
__global__ void disturb_kernel(std::size_t words, std::uint32_t* memory, std::uint32_t seed) {
  extern __shared__ std::uint32_t unused[];
  const std::uint32_t rounds = 20 + scramble(blockIdx.x + seed) % 200;
  std::size_t at = scramble(blockIdx.x * blockDim.x + threadIdx.x + seed) % words;
  std::uint32_t sum = 0;
  for (std::uint32_t i = 0; i < rounds; ++i) {
    sum += memory[at];
    at = (at + scramble(sum + i)) % words;
  }
  memory[at] = sum;
}

template <class T>
struct Array {
  T* data = nullptr;
  std::size_t count;
  explicit Array(index_t n) : count(static_cast<std::size_t>(n)) { check(cudaMalloc(&data, bytes()), "cudaMalloc"); }
  ~Array() { cudaFree(data); }
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;
  std::size_t bytes() const { return count * sizeof(T); }
  operator T*() const { return data; }
  // NaN in bf16 and fp32, -1 in counters.
  void poison() const { check(cudaMemsetAsync(data, 0xff, bytes(), stream), "cudaMemsetAsync"); }
  std::vector<T> host() const {
    std::vector<T> copy(count);
    check(cudaMemcpyAsync(copy.data(), data, bytes(), cudaMemcpyDeviceToHost, stream), "cudaMemcpyAsync");
    check(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
    return copy;
  }
};

struct Random : Array<bf16> {
  Random(index_t n, float scale, std::uint32_t seed) : Array(n) { fill_kernel<<<1024, 256, 0, stream>>>(count, data, scale, seed); }
};

struct Errors {
  double q, k, v;
};

// |a - b| / |b| in the Frobenius norm.
Errors differences(const AttentionShape& s, const bf16* a, const bf16* b) {
  const Array<double> sums(6);
  check(cudaMemsetAsync(sums, 0, sums.bytes(), stream), "cudaMemsetAsync");
  difference_kernel<<<528, 256, 0, stream>>>(s.batch * s.time, s.query_width(), s.kv_heads * s.head_dim, a, b, sums);
  const auto h = sums.host();
  return {std::sqrt(h[0] / h[3]), std::sqrt(h[1] / h[4]), std::sqrt(h[2] / h[5])};
}

// The gradient in fp64, from the same bf16 inputs.
std::vector<double> reference(const AttentionShape& s, const std::vector<bf16>& qkv, const std::vector<bf16>& dout) {
  const index_t width = s.packed_width(), group = s.heads / s.kv_heads, d = s.head_dim;
  std::vector<double> gradient(qkv.size(), 0), in(qkv.size()), dy(dout.size()), p(s.time), out(d);
  for (std::size_t i = 0; i < in.size(); ++i) in[i] = __bfloat162float(qkv[i]);
  for (std::size_t i = 0; i < dy.size(); ++i) dy[i] = __bfloat162float(dout[i]);
  for (index_t b = 0; b < s.batch; ++b) {
    for (index_t h = 0; h < s.heads; ++h) {
      const index_t q0 = h * d, k0 = (s.heads + h / group) * d, v0 = k0 + s.kv_heads * d;
      for (index_t i = 0; i < s.time; ++i) {
        const double *q = &in[(b * s.time + i) * width + q0], *g = &dy[(b * s.time + i) * s.query_width() + h * d];
        double largest = -1e300, total = 0, delta = 0;
        for (index_t j = 0; j <= i; ++j) {
          const double* k = &in[(b * s.time + j) * width + k0];
          double dot = 0;
          for (index_t c = 0; c < d; ++c) dot += q[c] * k[c];
          p[j] = dot * s.scale;
          largest = std::max(largest, p[j]);
        }
        for (index_t j = 0; j <= i; ++j) total += p[j] = std::exp(p[j] - largest);
        std::fill(out.begin(), out.end(), 0.0);
        for (index_t j = 0; j <= i; ++j) {
          p[j] /= total;
          for (index_t c = 0; c < d; ++c) out[c] += p[j] * in[(b * s.time + j) * width + v0 + c];
        }
        for (index_t c = 0; c < d; ++c) delta += out[c] * g[c];
        double* dq = &gradient[(b * s.time + i) * width + q0];
        for (index_t j = 0; j <= i; ++j) {
          const index_t row = (b * s.time + j) * width;
          double dp = 0;
          for (index_t c = 0; c < d; ++c) dp += g[c] * in[row + v0 + c];
          const double ds = p[j] * (dp - delta) * s.scale;
          for (index_t c = 0; c < d; ++c) {
            gradient[row + v0 + c] += p[j] * g[c];
            gradient[row + k0 + c] += ds * q[c];
            dq[c] += ds * in[row + k0 + c];
          }
        }
      }
    }
  }
  return gradient;
}

Errors differences(const AttentionShape& s, const std::vector<bf16>& got, const std::vector<double>& want) {
  double difference[3] = {}, norm[3] = {};
  for (std::size_t i = 0; i < got.size(); ++i) {
    const index_t c = static_cast<index_t>(i) % s.packed_width();
    const int part = c < s.query_width() ? 0 : c < s.query_width() + s.kv_heads * s.head_dim ? 1 : 2;
    const double error = static_cast<double>(__bfloat162float(got[i])) - want[i];
    difference[part] += error * error;
    norm[part] += want[i] * want[i];
  }
  return {std::sqrt(difference[0] / norm[0]), std::sqrt(difference[1] / norm[1]), std::sqrt(difference[2] / norm[2])};
}

std::string name_of(const AttentionShape& s) {
  char text[64];
  std::snprintf(text, sizeof text, "%ldx%ld %ld/%ldx%ld", long(s.batch), long(s.time), long(s.heads), long(s.kv_heads), long(s.head_dim));
  return text;
}

struct Case {
  AttentionShape s;
  index_t rows;
  Random qkv, dout;
  Array<bf16> out, dqkv;
  Array<float> lse;
  Array<char> workspace;

  explicit Case(const AttentionShape& shape, float scale = 1)
      : s(shape),
        rows(s.batch * s.time),
        qkv(rows * s.packed_width(), scale, 17),
        dout(rows * s.query_width(), 1, 1000003),
        out(rows * s.query_width()),
        dqkv(rows * s.packed_width()),
        lse(rows * s.heads),
        workspace(static_cast<index_t>(std::max(attention_wgmma_workspace(s), attention_mma_workspace(s)))) {}
  void backward(bf16* into) const { attention_wgmma_backward(s, dout, qkv, out, lse, into, workspace, stream); }
};

void check_shape(const AttentionShape& s, int repeats, float scale = 1) {
  const Case c(s, scale);
  const Array<bf16> other_dqkv(c.rows * s.packed_width()), again(c.rows * s.packed_width());
  const Array<unsigned long long> count(1);
  static const Array<std::uint32_t> memory(64 << 20);
  attention_mma_forward(s, c.qkv, c.out, c.lse, stream);
  other_dqkv.poison();
  attention_mma_backward(s, c.dout, c.qkv, c.out, c.lse, other_dqkv, c.workspace, stream);
  c.dqkv.poison();
  c.workspace.poison();
  c.backward(c.dqkv);
  check(cudaStreamSynchronize(stream), name_of(s).c_str());
  const Errors own = differences(s, c.dqkv, other_dqkv);
  std::printf("%-22s against mma dq %.2g dk %.2g dv %.2g", name_of(s).c_str(), own.q, own.k, own.v);
  const bool small = s.batch * s.heads * s.time * s.time * s.head_dim < 200000000;
  const double limit = scale > 1 ? 3e-2 : 8e-3;
  bool right = own.q < limit && own.k < limit && own.v < limit;  // NaN: false
  if (small) {
    const auto want = reference(s, c.qkv.host(), c.dout.host());
    const Errors e = differences(s, c.dqkv.host(), want), m = differences(s, other_dqkv.host(), want);
    std::printf("; against fp64 %.2g %.2g %.2g (mma %.2g %.2g %.2g)", e.q, e.k, e.v, m.q, m.k, m.v);
    right = right && e.q < 1.3 * m.q + 1e-4 && e.k < 1.3 * m.k + 1e-4 && e.v < 1.3 * m.v + 1e-4;
  }
  int different = 0;
  for (int repeat = 0; repeat < repeats; ++repeat) {
    again.poison();
    if (repeat % 4 == 0) c.workspace.poison();
    check(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
    if (repeat % 2 == 1) {
      const unsigned blocks = 20 + 37 * repeat % 400;
      disturb_kernel<<<blocks, 256, repeat % 3 == 0 ? 100 * 1024 : 0, other>>>(memory.count, memory, 77 * repeat);
      check_launch("disturb");
    }
    c.backward(again);
    check(cudaMemsetAsync(count, 0, count.bytes(), stream), "cudaMemsetAsync");
    count_kernel<<<528, 256, 0, stream>>>(again.bytes() / 4, reinterpret_cast<std::uint32_t*>(again.data),
                                          reinterpret_cast<std::uint32_t*>(c.dqkv.data), count);
    different += count.host()[0] != 0;
    check(cudaStreamSynchronize(other), "disturb");
  }
  std::printf("; %d repeats: %d differ\n", repeats, different);
  std::fflush(stdout);
  CHECK(right, "%s: too far off", name_of(s).c_str());
  CHECK(different == 0, "%s: %d of %d repeats have other bits", name_of(s).c_str(), different, repeats);
}

constexpr double e = 0.125, w = 0.0884;
constexpr AttentionShape small_shapes[] = {{1, 128, 1, 1, 64, e},  {1, 256, 1, 1, 64, e},  {3, 384, 2, 2, 64, e},  {1, 128, 1, 1, 128, w},
                                           {1, 256, 1, 1, 128, w}, {3, 384, 2, 2, 128, w}, {2, 512, 4, 2, 64, e},  {1, 640, 6, 1, 64, 0.2},
                                           {1, 512, 6, 2, 128, 0.05}};
constexpr AttentionShape large_shapes[] = {{2, 1024, 3, 3, 64, e},   {2, 1024, 3, 3, 128, w},  {16, 256, 4, 4, 64, e},
                                           {32, 512, 4, 4, 64, e},   {1, 8192, 2, 2, 64, e},   {1, 8192, 2, 2, 128, w},
                                           {2, 4096, 16, 4, 128, w}, {4, 2048, 12, 12, 64, e}, {16, 4096, 12, 12, 64, e},
                                           {8, 4096, 16, 16, 128, w}};

void check_small(int repeats) {
  for (const AttentionShape& s : small_shapes) check_shape(s, repeats);
  for (const AttentionShape& s : {AttentionShape{1, 384, 2, 2, 64, e}, {1, 384, 2, 2, 128, w}}) check_shape(s, repeats, 4);  // sharp weights
}

}  // namespace

int main(int count, char** arguments) {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0 || !attention_wgmma_runs()) return 77;
  check(cudaStreamCreate(&stream), "cudaStreamCreate");
  check(cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking), "cudaStreamCreate");
  check(cudaFuncSetAttribute(disturb_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, 100 * 1024), "cudaFuncSetAttribute");
  const bool few = count > 1 && std::string(arguments[1]) == "few";
  check_small(few ? 2 : 20);
  if (!few) {
    for (const AttentionShape& s : large_shapes) check_shape(s, 20);
  }
  return TEST_RESULT();
}
