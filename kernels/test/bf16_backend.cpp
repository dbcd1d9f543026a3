// The plain bf16 reference against the fp64 oracle, over the table of odd shapes: its errors are those of eight-bit mantissas - not zero
// where something is rounded, never above 2%, or the tolerances made from them would mean nothing.
#include "cpu/bf16_backend.h"

#include <algorithm>
#include <cstring>

#include "check.h"
#include "common/bf16.h"
#include "cpu/cpu_backend.h"
#include "operations.h"
#include "support/staged_backend.h"

using namespace lmx;
using namespace lmx::test;

namespace {

Run run_on(Backend& backend, const Operation& op, DType dtype) {
  Run run = prepare(op, dtype, 1);
  for (Buffers* list : {&run.inputs, &run.output_gradients}) {
    for (Buffer& b : *list) {
      for (index_t i = 0; i < b.tensor().count(); ++i) b.set(i, bf16_rounded(b.get(i)));
    }
  }
  execute(backend, op, run);
  return run;
}

double largest_error = 0;

void compare(const Operation& op, const Buffers& got, const Buffers& expected) {
  for (std::size_t i = 0; i < got.size(); ++i) {
    const std::string& name = got[i].tensor().name;
    if (name == "states") continue;  // at the reference's own chunk
    const double error = relative_error(got[i].values(), expected[i].values());
    largest_error = std::max(largest_error, error);
    CHECK(error <= 2e-2, "%s: %s: relative error %.3g", op.name.c_str(), name.c_str(), error);
  }
}

}  // namespace

int main() {
  const auto reference = make_bf16_backend();
  const auto oracle = make_cpu_backend(DType::f64, 1);
  StagedBackend staged(*reference);
  for (const Operation& op : odd_operations()) {
    const Run expected = run_on(*oracle, op, DType::f64), got = run_on(staged, op, DType::f32);
    compare(op, got.outputs, expected.outputs);
    compare(op, got.saved, expected.saved);
    if (op.backward) compare(op, got.input_gradients, expected.input_gradients);
  }
  for (const std::string& violation : staged.violations()) CHECK(false, "%s", violation.c_str());
  CHECK(largest_error > 1e-3, "nothing was rounded: largest error %.3g", largest_error);
  std::printf("largest relative error of plain bf16: %.3g\n", largest_error);
  return TEST_RESULT();
}
