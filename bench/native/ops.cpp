// Every operation at the shapes of a small hybrid's training step (the table of kernels/test/operations.h),
// forward and backward: microseconds, GFLOP/s or GB/s of the memory that must move. Usage: bench_ops
// [threads] [seconds per operation] [name filter]
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "cpu/cpu_backend.h"
#include "operations.h"
#include "timing.h"

using namespace lmx;
using namespace lmx::test;

static void report(const char* direction, double seconds, double flops, double bytes) {
  std::printf("  %-8s %9.0f us", direction, seconds * 1e6);
  if (flops > 0) std::printf(" %8.1f GFLOP/s", flops / seconds * 1e-9);
  if (bytes > 0) std::printf(" %8.1f GB/s", bytes / seconds * 1e-9);
  std::printf("\n");
}

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 2;
  const double budget = argc > 2 ? std::atof(argv[2]) : 0.3;
  const char* const filter = argc > 3 ? argv[3] : "";
  const auto backend = make_cpu_backend(DType::f32, threads);
  std::printf("%s, %d threads (fastest repeat)\n", cpu_build_info().c_str(), threads);
  for (const Operation& op : typical_operations()) {
    if (!std::strstr(op.name.c_str(), filter)) continue;
    Run run = prepare(op, DType::f32, 1);
    for (Buffer& gradient : run.input_gradients) gradient.fill(0);
    const BoundWorkspace workspace(*backend, op);
    std::printf("%s\n", op.name.c_str());
    // What an operation in place overwrites is restored once, not between repeats: the values drift, the work
    // does not.
    if (op.restore) op.restore(run);
    report("forward", bench::fastest({[&] { op.forward(*backend, run); }}, budget, threads)[0],
           op.forward_flops, op.forward_bytes);
    if (op.backward) {
      report("backward", bench::fastest({[&] { op.backward(*backend, run); }}, budget, threads)[0],
             op.backward_flops, op.backward_bytes);
    }
  }
  return 0;
}
