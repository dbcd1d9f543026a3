// The workspace rule written in kernels/cpu/WORKSPACE.md, evaluated by hand, against what the backend asks
// for; and that asking for less than planned is an error, not a crash.
#include <cstdint>

#include "check.h"
#include "common/error.h"
#include "cpu/cpu_backend.h"

using namespace lmx;

int main() {
  const auto one = make_cpu_backend(DType::f32, 1), four = make_cpu_backend(DType::f32, 4);
  const auto expect = [&](const auto& shape, std::size_t bytes, const char* what) {
    CHECK(one->workspace_bytes(shape) == bytes, "%s: got %zu, expected %zu", what,
          one->workspace_bytes(shape), bytes);
    CHECK(four->workspace_bytes(shape) == bytes, "%s depends on the number of threads", what);
  };
  expect(LinearShape{4096, 256, 1024}, 0, "linear");
  expect(AttentionShape{8, 512, 8, 2, 32, 1}, 0, "attention");
  expect(CrossEntropyShape{4096, 256}, 0, "cross-entropy");
  expect(NormShape{4096, 256, 1e-5}, 4 * 64 * 256, "norm, many rows");
  expect(NormShape{33, 100, 1e-5}, 4 * 3 * 100, "norm, few rows");
  expect(GatedNormShape{17, 96, 2, 1e-5}, 4 * 2 * 96, "gated norm");
  expect(ConvShape{8, 512, 640, 4}, 4 * 8 * 8 * 5 * 640, "convolution");
  expect(ConvShape{100, 512, 640, 4}, 4 * 100 * 1 * 5 * 640, "convolution, many sequences");
  expect(ConvShape{1, 63, 16, 4}, 4 * 1 * 1 * 5 * 16, "convolution, short");
  expect(SsdShape{2, 100, 4, 32, 2, 16, 32, 0}, 4 * 2 * 4 * 4 * (32 * 16 + 3), "SSD scan");

  // The oracle keeps its scratch to itself.
  CHECK(make_cpu_backend(DType::f64, 1)->workspace_bytes(NormShape{4096, 256, 1e-5}) == 0,
        "fp64 asks for workspace");

  float x[16] = {1}, weight[16] = {}, rstd[1] = {1}, dx[16], dweight[16] = {};
  CHECK_THROWS(one->rms_norm_backward({1, 16, 1e-5}, x, x, weight, rstd, nullptr, dx, dweight),
               InvalidArgument);
  CHECK_THROWS(one->allocate(SIZE_MAX - 10), OutOfMemory);
  CHECK_THROWS(make_cpu_backend(DType::bf16, 1), InvalidArgument);
  CHECK_THROWS(make_cpu_backend(DType::f32, 0), InvalidArgument);
  return TEST_RESULT();
}
