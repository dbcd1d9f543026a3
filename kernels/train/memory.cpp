#include "train/memory.h"

#include <cstdlib>
#include <string>

#include "common/error.h"

namespace lmx {

TrainerBuffers plan_buffers(Arena& arena, Model& model, const Precision& precision, const Workload& work,
                            std::size_t workspace_bytes, void** workspace) {
  const index_t step_rows = work.batch * work.sequence, pass_rows = work.micro_batch * work.sequence;
  TrainerBuffers buffers{};
  buffers.tokens = static_cast<std::int32_t*>(arena.take(Region::activations, step_rows, DType::i32));
  buffers.targets = static_cast<std::int32_t*>(arena.take(Region::activations, step_rows, DType::i32));
  buffers.loss.row_loss = arena.take(Region::activations, pass_rows, precision.stat);
  buffers.loss.row_correct =
      static_cast<std::uint8_t*>(arena.take(Region::activations, pass_rows, DType::u8));
  model.plan(arena, precision, work.micro_batch, work.sequence);
  buffers.exp_avg = arena.take(Region::optimizer, model.parameters().total_count(), precision.stat);
  buffers.exp_avg_sq = arena.take(Region::optimizer, model.parameters().total_count(), precision.stat);
  const auto scalars = [&](int64_t count) {
    return static_cast<StepScalars*>(arena.take_bytes(Region::optimizer, static_cast<std::size_t>(count) * sizeof(StepScalars)));
  };
  buffers.loss.scalars = scalars(1);
  buffers.ring = scalars(loss_ring_steps);
  *workspace = arena.take_bytes(Region::workspace, workspace_bytes);
  return buffers;
}

lmx_memory memory_of(const Arena& arena) {
  const auto bytes = [&](Region region) { return static_cast<int64_t>(arena.bytes(region)); };
  lmx_memory memory{bytes(Region::weights),     bytes(Region::gradients), bytes(Region::optimizer),
                    bytes(Region::activations), bytes(Region::workspace), 0};
  memory.total = memory.weights + memory.gradients + memory.optimizer + memory.activations + memory.workspace;
  return memory;
}

void check_memory_limit(int64_t bytes) {
  const char* const text = std::getenv("LAYERMIX_MEMORY_LIMIT");
  if (text == nullptr || *text == 0) return;
  char* end = nullptr;
  const unsigned long long limit = std::strtoull(text, &end, 10);
  if (end == text || *end != 0 || *text == '-') {
    throw InvalidArgument(std::string("expected LAYERMIX_MEMORY_LIMIT to be a number of bytes, got ") + text);
  }
  if (static_cast<unsigned long long>(bytes) > limit) {
    throw OutOfMemory(static_cast<std::size_t>(bytes), static_cast<std::size_t>(limit));
  }
}

Allocation::Allocation(Backend& backend, const Arena& measured) : backend_(backend) {
  try {
    for (std::size_t i = 0; i < region_count; ++i) {
      const std::size_t bytes = measured.bytes(static_cast<Region>(i));
      if (bytes > 0) bases_[i] = backend_.allocate(bytes);
    }
  } catch (...) {
    release();
    throw;
  }
}

Allocation::~Allocation() { release(); }

void Allocation::release() {
  for (void*& base : bases_) {
    if (base != nullptr) backend_.release(base);
    base = nullptr;
  }
}

}  // namespace lmx
