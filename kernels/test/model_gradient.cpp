// Every parameter tensor of a model with every layer kind and option: its gradient along a random direction
// equals the central difference of the loss, in double precision; with tied and untied embeddings, and with
// the head in one chunk or in several.

#include <cmath>

#include "cpu/cpu_backend.h"
#include "model/model.h"
#include "model_support.h"
#include "train/memory.h"
#include "train/validate.h"

namespace {

using namespace lmx::test;

std::vector<double> unit_vector(size_t count, uint64_t stream) {
  std::vector<double> vector(count);
  double squares = 0;
  for (size_t i = 0; i < count; ++i) {
    vector[i] = lmx::random_normal(11, stream, i);
    squares += vector[i] * vector[i];
  }
  for (double& element : vector) element /= std::sqrt(squares);
  return vector;
}

void compare_with_differences(bool tied) {
  Config config;
  config.value.model.tie_embeddings = tied ? 1 : 0;
  config.value.batch = config.value.micro_batch = 3;
  config.layers[0].dt_min = 0.02;  // some steps are clamped: no gradient there
  TestTrainer trainer(config);
  // Away from the symmetric start (norms and D are 1 there).
  for (const lmx_tensor_info& tensor : trainer.tensors()) {
    std::vector<double> values = trainer.read(tensor, LMX_VALUE);
    for (size_t i = 0; i < values.size(); ++i) values[i] += 0.1 * lmx::random_normal(3, tensor.count, i);
    trainer.write(tensor, LMX_VALUE, values);
  }
  const Batch batch(3, config.value.sequence, config.value.model.vocab, 5);
  trainer.probe(batch);
  std::vector<std::vector<double>> gradients;
  for (const lmx_tensor_info& tensor : trainer.tensors())
    gradients.push_back(trainer.read(tensor, LMX_GRADIENT));

  size_t index = 0;
  for (const lmx_tensor_info& tensor : trainer.tensors()) {
    const std::vector<double> values = trainer.read(tensor, LMX_VALUE);
    const std::vector<double> direction = unit_vector(values.size(), index);
    double analytic = 0;
    for (size_t i = 0; i < values.size(); ++i) analytic += gradients[index][i] * direction[i];
    const auto loss_at = [&](double distance) {
      std::vector<double> moved = values;
      for (size_t i = 0; i < values.size(); ++i) moved[i] += distance * direction[i];
      trainer.write(tensor, LMX_VALUE, moved);
      return trainer.probe(batch);
    };
    const double h = 3e-5;  // fourth order: the error is of order h^4, rounding about 1e-15 / h
    const double numeric = (8 * (loss_at(h) - loss_at(-h)) - (loss_at(2 * h) - loss_at(-2 * h))) / (12 * h);
    trainer.write(tensor, LMX_VALUE, values);
    CHECK(std::abs(numeric - analytic) <= 2e-10 + 1e-7 * std::abs(analytic),
          "%s: analytic %.12g, numeric %.12g", tensor.name, analytic, numeric);
    CHECK(analytic != 0, "%s: no gradient at all", tensor.name);
    ++index;
  }
}

struct HeadRun {
  double loss;
  std::vector<double> gradients;
};

// The model below the C ABI, with the head cut into chunks of at most `most_logits` elements (fp64).
HeadRun run_with_chunks(lmx::index_t most_logits) {
  Config config;
  config.value.batch = config.value.micro_batch = 10;
  config.value.sequence = 17;
  lmx::ModelConfig checked = lmx::checked_model(*config.get());
  checked.most_logit_bytes = static_cast<std::size_t>(most_logits) * sizeof(double);
  lmx::Model model(checked);
  const auto backend = lmx::make_cpu_backend(lmx::DType::f64, 1);
  const lmx::Precision precision = backend->precision();
  const lmx::Workload work{10, 10, 17};
  void* workspace = nullptr;
  lmx::Arena measured;
  plan_buffers(measured, model, precision, work, model.workspace_bytes(*backend, 10, 17), &workspace);
  const lmx::Allocation allocation(*backend, measured);
  lmx::Arena bound(allocation.bases());
  const auto buffers =
      plan_buffers(bound, model, precision, work, model.workspace_bytes(*backend, 10, 17), &workspace);
  backend->bind_workspace(workspace, measured.bytes(lmx::Region::workspace));
  const lmx::ParameterTable& table = model.parameters();
  auto* values = static_cast<double*>(table.flat_master(0));
  for (lmx::index_t i = 0; i < table.total_count(); ++i)
    values[i] = 0.3 * lmx::random_normal(1, 2, static_cast<uint64_t>(i));
  backend->zero(table.flat_gradient(0), static_cast<size_t>(table.total_count()) * sizeof(double));
  const Batch batch(10, 17, checked.vocab, 9);
  backend->upload(buffers.tokens, batch.tokens.data(), batch.tokens.size() * 4);
  backend->upload(buffers.targets, batch.targets.data(), batch.targets.size() * 4);
  lmx::StepScalars scalars{};
  scalars.inverse_target_count = 1.0 / 100;
  backend->upload(buffers.loss.scalars, &scalars, sizeof scalars);
  model.run({*backend, 10, 17}, buffers.tokens, buffers.targets, buffers.loss, true);
  backend->download(&scalars, buffers.loss.scalars, sizeof scalars);
  const auto* gradients = static_cast<const double*>(table.flat_gradient(0));
  return {scalars.loss_sum, std::vector<double>(gradients, gradients + table.total_count())};
}

void head_chunks_change_nothing() {
  const HeadRun whole = run_with_chunks(lmx::index_t{1} << 27),
                chunked = run_with_chunks(1);  // 170 rows: 64 + 64 + 42
  CHECK(std::abs(whole.loss - chunked.loss) <= 1e-12 * whole.loss, "loss %.17g and %.17g", whole.loss,
        chunked.loss);
  for (size_t i = 0; i < whole.gradients.size(); ++i) {
    CHECK(std::abs(whole.gradients[i] - chunked.gradients[i]) <= 1e-12, "gradient %zu: %.17g and %.17g", i,
          whole.gradients[i], chunked.gradients[i]);
  }
}

}  // namespace

int main() {
  compare_with_differences(false);
  compare_with_differences(true);
  head_chunks_change_nothing();
  return TEST_RESULT();
}
