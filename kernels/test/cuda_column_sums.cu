// Sums over rows that wait for one another: any number of them, more than fit a launch or the workspace, two into the same place, and
// what an operation writes at the workspace's start; against sums in fp64, the same bits however many wait. Exits 77 without a GPU.
#include <cmath>
#include <vector>

#include "check.h"
#include "common/error.h"
#include "common/philox.h"
#include "cuda/check.h"
#include "cuda/column_sums.cuh"
#include "needs_device.h"

using namespace lmx;

namespace {

class Memory {
 public:
  explicit Memory(std::size_t bytes) { cuda::check(cudaMalloc(&pointer_, bytes), "cudaMalloc"); }
  ~Memory() { cudaFree(pointer_); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  std::byte* get() const { return static_cast<std::byte*>(pointer_); }

 private:
  void* pointer_ = nullptr;
};

struct Shape {
  index_t rows, cols;
  std::size_t out;  // first float of the result
};

float value(std::size_t sum, std::size_t element) {
  return static_cast<float>(random_block(sum, 3, element)[0]) * 0x1p-31f - 1;
}

// Adds all sums of `shapes` into zeros, and returns what is there. flush_every: 1 for each sum alone.
std::vector<float> run(const std::vector<Shape>& shapes, std::size_t floats, std::size_t workspace_bytes, std::size_t flush_every) {
  const Memory out(floats * sizeof(float)), workspace(workspace_bytes);
  cuda::check(cudaMemset(out.get(), 0, floats * sizeof(float)), "cudaMemset");
  cuda::ColumnSums sums;
  sums.bind(workspace.get(), workspace_bytes);
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    const auto& [rows, cols, first] = shapes[i];
    std::vector<float> partial(static_cast<std::size_t>(rows * cols));
    for (std::size_t e = 0; e < partial.size(); ++e) partial[e] = value(i, e);
    float* const room = sums.room(rows * cols, nullptr);
    CHECK(reinterpret_cast<std::uintptr_t>(room) % 16 == 0, "sum %zu: a place that is not aligned", i);
    cuda::check(cudaMemcpy(room, partial.data(), partial.size() * sizeof(float), cudaMemcpyHostToDevice), "cudaMemcpy");
    sums.add(rows, cols, room, reinterpret_cast<float*>(out.get()) + first, nullptr);
    if (i % 7 == 3) {  // another operation takes the workspace's first half
      sums.keep_below(workspace_bytes / 2, nullptr);
      cuda::check(cudaMemset(workspace.get(), 0xff, workspace_bytes / 2), "cudaMemset");
    }
    if ((i + 1) % flush_every == 0) sums.flush(nullptr);
  }
  sums.flush(nullptr);
  std::vector<float> host(floats);
  cuda::check(cudaMemcpy(host.data(), out.get(), floats * sizeof(float), cudaMemcpyDeviceToHost), "cudaMemcpy");
  return host;
}

}  // namespace

int main() {
  if (lmx::test::lacks_device()) return lmx::test::skipped;
  std::vector<Shape> shapes;
  std::size_t floats = 0;
  for (std::size_t i = 0; i < 200; ++i) {
    const auto random = random_block(1, 4, i);
    const index_t rows = 1 + random[0] % (i % 10 == 0 ? 400 : 70), cols = 1 + random[1] % 900;
    const bool again = i % 11 == 5;  // into the place of the sum before
    shapes.push_back({rows, again ? shapes.back().cols : cols, again ? shapes.back().out : floats});
    if (!again) floats += static_cast<std::size_t>(cols);
  }
  std::vector<double> expected(floats);
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    for (index_t r = 0; r < shapes[i].rows; ++r) {
      for (index_t c = 0; c < shapes[i].cols; ++c) {
        expected[shapes[i].out + static_cast<std::size_t>(c)] += value(i, static_cast<std::size_t>(r * shapes[i].cols + c));
      }
    }
  }
  const std::vector<float> alone = run(shapes, floats, std::size_t{4} << 20, 1);
  for (std::size_t i = 0; i < floats; ++i) CHECK(std::abs(alone[i] - expected[i]) < 1e-3, "%zu: %g, not %g", i, alone[i], expected[i]);
  for (const std::size_t workspace : {std::size_t{2} << 20, std::size_t{4} << 20, std::size_t{64} << 20}) {
    CHECK(run(shapes, floats, workspace, shapes.size()) == alone, "other bits with %zu bytes of workspace", workspace);
  }
  const Memory small(1024);
  cuda::ColumnSums sums;
  sums.bind(small.get(), 1024);
  CHECK_THROWS(sums.room(257, nullptr), InvalidArgument);
  return TEST_RESULT();
}
