// Properties of the SSD scan beyond the table of operations: it is the recurrence it claims to be, the chunk
// length is only a matter of speed, a sequence may be cut and its state passed on, and decays so strong that
// they underflow harm nothing.
#include <algorithm>
#include <string>

#include "check.h"
#include "cpu/cpu_backend.h"
#include "operations.h"

using namespace lmx;
using namespace lmx::test;

static std::string label(const char* what, DType dtype, index_t chunk) {
  return std::string(what) + (dtype == DType::f64 ? ", fp64" : ", fp32") + ", chunk " + std::to_string(chunk);
}

// The recurrence itself, step by step: h_t = e^{A Δ_t} h_{t-1} + Δ_t x_t ⊗ B_t,  y_t = h_t C_t + D x_t.
static void recurrence(const SsdShape& s, const Run& run, std::vector<double>& y, std::vector<double>& last) {
  y.assign(s.batch * s.time * s.inner(), 0);
  last.assign(s.batch * s.heads * s.head_dim * s.state, 0);
  for (index_t b = 0; b < s.batch; ++b) {
    for (index_t h = 0; h < s.heads; ++h) {
      const index_t group = h / (s.heads / s.groups);
      const double a = -std::exp(run.inputs[2].get(h));
      double* const state = &last[(b * s.heads + h) * s.head_dim * s.state];
      for (index_t i = 0; i < s.head_dim * s.state; ++i) {
        state[i] = run.inputs[5].get((b * s.heads + h) * s.head_dim * s.state + i);
      }
      for (index_t t = 0; t < s.time; ++t) {
        const index_t row = b * s.time + t;
        const double step = std::max(
            s.dt_min, std::log1p(std::exp(run.inputs[1].get(row * s.heads + h) + run.inputs[4].get(h))));
        for (index_t p = 0; p < s.head_dim; ++p) {
          const double x = run.inputs[0].get(row * s.channels() + h * s.head_dim + p);
          double sum = run.inputs[3].get(h) * x;
          for (index_t n = 0; n < s.state; ++n) {
            const index_t bc = row * s.channels() + s.inner() + group * s.state + n;
            double& cell = state[p * s.state + n];
            cell = std::exp(a * step) * cell + step * x * run.inputs[0].get(bc);
            sum += cell * run.inputs[0].get(bc + s.groups * s.state);
          }
          y[row * s.inner() + h * s.head_dim + p] = sum;
        }
      }
    }
  }
}

static void is_the_recurrence() {
  for (const DType dtype : {DType::f64, DType::f32}) {
    const auto backend = make_cpu_backend(dtype, 2);
    for (const index_t chunk : {1, 5, 16, 64, 200}) {
      const SsdShape s{2, 77, 4, 16, 2, 8, chunk, 0.05};
      const Operation op = ssd_scan_operation(s, true);
      Run run = prepare(op, dtype, 7);
      execute(*backend, op, run);
      std::vector<double> y, last;
      recurrence(s, run, y, last);
      const double tolerance = dtype == DType::f64 ? 1e-13 : 2e-6;
      const double y_error = relative_error(run.outputs[0].values(), y);
      const double last_error = relative_error(run.outputs[1].values(), last);
      CHECK(y_error < tolerance, "%s: y is off by %g", label("recurrence", dtype, chunk).c_str(), y_error);
      CHECK(last_error < tolerance, "%s: state is off by %g", label("recurrence", dtype, chunk).c_str(),
            last_error);
    }
  }
}

static void chunk_does_not_matter() {
  for (const DType dtype : {DType::f64, DType::f32}) {
    const auto backend = make_cpu_backend(dtype, 2);
    std::vector<Run> runs;
    const index_t chunks[] = {32, 8, 64, 128, 256};
    for (const index_t chunk : chunks) {
      const Operation op = ssd_scan_operation({1, 200, 4, 32, 1, 16, chunk, 0}, true);
      execute(*backend, op, runs.emplace_back(prepare(op, dtype, 3)));
      for (const auto list : {&Run::outputs, &Run::input_gradients}) {
        for (std::size_t i = 0; i < (runs.back().*list).size(); ++i) {
          const double error = relative_error((runs.back().*list)[i].values(), (runs[0].*list)[i].values());
          CHECK(error < (dtype == DType::f64 ? 1e-11 : 3e-5), "%s: %s differs by %g",
                label("chunks", dtype, chunk).c_str(), (runs.back().*list)[i].tensor().name.c_str(), error);
        }
      }
    }
  }
}

// Two halves, the state handed over (and its gradient handed back), equal the whole.
static void sequence_can_be_cut() {
  const index_t time = 90, cut = 41;
  for (const DType dtype : {DType::f64, DType::f32}) {
    const auto backend = make_cpu_backend(dtype, 2);
    const auto shape = [](index_t steps) { return SsdShape{1, steps, 2, 8, 1, 16, 32, 0}; };
    const Operation whole = ssd_scan_operation(shape(time), true),
                    front = ssd_scan_operation(shape(cut), true),
                    back = ssd_scan_operation(shape(time - cut), true);
    Run all = prepare(whole, dtype, 5), first = prepare(front, dtype, 5), second = prepare(back, dtype, 5);
    const auto rows = [](Buffer& to, const Buffer& from, index_t from_row) {
      for (index_t i = 0; i < to.tensor().count(); ++i) to.set(i, from.get(from_row * to.tensor().cols + i));
    };
    const auto everything = [&](Buffer& to, const Buffer& from) { rows(to, from, 0); };
    for (const int input : {0, 1}) {
      rows(first.inputs[input], all.inputs[input], 0);
      rows(second.inputs[input], all.inputs[input], cut);
    }
    rows(first.output_gradients[0], all.output_gradients[0], 0);
    rows(second.output_gradients[0], all.output_gradients[0], cut);
    for (const int input : {2, 3, 4}) {
      everything(first.inputs[input], all.inputs[input]);
      everything(second.inputs[input], all.inputs[input]);
    }
    everything(first.inputs[5], all.inputs[5]);
    everything(second.output_gradients[1], all.output_gradients[1]);
    for (Run* run : {&all, &first, &second}) {
      for (const int parameter : {2, 3, 4}) run->input_gradients[parameter].fill(0);
    }

    execute(*backend, whole, all);
    const BoundWorkspace workspace(*backend, whole);
    front.forward(*backend, first);
    everything(second.inputs[5], first.outputs[1]);
    back.forward(*backend, second);
    back.backward(*backend, second);
    everything(first.output_gradients[1], second.input_gradients[5]);
    front.backward(*backend, first);

    const auto joined = [](const Buffer& a, const Buffer& b) {
      std::vector<double> values = a.values();
      const std::vector<double> rest = b.values();
      values.insert(values.end(), rest.begin(), rest.end());
      return values;
    };
    const auto added = [](const Buffer& a, const Buffer& b) {
      std::vector<double> values = a.values();
      for (std::size_t i = 0; i < values.size(); ++i) values[i] += b.get(index_t(i));
      return values;
    };
    const auto expect = [&](const char* what, const std::vector<double>& got, const Buffer& expected) {
      const double error = relative_error(got, expected.values());
      CHECK(error < (dtype == DType::f64 ? 1e-12 : 1e-5), "cut sequence, fp%d: %s differs by %g",
            dtype == DType::f64 ? 64 : 32, what, error);
    };
    expect("y", joined(first.outputs[0], second.outputs[0]), all.outputs[0]);
    expect("final state", second.outputs[1].values(), all.outputs[1]);
    expect("dxbc", joined(first.input_gradients[0], second.input_gradients[0]), all.input_gradients[0]);
    expect("ddt", joined(first.input_gradients[1], second.input_gradients[1]), all.input_gradients[1]);
    expect("da_log", added(first.input_gradients[2], second.input_gradients[2]), all.input_gradients[2]);
    expect("dd", added(first.input_gradients[3], second.input_gradients[3]), all.input_gradients[3]);
    expect("ddt_bias", added(first.input_gradients[4], second.input_gradients[4]), all.input_gradients[4]);
    expect("dinitial_state", first.input_gradients[5].values(), all.input_gradients[5]);
  }
}

// A = -16 with steps up to 10: e^{-160} a step. Float must stay finite and agree with double, also where a
// strong step is followed by weak ones in the same chunk (the difference of two large cumulative sums).
static void strong_decay_is_harmless() {
  const auto oracle = make_cpu_backend(DType::f64, 1), fast = make_cpu_backend(DType::f32, 2);
  for (const index_t chunk : {16, 64, 128}) {
    const SsdShape s{1, 150, 4, 16, 1, 16, chunk, 0};
    const Operation op = ssd_scan_operation(s, true);
    const auto strong = [&](DType dtype) {
      Run run = prepare(op, dtype, 9);
      for (index_t h = 0; h < s.heads; ++h) {
        run.inputs[2].set(h, static_cast<float>(std::log(16.0 / double(1 << (2 * h)))));
        run.inputs[4].set(h, 0);
        for (const int parameter : {2, 3, 4}) run.input_gradients[parameter].set(h, 0);
      }
      for (index_t i = 0; i < s.time * s.heads; ++i) {
        run.inputs[1].set(
            i, random_uniform(1, 8, i) < 0.3 ? 10 : -6 + static_cast<float>(2 * random_uniform(1, 9, i)));
      }
      return run;
    };
    Run expected = strong(DType::f64), got = strong(DType::f32);
    execute(*oracle, op, expected);
    execute(*fast, op, got);
    for (const auto list : {&Run::outputs, &Run::input_gradients}) {
      for (std::size_t i = 0; i < (got.*list).size(); ++i) {
        const double error = relative_error((got.*list)[i].values(), (expected.*list)[i].values());
        CHECK(error < 2e-5, "strong decay, chunk %d: %s is off by %g", int(chunk),
              (got.*list)[i].tensor().name.c_str(), error);
      }
    }
  }
}

int main() {
  is_the_recurrence();
  chunk_does_not_matter();
  sequence_can_be_cut();
  strong_decay_is_harmless();
  return TEST_RESULT();
}
