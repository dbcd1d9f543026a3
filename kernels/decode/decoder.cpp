#include "decode/decoder.h"

#include <algorithm>

#include "common/error.h"
#include "model/initialize.h"
#include "train/convert.h"
#include "train/device.h"
#include "train/validate.h"

namespace lmx {

namespace {

constexpr index_t history_ring = 1024;       // steps between two looks at what was generated
constexpr index_t most_prompt_rows = 32768;  // longer batches of prompts are read some sequences at a time

// The gate is the trainer's: a decoder is a model with one pass of batch x prompt tokens.
ModelConfig checked_model(const lmx_decoder_config& config) {
  lmx_trainer_config trainer{};
  trainer.model = config.model;
  trainer.optimizer = {0, 0, 0, 1, 0, 0, LMX_CONSTANT, 1, 0, 0, 0};
  trainer.batch = trainer.micro_batch = config.batch;
  trainer.sequence = config.context;
  trainer.precision = config.precision;
  trainer.device = config.device;
  trainer.threads = config.threads;
  trainer.init_std = config.init_std;
  return lmx::checked_model(trainer);
}

DecodeExtent extent_of(const lmx_decoder_config& config) {
  if (config.prompt < 1 || config.prompt > config.context) {
    throw InvalidArgument("expected prompt from 1 to the context of " + std::to_string(config.context) + ", got " +
                          std::to_string(config.prompt));
  }
  if (config.state_type < LMX_STATE_FULL || config.state_type > LMX_STATE_BF16) {
    throw InvalidArgument("expected state_type from 0 to 1, got " + std::to_string(config.state_type));
  }
  const index_t at_once = std::clamp<index_t>(most_prompt_rows / config.prompt, 1, config.batch);
  return {config.batch, config.context, config.prompt, at_once,
          config.state_type == LMX_STATE_BF16 ? StateType::bf16 : StateType::full};
}

struct Plan {
  TokenBuffers next;
  std::int32_t* prompt;
  void* workspace;
};

Plan plan_buffers(Arena& arena, ModelDecoder& decoder, const Precision& precision, const DecodeExtent& extent,
                  std::size_t workspace_bytes) {
  const auto take = [&](index_t count) {
    return static_cast<std::int32_t*>(arena.take(Region::activations, count, DType::i32));
  };
  Plan plan{};
  plan.next = {take(extent.batch), take(history_ring * extent.batch), take(1), history_ring};
  plan.prompt = take(extent.prompt_batch * extent.prompt);
  decoder.plan(arena, precision, extent);
  plan.workspace = arena.take_bytes(Region::workspace, workspace_bytes);
  return plan;
}

lmx_decoder_memory memory_of_decoder(const Arena& arena) {
  const auto bytes = [&](Region region) { return static_cast<int64_t>(arena.bytes(region)); };
  lmx_decoder_memory memory{bytes(Region::weights),     bytes(Region::cache),     bytes(Region::state),
                            bytes(Region::activations), bytes(Region::workspace), 0};
  memory.total = memory.weights + memory.cache + memory.state + memory.scratch + memory.workspace;
  return memory;
}

}  // namespace

lmx_decoder_memory plan_decoder_memory(const lmx_decoder_config& config) {
  Model model(checked_model(config));
  ModelDecoder decoder(model);
  const Precision precision = precision_of(config.precision);
  const DecodeExtent extent = extent_of(config);
  const auto backend = planning_backend(precision);
  Arena arena;
  plan_buffers(arena, decoder, precision, extent, decoder.workspace_bytes(backend->inference(), extent));
  return memory_of_decoder(arena);
}

Decoder::Decoder(const lmx_decoder_config& config)
    : precision_(precision_of(config.precision)),
      extent_(extent_of(config)),
      model_(checked_model(config)),
      decoder_(model_),
      backend_(open_device(config.device, precision_, config.threads)) {
  const Inference& inference = backend_->inference();
  if (!inference.offers(extent_.state_type)) {
    throw InvalidArgument(std::string("expected a full state type on device ") + config.device +
                          ", got bf16 (it can be planned, not run)");
  }
  const std::size_t workspace_bytes = decoder_.workspace_bytes(inference, extent_);
  Arena measured;
  plan_buffers(measured, decoder_, precision_, extent_, workspace_bytes);
  memory_ = memory_of_decoder(measured);
  const std::size_t total = static_cast<std::size_t>(memory_.total), free = inference.free_bytes();
  if (free > 0 && total > free) throw OutOfMemory(total, free);
  allocation_ = std::make_unique<Allocation>(*backend_, measured);
  Arena bound(allocation_->bases());
  const Plan plan = plan_buffers(bound, decoder_, precision_, extent_, workspace_bytes);
  next_ = plan.next;
  prompt_ = plan.prompt;
  backend_->bind_workspace(plan.workspace, workspace_bytes);
  initialize(config.seed);
  reset();
}

// Matrices are made where they lie; the rest is small and comes from the host.
void Decoder::initialize(uint64_t seed) {
  backend_->zero(allocation_->bases()[static_cast<std::size_t>(Region::weights)],
                 static_cast<std::size_t>(memory_.weights));
  const ParameterTable& table = model_.parameters();
  std::vector<double> values;
  for (const Parameter& parameter : tensors()) {
    const std::uint64_t stream = stream_of(parameter.name);
    if (parameter.storage == Storage::matrix && parameter.initializer.kind == Initializer::Kind::normal) {
      backend_->inference().fill_normal(table.working(parameter), precision_.weight, parameter.count,
                                        parameter.initializer.scale, seed, stream);
      continue;
    }
    values.resize(static_cast<std::size_t>(parameter.count));
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = initial_value(parameter.initializer, seed, stream, i);
    write(parameter.name, values.data());
  }
}

template <class Real>
void Decoder::write(const std::string& name, const Real* data) {
  const Parameter& parameter = model_.parameters().find(name);
  const bool matrix = parameter.storage == Storage::matrix;
  const DType type = matrix ? precision_.weight : precision_.stat;
  std::vector<std::byte> host(static_cast<std::size_t>(parameter.count) * dtype_bytes(type));
  to_elements(data, parameter.count, type, host.data());
  backend_->upload(matrix ? model_.parameters().working(parameter) : model_.parameters().master(parameter), host.data(),
                   host.size());
}
template void Decoder::write(const std::string&, const double*);
template void Decoder::write(const std::string&, const float*);

void Decoder::prefill(int64_t time, const int32_t* tokens, double* logits) {
  if (time < 1 || time > extent_.prompt) {
    throw InvalidArgument("expected a prompt of 1 to " + std::to_string(extent_.prompt) + " tokens, got " +
                          std::to_string(time));
  }
  require_room(time);
  check_tokens(tokens, tokens, extent_.batch * time, model_.config().vocab);
  read_prompt(time, tokens);
  fetch_logits(logits);
}

void Decoder::read_prompt(int64_t time, const int32_t* tokens) {
  for (index_t first = 0; first < extent_.batch; first += extent_.prompt_batch) {
    const index_t count = std::min(extent_.prompt_batch, extent_.batch - first);
    backend_->upload(prompt_, tokens + first * time, static_cast<std::size_t>(count * time) * sizeof(int32_t));
    decoder_.read({*backend_, backend_->inference(), first, count, time, next_.position, position_ == 0}, prompt_);
  }
  logits_ = decoder_.predict(*backend_);
  backend_->inference().select_greedy(extent_.batch, model_.config().vocab, logits_, time, next_);
  position_ += time;
}

void Decoder::step(const int32_t* tokens, double* logits) {
  require_room(1);
  check_tokens(tokens, tokens, extent_.batch, model_.config().vocab);
  backend_->upload(next_.tokens, tokens, static_cast<std::size_t>(extent_.batch) * sizeof(int32_t));
  run_step();
  fetch_logits(logits);
}

void Decoder::run_step() {
  if (backend_->begin_step()) {
    decoder_.read({*backend_, backend_->inference(), 0, extent_.batch, 1, next_.position, false}, next_.tokens);
    logits_ = decoder_.predict(*backend_);
    backend_->inference().select_greedy(extent_.batch, model_.config().vocab, logits_, 1, next_);
    backend_->end_step();
  }
  position_ += 1;
}

void Decoder::generate(int64_t count, int32_t* tokens) {
  if (count < 0) throw InvalidArgument("expected a count of at least 0, got " + std::to_string(count));
  if (position_ == 0) throw InvalidArgument("expected a prompt before generating, got none");
  require_room(count);
  const index_t batch = extent_.batch;
  std::vector<int32_t> history(static_cast<std::size_t>(history_ring * batch));
  for (int64_t done = 0; done < count;) {
    const int64_t share = std::min<int64_t>(count - done, history_ring - 1), first = position_;
    for (int64_t i = 0; i < share; ++i) run_step();
    backend_->download(history.data(), next_.history, history.size() * sizeof(int32_t));
    for (int64_t i = 0; i < share; ++i) {
      std::copy_n(history.data() + (first + i) % history_ring * batch, batch, tokens + (done + i) * batch);
    }
    done += share;
  }
}

void Decoder::reset() {
  decoder_.reset(*backend_);
  set_position(0);
}

void Decoder::fill(int64_t position, uint64_t seed) {
  if (position < 1 || position > extent_.context) {
    throw InvalidArgument("expected a position from 1 to the context of " + std::to_string(extent_.context) + ", got " +
                          std::to_string(position));
  }
  decoder_.fill(backend_->inference(), seed);
  set_position(position);
}

void Decoder::set_position(int64_t position) {
  const auto narrow = static_cast<int32_t>(position);
  const std::vector<int32_t> tokens(static_cast<std::size_t>(extent_.batch));
  backend_->upload(next_.position, &narrow, sizeof narrow);
  backend_->upload(next_.tokens, tokens.data(), tokens.size() * sizeof(int32_t));
  position_ = position;
}

void Decoder::time_steps(int64_t count, double* seconds) {
  require_room(count);
  Inference& inference = backend_->inference();
  inference.mark(0);
  for (int64_t i = 0; i < count; ++i) {
    run_step();
    inference.mark(static_cast<std::size_t>(i) + 1);
  }
  for (int64_t i = 0; i < count; ++i) {
    seconds[i] = inference.seconds(static_cast<std::size_t>(i), static_cast<std::size_t>(i) + 1);
  }
}

void Decoder::time_prefills(int64_t time, int64_t count, double* seconds) {
  if (time < 1 || time > extent_.prompt) {
    throw InvalidArgument("expected a prompt of 1 to " + std::to_string(extent_.prompt) + " tokens, got " +
                          std::to_string(time));
  }
  std::vector<int32_t> tokens(static_cast<std::size_t>(extent_.batch * time));
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    tokens[i] = static_cast<int32_t>(i * 2654435761u % static_cast<std::uint64_t>(model_.config().vocab));
  }
  Inference& inference = backend_->inference();
  for (int64_t i = 0; i < count; ++i) {
    reset();
    inference.mark(0);
    read_prompt(time, tokens.data());
    inference.mark(1);
    seconds[i] = inference.seconds(0, 1);
  }
}

void Decoder::require_room(int64_t tokens) const {
  if (tokens <= extent_.context - position_) return;
  throw InvalidArgument("expected at most " + std::to_string(extent_.context - position_) +
                        " more tokens in a context of " + std::to_string(extent_.context) + ", got " +
                        std::to_string(tokens));
}

void Decoder::fetch_logits(double* logits) const {
  if (logits == nullptr) return;
  const index_t count = extent_.batch * model_.config().vocab;
  std::vector<std::byte> host(static_cast<std::size_t>(count) * dtype_bytes(precision_.stat));
  backend_->download(host.data(), logits_, host.size());
  from_elements(host.data(), precision_.stat, count, logits);
}

}  // namespace lmx
