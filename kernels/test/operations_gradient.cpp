// Every gradient of every operation, in fp64, against central finite differences of its own forward along
// random directions: for J = Σ <cotangent, output>, dJ/dε of the perturbed inputs must equal <gradient,
// direction>.
#include "check.h"
#include "cpu/cpu_backend.h"
#include "operations.h"

using namespace lmx;
using namespace lmx::test;

// J at inputs + step * direction, the direction being normal noise on input `which`.
static double objective(Backend& backend, const Operation& op, Run& run, std::size_t which, double step,
                        std::uint64_t seed) {
  const std::vector<double> kept = run.inputs[which].values();
  for (index_t i = 0; i < op.inputs[which].count(); ++i) {
    run.inputs[which].set(i, kept[i] + step * random_normal(seed, 5, i));
  }
  execute_forward(backend, op, run);
  for (index_t i = 0; i < op.inputs[which].count(); ++i) run.inputs[which].set(i, kept[i]);
  double sum = 0;
  for (std::size_t o = 0; o < run.outputs.size(); ++o) {
    for (index_t i = 0; i < op.outputs[o].count(); ++i)
      sum += run.output_gradients[o].get(i) * run.outputs[o].get(i);
  }
  return sum;
}

int main() {
  const auto backend = make_cpu_backend(DType::f64, 1);
  for (const Operation& op : odd_operations()) {
    if (!op.backward) continue;
    Run run = prepare(op, DType::f64, 100);
    std::vector<std::vector<double>> before;
    for (const Buffer& gradient : run.input_gradients) before.push_back(gradient.values());
    const BoundWorkspace workspace(*backend, op);
    execute_forward(*backend, op, run);
    op.backward(*backend, run);

    for (std::size_t which = 0; which < op.inputs.size(); ++which) {
      for (std::uint64_t seed = 1; seed <= 2; ++seed) {
        double expected = 0, scale = 0;
        for (index_t i = 0; i < op.inputs[which].count(); ++i) {
          const double start = op.inputs[which].accumulates ? before[which][i] : 0;
          const double term = (run.input_gradients[which].get(i) - start) * random_normal(seed, 5, i);
          expected += term;
          scale += term * term;
        }
        // relu2 has a kink in its slope and the clamped dt one in itself, so steps stay small; Richardson
        // removes the cubic term.
        const double h = 1e-5;
        const auto slope = [&](double step) {
          return (objective(*backend, op, run, which, step, seed) -
                  objective(*backend, op, run, which, -step, seed)) /
                 (2 * step);
        };
        const double measured = (4 * slope(h / 2) - slope(h)) / 3;
        const double error = std::fabs(measured - expected) / (std::sqrt(scale) + 1e-3);
        CHECK(error < 2e-6, "%s: d%s = %.12g, finite difference %.12g, relative error %g", op.name.c_str(),
              op.inputs[which].name.c_str(), expected, measured, error);
      }
    }
  }
  return TEST_RESULT();
}
