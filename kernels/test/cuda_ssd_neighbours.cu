// The two operations around the SSD scan, causal conv1d and gated RMSNorm, against the fp64 oracle: rows that
// are aligned and rows that are not, every width of the convolution, sequences shorter than its window,
// groups from one to many, rows of a warp and of a block. Exits 77 (skipped) where there is no device.
#include "check.h"
#include "cpu/causal_conv1d.h"
#include "cpu/gated_rms_norm.h"
#include "cuda/causal_conv1d.cuh"
#include "cuda/gated_rms_norm.cuh"
#include "cuda_arrays.h"
#include "operation.h"

using namespace lmx;
using namespace lmx::test;
using cuda::bf16;

namespace {

template <class T>
void compare(const std::string& name, const char* what, DeviceArray<T>& array, double limit) {
  std::vector<double> got;
  const bool intact = array.fetch(got);
  const double error = relative_error(got, array.values());
  std::printf(" %s %.1e", what, error);
  CHECK(intact, "%s: wrote outside %s", name.c_str(), what);
  CHECK(error <= limit, "%s: %s has relative error %.3g, limit %.3g", name.c_str(), what, error, limit);
}

void check_convolution(const ConvShape& s, index_t gap) {
  const std::string name = "conv " + std::to_string(s.batch) + "x" + std::to_string(s.time) + " channels " +
                           std::to_string(s.channels) + " width " + std::to_string(s.width) + " gap " +
                           std::to_string(gap);
  const index_t rows = s.batch * s.time;
  DeviceArray<bf16> x(rows, s.channels, gap), y(rows, s.channels), dy(rows, s.channels),
      dx(rows, s.channels, gap);
  DeviceArray<float> w(s.channels, s.width), bias(1, s.channels), dw(s.channels, s.width),
      dbias(1, s.channels);
  DeviceArray<unsigned char> workspace(1, static_cast<index_t>(cuda::causal_conv1d_workspace(s)));
  cuda::ColumnSums sums;
  sums.bind(workspace.data(), cuda::causal_conv1d_workspace(s));
  x.normal(1);
  w.normal(2, 0.5);
  bias.normal(3, 0.5);
  dy.normal(4);
  dw.normal(5);
  dbias.normal(6);
  cpu::causal_conv1d_forward<double>({}, s, x.oracle_view(), w.oracle(), bias.oracle(), y.oracle());
  cpu::causal_conv1d_backward<double>({}, s, dy.oracle(), x.oracle_view(), w.oracle(), bias.oracle(),
                                      dx.oracle_strided(), dw.oracle(), dbias.oracle());
  cuda::causal_conv1d_forward(s, x.view(), w, bias, y, nullptr);
  cuda::causal_conv1d_backward(s, dy, x.view(), w, bias, dx.strided(), dw, dbias, sums, nullptr);
  sums.flush(nullptr);
  cuda::check(cudaDeviceSynchronize(), name.c_str());
  std::printf("%-44s", name.c_str());
  compare(name, "y", y, 2.5e-3);
  compare(name, "dx", dx, 2.5e-3);
  compare(name, "dw", dw, 1e-4);
  compare(name, "dbias", dbias, 1e-4);
  std::printf("\n");
}

void check_norm(const GatedNormShape& s, index_t gap) {
  const std::string name = "gated norm " + std::to_string(s.rows) + "x" + std::to_string(s.cols) +
                           " groups " + std::to_string(s.groups) + " gap " + std::to_string(gap);
  DeviceArray<bf16> y(s.rows, s.cols), z(s.rows, s.cols, gap), out(s.rows, s.cols), dout(s.rows, s.cols),
      dy(s.rows, s.cols), dz(s.rows, s.cols, gap);
  DeviceArray<float> weight(1, s.cols), rstd(s.rows, s.groups), dweight(1, s.cols);
  DeviceArray<unsigned char> workspace(1, static_cast<index_t>(cuda::gated_rms_norm_workspace(s)));
  y.normal(1);
  z.normal(2, 2);
  weight.normal(3, 0.3, 1);
  dout.normal(4);
  dweight.normal(5);
  cpu::gated_rms_norm_forward<double>({}, s, y.oracle(), z.oracle_view(), weight.oracle(), out.oracle(),
                                      rstd.oracle());
  cpu::gated_rms_norm_backward<double>({}, s, dout.oracle(), y.oracle(), z.oracle_view(), weight.oracle(),
                                       rstd.oracle(), dy.oracle(), dz.oracle_strided(), dweight.oracle());
  cuda::gated_rms_norm_forward(s, y, z.view(), weight, out, rstd, nullptr);
  cuda::ColumnSums sums;
  sums.bind(workspace.data(), cuda::gated_rms_norm_workspace(s));
  cuda::gated_rms_norm_backward(s, dout, y, z.view(), weight, rstd, dy, dz.strided(), dweight, sums, nullptr);
  sums.flush(nullptr);
  cuda::check(cudaDeviceSynchronize(), name.c_str());
  std::printf("%-44s", name.c_str());
  compare(name, "out", out, 2.5e-3);
  compare(name, "rstd", rstd, 1e-5);
  compare(name, "dy", dy, 2.5e-3);
  compare(name, "dz", dz, 2.5e-3);
  compare(name, "dweight", dweight, 1e-4);
  std::printf("\n");
}

}  // namespace

int main() {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) return 77;
  check_convolution({2, 100, 256, 4}, 24);
  check_convolution({3, 1, 40, 4}, 0);
  check_convolution({2, 33, 64, 3}, 0);
  check_convolution({1, 257, 136, 2}, 8);
  check_convolution({2, 65, 24, 1}, 0);
  check_convolution({2, 130, 68, 4}, 4);  // rows of 8-byte units
  check_convolution({2, 70, 37, 4}, 3);   // no alignment at all
  check_convolution({4, 300, 1792, 4}, 24);
  check_norm({100, 1536, 1, 1e-5}, 24);
  check_norm({63, 256, 4, 1e-5}, 0);
  check_norm({7, 512, 8, 1e-5}, 8);
  check_norm({33, 1024, 1, 1e-5}, 0);
  check_norm({130, 2048, 1, 1e-5}, 0);
  check_norm({65, 4096, 1, 1e-5}, 8);
  check_norm({9, 12288, 1, 1e-5}, 0);
  check_norm({40, 132, 3, 1e-5}, 7);  // no alignment at all
  check_norm({2000, 384, 2, 1e-5}, 4);
  return TEST_RESULT();
}
