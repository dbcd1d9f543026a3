#include "tuning.h"

#include <algorithm>
#include <cstdlib>

#include "check.h"
#include "recording.h"
#include "stream_timer.h"

namespace lmx::cuda {
namespace {

constexpr double kTimedSeconds = 2e-4;  // about as long does a recording of a candidate's runs take
constexpr int kMostRuns = 24;
constexpr int kTimedReplays = 4;

__global__ void cancelling_kernel(CancellingOperand o, bf16* values) {
  const index_t half = o.sum_length / 2;
  for (index_t i = blockIdx.x * index_t{blockDim.x} + threadIdx.x; i < o.count; i += index_t{gridDim.x} * blockDim.x) {
    const index_t k = (o.k_first ? i % o.stride : i / o.stride) % o.sum_length, other = o.k_first ? i / o.stride : i % o.stride;
    std::uint32_t bits = static_cast<std::uint32_t>(k % (half + (half == 0))) * 0x9e3779b1u + o.seed;
    bits = (bits ^ static_cast<std::uint32_t>(other)) * 0x85ebca6bu;
    bits = (bits ^ (bits >> 13)) * 0xc2b2ae35u;
    bits ^= bits >> 16;
    const float value = static_cast<float>(bits) * 0x1p-31f - 1;
    values[i] = __float2bfloat16(k >= 2 * half ? 0.f : k >= half ? value * o.sign : value);
  }
}

__global__ void differ_kernel(std::size_t words, const std::uint32_t* a, const std::uint32_t* b, int* flag) {
  for (std::size_t i = blockIdx.x * std::size_t{blockDim.x} + threadIdx.x; i < words; i += gridDim.x * blockDim.x) {
    if (a[i] != b[i]) *flag = 1;
  }
}

}  // namespace

bool is_capturing(cudaStream_t stream) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  check(cudaStreamIsCapturing(stream, &status), "cudaStreamIsCapturing");
  return status != cudaStreamCaptureStatusNone;
}

bool logs_candidates() { return std::getenv("LAYERMIX_GEMM_LOG") != nullptr; }

Scratch::Scratch(std::size_t bytes) {
  if (cudaMalloc(&pointer_, bytes) == cudaSuccess) return;
  pointer_ = nullptr;
  cudaGetLastError();
}

void fill_cancelling(const CancellingOperand& operand, bf16* values, cudaStream_t stream) {
  cancelling_kernel<<<1024, 256, 0, stream>>>(operand, values);
  check_launch("fill_cancelling");
}

bool differ(std::size_t bytes, const void* a, const void* b, void* flag, cudaStream_t stream) {
  int differs = 0;
  check(cudaMemsetAsync(flag, 0, sizeof differs, stream), "cudaMemsetAsync");
  differ_kernel<<<1024, 256, 0, stream>>>(bytes / 4, static_cast<const std::uint32_t*>(a), static_cast<const std::uint32_t*>(b),
                                          static_cast<int*>(flag));
  check_launch("differ");
  check(cudaMemcpyAsync(&differs, flag, sizeof differs, cudaMemcpyDeviceToHost, stream), "cudaMemcpyAsync");
  check(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
  return differs != 0;
}

double seconds_of(const std::function<void()>& launch, cudaStream_t stream) {
  StreamTimer timer;
  timer.begin(stream);
  launch();
  timer.end(stream);
  // Products of a small model take less than their launch, so timing launches would compare the host with itself.
  const int runs = std::clamp(static_cast<int>(kTimedSeconds / timer.seconds()), 2, kMostRuns);
  const Recording recording(stream, [&] {
    for (int run = 0; run < runs; ++run) launch();
  });
  double best = 0;
  for (int replay = 0; replay <= kTimedReplays; ++replay) {  // the first one warms up
    timer.begin(stream);
    recording.launch(stream);
    timer.end(stream);
    const double once = timer.seconds() / runs;
    if (replay == 1 || (replay > 1 && once < best)) best = once;
  }
  return best;
}

}  // namespace lmx::cuda
