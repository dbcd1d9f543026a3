#include "train/trainer.h"

#include <algorithm>
#include <cmath>
#include <thread>
#include <vector>

#include "common/error.h"
#include "common/thread_pool.h"
#include "model/initialize.h"
#include "train/checked.h"
#include "train/convert.h"
#include "train/device.h"
#include "train/schedule.h"
#include "train/validate.h"

namespace lmx {

namespace {

Workload workload_of(const lmx_trainer_config& config) {
  return {config.batch, config.micro_batch, config.sequence};
}

int64_t count_targets(const int32_t* targets, int64_t count) {
  return std::count_if(targets, targets + count, [](int32_t target) { return target >= 0; });
}

}  // namespace

lmx_memory plan_memory(const lmx_trainer_config& config) {
  Model model(checked_model(config));
  const Precision precision = precision_of(config.precision);
  const auto backend = training_planner(precision);
  Arena arena;
  void* workspace = nullptr;
  plan_buffers(arena, model, precision, workload_of(config),
               model.workspace_bytes(*backend, config.micro_batch, config.sequence), &workspace);
  return memory_of(arena);
}

Trainer::Trainer(const lmx_trainer_config& config)
    : Trainer(config, [&] { return open_training_device(config.device, precision_of(config.precision), config.threads); }) {}

Trainer::Trainer(const lmx_trainer_config& config, const std::function<std::unique_ptr<Backend>()>& open)
    : precision_(precision_of(config.precision)),
      work_(workload_of(config)),
      optimizer_(config.optimizer),
      model_(checked_model(config)),
      backend_(open()) {
  const std::size_t workspace_bytes = model_.workspace_bytes(*backend_, work_.micro_batch, work_.sequence);
  void* workspace = nullptr;
  Arena measured;
  plan_buffers(measured, model_, precision_, work_, workspace_bytes, &workspace);
  memory_ = memory_of(measured);
  check_memory_limit(memory_.total);
  allocation_ = std::make_unique<Allocation>(*backend_, measured);
  Arena bound(allocation_->bases());
  buffers_ = plan_buffers(bound, model_, precision_, work_, workspace_bytes, &workspace);
  backend_->bind_workspace(workspace, workspace_bytes);
  initialize(config.seed, config.threads);
}

// Everything is zeroed first: padding between tensors takes part in the norm and in AdamW, and must stay
// zero.
void Trainer::initialize(uint64_t seed, int32_t threads) {
  const auto zero = [&](Region region, int64_t bytes) {
    backend_->zero(allocation_->bases()[static_cast<std::size_t>(region)], static_cast<std::size_t>(bytes));
  };
  zero(Region::weights, memory_.weights);
  zero(Region::gradients, memory_.gradients);
  zero(Region::optimizer, memory_.optimizer);
  constexpr int64_t share = 1 << 16;  // values of one task
  ThreadPool pool(threads > 0 ? threads : std::max(1, static_cast<int>(std::thread::hardware_concurrency())));
  std::vector<std::byte> master, working;
  for (const Parameter& parameter : tensors()) {
    const std::uint64_t stream = stream_of(parameter.name);
    void* const device_working = model_.parameters().working(parameter);
    const std::size_t master_width = dtype_bytes(precision_.stat), working_width = dtype_bytes(precision_.weight);
    master.resize(static_cast<std::size_t>(parameter.count) * master_width);
    working.resize(device_working == nullptr ? 0 : static_cast<std::size_t>(parameter.count) * working_width);
    pool.parallel_for((parameter.count + share - 1) / share, [&](int64_t part) {
      const int64_t first = part * share, count = std::min(parameter.count - first, share);
      std::vector<double> values(static_cast<std::size_t>(count));
      for (int64_t i = 0; i < count; ++i) {
        values[static_cast<std::size_t>(i)] =
            initial_value(parameter.initializer, seed, stream, static_cast<std::uint64_t>(first + i));
      }
      const auto at = static_cast<std::size_t>(first);
      to_elements(values.data(), count, precision_.stat, master.data() + at * master_width);
      if (device_working != nullptr) {
        to_elements(values.data(), count, precision_.weight, working.data() + at * working_width);
      }
    });
    backend_->upload(part_of(parameter, LMX_VALUE), master.data(), master.size());
    if (device_working != nullptr) backend_->upload(device_working, working.data(), working.size());
  }
}

void Trainer::train(int64_t steps, const int32_t* tokens, const int32_t* targets, lmx_step_result* results) {
  if (steps < 1) throw InvalidArgument("expected at least 1 step, got " + std::to_string(steps));
  const int64_t rows = work_.batch * work_.sequence;
  check_tokens(tokens, targets, checked_product("the batches", {steps, rows}), model_.config().vocab);
  std::vector<StepScalars> scalars;
  for (int64_t i = 0; i < steps; ++i) {
    const int64_t target_count = count_targets(targets + i * rows, rows);
    if (target_count == 0) throw InvalidArgument("expected at least one target >= 0 in the batch, got none");
    scalars.push_back(scalars_of(step_ + i + 1, 1 / static_cast<double>(target_count)));
  }
  for (int64_t first = 0; first < steps; first += loss_ring_steps) {
    const int64_t queued = std::min(loss_ring_steps, steps - first);
    backend_->start_clock();
    for (int64_t slot = 0; slot < queued; ++slot) {
      const int64_t i = first + slot;
      queue_step(scalars[static_cast<std::size_t>(i)], tokens + i * rows, targets + i * rows, slot);
    }
    backend_->stop_clock();
    StepScalars* const done = scalars.data() + first;
    backend_->download(done, buffers_.ring, static_cast<std::size_t>(queued) * sizeof(StepScalars));
    const double device_seconds = backend_->clock_seconds() / static_cast<double>(queued);
    for (int64_t slot = 0; slot < queued; ++slot) {
      const StepScalars& s = done[slot];
      results[first + slot] = {s.loss_sum * s.inverse_target_count, s.grad_norm, s.learning_rate, ++step_, device_seconds};
    }
  }
}

StepScalars Trainer::scalars_of(int64_t step, double inverse_target_count) const {
  StepScalars scalars{};
  scalars.learning_rate = learning_rate_at(optimizer_, step);
  scalars.beta1 = optimizer_.beta1;
  scalars.beta2 = optimizer_.beta2;
  scalars.epsilon = optimizer_.epsilon;
  scalars.weight_decay = optimizer_.weight_decay;
  scalars.bias_correction1 = 1 - std::pow(optimizer_.beta1, static_cast<double>(step));
  scalars.bias_correction2 = 1 - std::pow(optimizer_.beta2, static_cast<double>(step));
  scalars.clip_norm = optimizer_.clip_norm;
  scalars.inverse_target_count = inverse_target_count;
  return scalars;
}

// Nothing here waits for the device: while it works on one step the host queues the next ones.
void Trainer::queue_step(const StepScalars& scalars, const int32_t* tokens, const int32_t* targets, int64_t slot) {
  upload_batch(tokens, targets, work_.batch);
  backend_->upload(buffers_.loss.scalars, &scalars, sizeof scalars);
  if (backend_->begin_step()) {
    accumulate({});
    update();
    backend_->end_step();
  }
  backend_->copy(buffers_.ring + slot, buffers_.loss.scalars, sizeof(StepScalars));
}

void Trainer::accumulate(const LogitsSink& sink) {
  backend_->zero(allocation_->bases()[static_cast<std::size_t>(Region::gradients)],
                 static_cast<std::size_t>(memory_.gradients));
  for (index_t first = 0; first < work_.batch; first += work_.micro_batch) {
    const index_t row = first * work_.sequence;
    model_.run(pass(work_.micro_batch), buffers_.tokens + row, buffers_.targets + row, buffers_.loss, true,
               sink);
  }
}

void Trainer::update() {
  const ParameterTable& table = model_.parameters();
  backend_->gradient_norm(table.total_count(), table.flat_gradient(0), buffers_.loss.scalars);
  const ParameterRanges ranges{table.total_count(), table.matrix_count(),
                               table.matrix_count() + table.convolution_count()};
  backend_->adamw(ranges, table.flat_master(0), table.flat_working(), table.flat_gradient(0), buffers_.exp_avg,
                  buffers_.exp_avg_sq, buffers_.loss.scalars);
}

void Trainer::evaluate(int64_t count, const int32_t* tokens, const int32_t* targets, float* loss,
                       uint8_t* correct) {
  if (count < 0) throw InvalidArgument("expected count of at least 0, got " + std::to_string(count));
  if (count > 0 && (loss == nullptr || correct == nullptr)) {
    throw InvalidArgument("expected room for loss and correct, got null");
  }
  check_tokens(tokens, targets, checked_product("the evaluation", {count, work_.sequence}),
               model_.config().vocab);
  std::vector<std::byte> row_loss;
  for (int64_t first = 0; first < count; first += work_.micro_batch) {
    const int64_t sequences = std::min(work_.micro_batch, count - first);
    const int64_t row = first * work_.sequence, rows = sequences * work_.sequence;
    upload_batch(tokens + row, targets + row, sequences);
    model_.run(pass(sequences), buffers_.tokens, buffers_.targets, buffers_.loss, false);
    row_loss.resize(static_cast<std::size_t>(rows) * dtype_bytes(precision_.stat));
    backend_->download(row_loss.data(), buffers_.loss.row_loss, row_loss.size());
    from_elements(row_loss.data(), precision_.stat, rows, loss + row);
    backend_->download(correct + row, buffers_.loss.row_correct, static_cast<std::size_t>(rows));
  }
}

double Trainer::probe(const int32_t* tokens, const int32_t* targets, double* logits, double* hidden) {
  if (work_.batch != work_.micro_batch) {
    throw InvalidArgument("expected micro_batch equal to batch to probe, got " +
                          std::to_string(work_.micro_batch) + " and " + std::to_string(work_.batch));
  }
  const ModelConfig& config = model_.config();
  const int64_t rows = work_.batch * work_.sequence;
  check_tokens(tokens, targets, rows, config.vocab);
  const int64_t target_count = count_targets(targets, rows);
  StepScalars scalars{};
  scalars.inverse_target_count = target_count > 0 ? 1 / static_cast<double>(target_count) : 0;
  std::vector<std::byte> host;
  const auto fetch = [&](const void* source, int64_t count, double* out) {
    host.resize(static_cast<std::size_t>(count) * dtype_bytes(precision_.act));
    backend_->download(host.data(), source, host.size());
    from_elements(host.data(), precision_.act, count, out);
  };
  upload_batch(tokens, targets, work_.batch);
  backend_->upload(buffers_.loss.scalars, &scalars, sizeof scalars);
  accumulate([&](index_t first, index_t count, const void* chunk) {
    if (logits != nullptr) fetch(chunk, count * config.vocab, logits + first * config.vocab);
  });
  for (std::size_t i = 0; hidden != nullptr && i < config.layers.size() + 2; ++i) {
    fetch(model_.hidden(i), rows * config.hidden, hidden + static_cast<int64_t>(i) * rows * config.hidden);
  }
  backend_->download(&scalars, buffers_.loss.scalars, sizeof scalars);
  return scalars.loss_sum * scalars.inverse_target_count;
}

void Trainer::upload_batch(const int32_t* tokens, const int32_t* targets, int64_t sequences) {
  const std::size_t bytes = static_cast<std::size_t>(sequences * work_.sequence) * sizeof(int32_t);
  backend_->upload(buffers_.tokens, tokens, bytes);
  backend_->upload(buffers_.targets, targets, bytes);
}

void* Trainer::part_of(const Parameter& parameter, int32_t part) const {
  const ParameterTable& table = model_.parameters();
  const std::size_t bytes = static_cast<std::size_t>(parameter.offset) * dtype_bytes(precision_.stat);
  switch (part) {
    case LMX_VALUE: return table.master(parameter);
    case LMX_GRADIENT: return table.flat_gradient(parameter.offset);
    case LMX_EXP_AVG: return static_cast<std::byte*>(buffers_.exp_avg) + bytes;
    case LMX_EXP_AVG_SQ: return static_cast<std::byte*>(buffers_.exp_avg_sq) + bytes;
  }
  throw InvalidArgument("expected a tensor part from 0 to 3, got " + std::to_string(part));
}

template <class Real>
void Trainer::read(const std::string& name, int32_t part, Real* out) const {
  const Parameter& parameter = model_.parameters().find(name);
  std::vector<std::byte> host(static_cast<std::size_t>(parameter.count) * dtype_bytes(precision_.stat));
  backend_->download(host.data(), part_of(parameter, part), host.size());
  from_elements(host.data(), precision_.stat, parameter.count, out);
}

template <class Real>
void Trainer::write(const std::string& name, int32_t part, const Real* data) {
  const Parameter& parameter = model_.parameters().find(name);
  const auto upload = [&](void* destination, DType type) {
    std::vector<std::byte> host(static_cast<std::size_t>(parameter.count) * dtype_bytes(type));
    to_elements(data, parameter.count, type, host.data());
    backend_->upload(destination, host.data(), host.size());
  };
  upload(part_of(parameter, part), precision_.stat);
  void* const working = part == LMX_VALUE ? model_.parameters().working(parameter) : nullptr;
  if (working != nullptr) upload(working, precision_.weight);
}

void Trainer::set_step_index(int64_t step) {
  if (step < 0) throw InvalidArgument("expected a step of at least 0, got " + std::to_string(step));
  step_ = step;
}

template void Trainer::read(const std::string&, int32_t, double*) const;
template void Trainer::read(const std::string&, int32_t, float*) const;
template void Trainer::write(const std::string&, int32_t, const double*);
template void Trainer::write(const std::string&, int32_t, const float*);

}  // namespace lmx
