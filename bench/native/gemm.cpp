// The three products of a linear layer, ours against OpenBLAS (where CMake found it), interleaved in one run
// on the same threads. Usage: bench_gemm [threads] [seconds per shape]
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "common/philox.h"
#include "cpu/cpu_backend.h"
#include "timing.h"

#if defined(LMX_BENCH_OPENBLAS)
#include <cblas.h>
extern "C" void openblas_set_num_threads(int);
#endif

using namespace lmx;

static std::vector<float> random_floats(index_t count, int seed) {
  std::vector<float> values(count);
  for (index_t i = 0; i < count; ++i) values[i] = float(random_normal(seed, 0, i));
  return values;
}

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 2;
  const double budget = argc > 2 ? std::atof(argv[2]) : 0.5;
  const auto backend = make_cpu_backend(DType::f32, threads);
#if defined(LMX_BENCH_OPENBLAS)
  openblas_set_num_threads(threads);
#endif
  std::printf("%s, %d threads; GFLOP/s (fastest repeat)\n", cpu_build_info().c_str(), threads);
  std::printf("%6s %6s %6s  %-8s %8s %8s %6s\n", "rows", "in", "out", "product", "layermix", "openblas",
              "ratio");
  const LinearShape shapes[] = {{512, 512, 512},   {1024, 1024, 1024}, {1536, 1536, 1536}, {2048, 2048, 2048},
                                {2048, 64, 256},   {2048, 256, 64},    {4096, 128, 512},   {4096, 512, 128},
                                {4096, 256, 1160}, {4096, 512, 256},   {8192, 256, 1024},  {8192, 64, 64},
                                {8192, 128, 128},  {16384, 64, 256}};
  for (const LinearShape& s : shapes) {
    const int m = int(s.rows), k = int(s.in), n = int(s.out);
    const auto x = random_floats(s.rows * s.in, 1), w = random_floats(s.out * s.in, 2),
               dy = random_floats(s.rows * s.out, 3);
    std::vector<float> y(s.rows * s.out), dx(s.rows * s.in), dw(s.out * s.in);
    std::vector<std::function<void()>> works = {
        [&] { backend->linear_forward(s, x.data(), w.data(), nullptr, y.data()); },
        [&] { backend->linear_backward_input(s, dy.data(), w.data(), dx.data()); },
        [&] { backend->linear_backward_weight(s, x.data(), dy.data(), dw.data()); },
    };
#if defined(LMX_BENCH_OPENBLAS)
    works.push_back([&] {
      cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, m, n, k, 1, x.data(), k, w.data(), k, 0, y.data(),
                  n);
    });
    works.push_back([&] {
      cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, m, k, n, 1, dy.data(), n, w.data(), k, 0,
                  dx.data(), k);
    });
    works.push_back([&] {
      cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, n, k, m, 1, dy.data(), n, x.data(), k, 1,
                  dw.data(), k);
    });
#else
    (void)m, (void)n, (void)k;
#endif
    const std::vector<double> best = bench::fastest(works, budget, threads);
    const char* const products[] = {"x*w^T", "dy*w", "dy^T*x"};
    const double flops = 2.0 * double(s.rows) * double(s.in) * double(s.out);
    for (int p = 0; p < 3; ++p) {
      const double ours = flops / best[p] * 1e-9;
      const double theirs = best.size() > 3 ? flops / best[p + 3] * 1e-9 : 0;
      std::printf("%6d %6d %6d  %-8s %8.1f %8.1f %6.2f\n", m, k, n, products[p], ours, theirs,
                  theirs > 0 ? ours / theirs : 0);
    }
  }
  return 0;
}
