// Changing the inputs at time t must leave every output before t bit-equal, and change something from t on:
// convolution, SSD scan and attention, double and float, around the edges of chunks and blocks.
#include "check.h"
#include "cpu/cpu_backend.h"
#include "operations.h"

using namespace lmx;
using namespace lmx::test;

static void check_causal(const Operation& op, index_t batch, index_t time,
                         std::initializer_list<int> timed_inputs) {
  for (const DType dtype : {DType::f64, DType::f32}) {
    const auto backend = make_cpu_backend(dtype, 2);
    const BoundWorkspace workspace(*backend, op);
    Run base = prepare(op, dtype, 21);
    op.forward(*backend, base);
    const index_t cols = op.outputs[0].cols;
    for (const index_t t : {index_t(0), index_t(1), index_t(15), index_t(16), index_t(63), index_t(64),
                            index_t(65), time / 2, time - 1}) {
      if (t >= time) continue;
      Run changed = prepare(op, dtype, 21);
      for (const int input : timed_inputs) {
        Buffer& buffer = changed.inputs[input];
        for (index_t b = 0; b < batch; ++b) {
          for (index_t c = 0; c < buffer.tensor().cols; ++c) {
            const index_t i = (b * time + t) * buffer.tensor().cols + c;
            buffer.set(i, buffer.get(i) + 1);
          }
        }
      }
      op.forward(*backend, changed);
      bool later_changed = false;
      for (index_t b = 0; b < batch; ++b) {
        for (index_t row = 0; row < time; ++row) {
          for (index_t c = 0; c < cols; ++c) {
            const index_t i = (b * time + row) * cols + c;
            const bool same = changed.outputs[0].get(i) == base.outputs[0].get(i);
            if (row >= t) {
              later_changed |= !same;
            } else {
              CHECK(same, "%s: time %d sees time %d", op.name.c_str(), int(row), int(t));
            }
          }
        }
      }
      CHECK(later_changed, "%s: time %d changes nothing", op.name.c_str(), int(t));
    }
  }
}

int main() {
  check_causal(causal_conv1d_operation(2, 130, 24, 4), 2, 130, {0});
  check_causal(ssd_scan_operation({2, 130, 2, 16, 1, 16, 32, 0}, false), 2, 130, {0, 1});
  check_causal(ssd_scan_operation({1, 100, 3, 5, 1, 7, 64, 0}, false), 1, 100, {0, 1});
  check_causal(attention_operation({2, 130, 4, 2, 16, 0.25}), 2, 130, {0});
  check_causal(attention_operation({1, 200, 2, 1, 33, 0.2}), 1, 200, {0});
  return TEST_RESULT();
}
