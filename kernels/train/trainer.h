// A model in training on one device: parameters, AdamW, the step loop. A step zeroes the gradients, runs
// every micro-batch forward and backward - the loss is the mean over the targets of the WHOLE batch, whatever
// the micro-batch - clips by the global norm and updates (arXiv 1711.05101, no decay on vectors).
// Deterministic: equal configuration and calls give equal bits.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "layermix.h"
#include "model/model.h"
#include "train/memory.h"

namespace lmx {

// The memory a trainer of this configuration would allocate; needs no device. Throws InvalidArgument.
lmx_memory plan_memory(const lmx_trainer_config& config);

class Trainer {
 public:
  // Throws InvalidArgument, NoDevice, OutOfMemory.
  explicit Trainer(const lmx_trainer_config& config);
  // On the backend that `open` returns instead of the configuration's device: one that watches another (bench/native/timed_backend.h).
  Trainer(const lmx_trainer_config& config, const std::function<std::unique_ptr<Backend>()>& open);

  // See the functions of the same names in layermix.h.
  void train(int64_t steps, const int32_t* tokens, const int32_t* targets, lmx_step_result* results);
  void evaluate(int64_t count, const int32_t* tokens, const int32_t* targets, float* loss, uint8_t* correct);
  double probe(const int32_t* tokens, const int32_t* targets, double* logits, double* hidden);

  template <class Real>
  void read(const std::string& name, int32_t part, Real* out) const;
  template <class Real>
  void write(const std::string& name, int32_t part, const Real* data);

  const std::vector<Parameter>& tensors() const { return model_.parameters().all(); }
  lmx_memory memory() const { return memory_; }
  int64_t step_index() const { return step_; }
  void set_step_index(int64_t step);

 private:
  void initialize(uint64_t seed, int32_t threads);
  // What a step is given: rates of its number, and what its targets weigh.
  StepScalars scalars_of(int64_t step, double inverse_target_count) const;
  // Queues one step; its scalars go to place `slot` of the ring.
  void queue_step(const StepScalars& scalars, const int32_t* tokens, const int32_t* targets, int64_t slot);
  void upload_batch(const int32_t* tokens, const int32_t* targets, int64_t sequences);
  // Gradients and loss of the uploaded batch, accumulated over micro-batches.
  void accumulate(const LogitsSink& sink);
  void update();
  void* part_of(const Parameter& parameter, int32_t part) const;
  Pass pass(int64_t sequences) const { return {*backend_, sequences, work_.sequence}; }

  Precision precision_;
  Workload work_;
  lmx_optimizer_config optimizer_;
  Model model_;
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Allocation> allocation_;
  TrainerBuffers buffers_{};
  lmx_memory memory_{};
  int64_t step_ = 0;
};

}  // namespace lmx
