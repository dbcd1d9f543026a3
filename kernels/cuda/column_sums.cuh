// out[c] += Σ_r partial[r][c]: the second stage of every sum over rows, of many operations in one launch. A backward pass of a small
// model has dozens of them, each of a few microseconds that are all latency; their results are wanted by nobody before the
// gradient norm. So an operation leaves its partial sums at the end of the workspace and says where they belong, and the backend adds all of
// them before anything that could read a result. What other operations put at the workspace's start must not reach them: see keep_below.
//
// Each column is added in a fixed order, whatever else is in the launch.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>

#include "../backend.h"

namespace lmx::cuda {

class ColumnSums {
 public:
  static constexpr int most = 80;                                   // sums of one launch, whose parameters take at most 4 KiB
  static constexpr std::size_t planned_bytes = std::size_t{16} << 20;  // beside what products need of the workspace

  struct Sum {
    const float* partial;  // (rows, cols) dense
    float* out;            // (cols)
    unsigned rows, cols;
    unsigned first_block;  // of the launch; the blocks before are those of earlier sums
  };
  struct Launch {
    Sum sums[most];
    int count;
  };

  // Device memory, 16-byte aligned; nothing may be waiting.
  void bind(void* workspace, std::size_t bytes);

  // A place for the partial sums of one operation, `count` floats, 16-byte aligned, and not before `beyond`, where the workspace's part ends that
  // the operation itself uses. What is waiting is added first where it is in the way. Once `add` has been told of the sums they are
  // safe. InvalidArgument where the workspace is too small.
  float* room(index_t count, cudaStream_t, const void* beyond = nullptr);

  // partial lies in the last room, and what writes it has been launched.
  void add(index_t rows, index_t cols, const float* partial, float* out, cudaStream_t);

  // Before something else writes the first `bytes` of the workspace.
  void keep_below(std::size_t bytes, cudaStream_t stream) {
    if (bytes > begin_) flush(stream);
  }

  void flush(cudaStream_t);

 private:
  std::byte* workspace_ = nullptr;
  std::size_t size_ = 0, begin_ = 0;  // what waits lies in [begin_, size_)
  Launch waiting_ = {};
  unsigned blocks_ = 0;
};

}  // namespace lmx::cuda
