// Uploads through the ring arrive as they were when upload() returned, however far behind the device is: it is kept busy while hundreds
// of uploads, of sizes that leave the ring's end unused in ever other ways, are on their way. Exits 77 (skipped) without a device.
#include <chrono>
#include <thread>
#include <vector>

#include "check.h"
#include "common/philox.h"
#include "cuda/transfer.h"

using namespace lmx;

namespace {

void CUDART_CB hold_up(void*) { std::this_thread::sleep_for(std::chrono::milliseconds(20)); }

void arrives(std::uint64_t seed) {
  constexpr int kCount = 200;
  std::vector<std::size_t> sizes(kCount), offsets(kCount);
  std::size_t total = 0;
  for (int i = 0; i < kCount; ++i) {
    const double share = random_uniform(seed, 0, static_cast<std::uint64_t>(i));
    sizes[i] = 1 + static_cast<std::size_t>(share * share * (cuda::UploadRing::capacity / 2 - 1));
    offsets[i] = total;
    total += sizes[i];
  }
  cudaStream_t stream = nullptr;
  cuda::check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreate");
  unsigned char* device = nullptr;
  cuda::check(cudaMalloc(&device, total), "cudaMalloc");
  {
    cuda::UploadRing ring;
    std::vector<unsigned char> source;
    for (int i = 0; i < kCount; ++i) {
      if (i % 10 == 0) cuda::check(cudaLaunchHostFunc(stream, hold_up, nullptr), "cudaLaunchHostFunc");
      source.assign(sizes[i], static_cast<unsigned char>(i + 1));
      ring.upload(device + offsets[i], source.data(), sizes[i], stream);
    }
  }
  cuda::check(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
  std::vector<unsigned char> got(total);
  cuda::check(cudaMemcpy(got.data(), device, total, cudaMemcpyDeviceToHost), "cudaMemcpy");
  for (int i = 0; i < kCount; ++i) {
    std::size_t wrong = 0;
    for (std::size_t at = 0; at < sizes[i]; ++at) wrong += got[offsets[i] + at] != static_cast<unsigned char>(i + 1);
    CHECK(wrong == 0, "seed %d, upload %d: %zu of %zu bytes are another's", static_cast<int>(seed), i, wrong, sizes[i]);
  }
  cudaFree(device);
  cudaStreamDestroy(stream);
}

}  // namespace

int main() {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) return 77;
  for (std::uint64_t seed = 0; seed < 5; ++seed) arrives(seed);
  return TEST_RESULT();
}
