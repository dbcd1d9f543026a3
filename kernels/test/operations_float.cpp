// The float path of every operation against the fp64 oracle at odd shapes: every output and gradient within a
// relative Frobenius error, every overwritten element really written (NaN before), nothing written outside
// the buffers, and the same bits on 1, 2, 3 and 4 threads.
#include "check.h"
#include "cpu/cpu_backend.h"
#include "operations.h"

using namespace lmx;
using namespace lmx::test;

static void compare(const Operation& op, const Buffers& got, const Buffers& expected, const char* what) {
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double error = relative_error(got[i].values(), expected[i].values());
    CHECK(error <= op.tolerance, "%s: %s %s: relative error %g", op.name.c_str(), what,
          got[i].tensor().name.c_str(), error);
  }
}

static void for_all_buffers(const Run& run, const std::function<void(const Buffer&)>& visit) {
  for (const Buffers* list :
       {&run.inputs, &run.outputs, &run.saved, &run.output_gradients, &run.input_gradients}) {
    for (const Buffer& buffer : *list) visit(buffer);
  }
}

int main() {
  const auto oracle = make_cpu_backend(DType::f64, 1);
  std::vector<std::unique_ptr<Backend>> backends;
  for (int threads = 1; threads <= 4; ++threads) backends.push_back(make_cpu_backend(DType::f32, threads));

  for (const Operation& op : odd_operations()) {
    Run expected = prepare(op, DType::f64, 1);
    execute(*oracle, op, expected);
    std::vector<Run> runs;
    for (const auto& backend : backends) {
      Run& run = runs.emplace_back(prepare(op, DType::f32, 1));
      execute(*backend, op, run);
      for_all_buffers(run, [&](const Buffer& buffer) {
        CHECK(buffer.intact(), "%s: wrote outside %s", op.name.c_str(), buffer.tensor().name.c_str());
      });
    }
    compare(op, runs[0].outputs, expected.outputs, "output");
    compare(op, runs[0].saved, expected.saved, "saved");
    if (op.backward) compare(op, runs[0].input_gradients, expected.input_gradients, "gradient");

    for (std::size_t other = 1; other < runs.size(); ++other) {
      std::vector<const Buffer*> a, b;
      for_all_buffers(runs[0], [&](const Buffer& buffer) { a.push_back(&buffer); });
      for_all_buffers(runs[other], [&](const Buffer& buffer) { b.push_back(&buffer); });
      for (std::size_t i = 0; i < a.size(); ++i) {
        CHECK(a[i]->same_bits(*b[i]), "%s: %s differs between 1 and %zu threads", op.name.c_str(),
              a[i]->tensor().name.c_str(), other + 1);
      }
    }
  }
  return TEST_RESULT();
}
