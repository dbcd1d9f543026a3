// The memory of a trainer: every buffer it will ever use, planned in one place and allocated at once, one
// allocation per region. After construction a step allocates nothing.
#pragma once

#include "backend.h"
#include "layermix.h"
#include "model/model.h"
#include "train/arena.h"

namespace lmx {

// Sizes that a plan depends on beside the model.
struct Workload {
  index_t batch, micro_batch, sequence;
};

// Steps that are queued at most before their losses are read.
constexpr int64_t loss_ring_steps = 64;

// The buffers that belong to the trainer rather than to the model.
struct TrainerBuffers {
  std::int32_t *tokens, *targets;  // (batch, sequence)
  LossBuffers loss;                // (micro_batch * sequence)
  void *exp_avg, *exp_avg_sq;      // (parameters) stat
  StepScalars* ring;               // (loss_ring_steps) of steps that are done
};

// Walks every buffer of the model and the trainer through the arena: measures or binds.
TrainerBuffers plan_buffers(Arena& arena, Model& model, const Precision& precision, const Workload& work,
                            std::size_t workspace_bytes, void** workspace);

// Bytes by category of a measuring arena.
lmx_memory memory_of(const Arena& arena);

// Throws OutOfMemory where `bytes` are more than LAYERMIX_MEMORY_LIMIT, bytes in the environment, allows.
void check_memory_limit(int64_t bytes);

// Allocates what a measuring arena asks for; frees it in the end. Throws OutOfMemory.
class Allocation {
 public:
  Allocation(Backend& backend, const Arena& measured);
  ~Allocation();
  Allocation(const Allocation&) = delete;
  Allocation& operator=(const Allocation&) = delete;

  const Arena::Bases& bases() const { return bases_; }

 private:
  void release();

  Backend& backend_;
  Arena::Bases bases_{};
};

}  // namespace lmx
