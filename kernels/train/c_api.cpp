// The C ABI over Trainer: exceptions become status codes and lmx_last_error(), null pointers become errors.

#include <string>

#include "cpu/cpu_backend.h"
#include "layermix.h"
#include "train/boundary.h"
#include "train/device.h"
#include "train/trainer.h"

struct lmx_trainer {
  explicit lmx_trainer(const lmx_trainer_config& config) : trainer(config) {}
  lmx::Trainer trainer;
};

using lmx::boundary::guarded;
using lmx::boundary::last_error;
using lmx::boundary::reject_element_bytes;
using lmx::boundary::require;

const char* lmx_version(void) { return LMX_VERSION; }

const char* lmx_build_info(void) {
  static const std::string info = lmx::cpu_build_info();
  return info.c_str();
}

int32_t lmx_cuda_count(void) { return lmx::cuda_count(); }

const char* lmx_cuda_description(int32_t device) {
  thread_local std::string description;
  try {
    description = lmx::describe_cuda(device);
  } catch (const std::exception& error) {
    description = error.what();
  }
  return description.c_str();
}

const char* lmx_last_error(void) { return last_error.c_str(); }

lmx_status lmx_memory_plan(const lmx_trainer_config* config, lmx_memory* out) {
  return guarded([&] {
    require(config, out);
    *out = lmx::plan_memory(*config);
  });
}

lmx_status lmx_trainer_create(const lmx_trainer_config* config, lmx_trainer** out) {
  return guarded([&] {
    require(config, out);
    *out = nullptr;
    *out = new lmx_trainer(*config);
  });
}

void lmx_trainer_destroy(lmx_trainer* trainer) { delete trainer; }

lmx_status lmx_trainer_memory(const lmx_trainer* trainer, lmx_memory* out) {
  return guarded([&] {
    require(trainer, out);
    *out = trainer->trainer.memory();
  });
}

lmx_status lmx_trainer_train(lmx_trainer* trainer, int64_t steps, const int32_t* tokens, const int32_t* targets,
                             lmx_step_result* out) {
  return guarded([&] {
    require(trainer, out);
    trainer->trainer.train(steps, tokens, targets, out);
  });
}

lmx_status lmx_trainer_evaluate(lmx_trainer* trainer, int64_t count, const int32_t* tokens,
                                const int32_t* targets, float* loss, uint8_t* correct) {
  return guarded([&] {
    require(trainer);
    trainer->trainer.evaluate(count, tokens, targets, loss, correct);
  });
}

lmx_status lmx_trainer_probe(lmx_trainer* trainer, const int32_t* tokens, const int32_t* targets,
                             double* logits, double* hidden, double* loss) {
  return guarded([&] {
    require(trainer, loss);
    *loss = trainer->trainer.probe(tokens, targets, logits, hidden);
  });
}

int64_t lmx_trainer_tensor_count(const lmx_trainer* trainer) {
  return trainer == nullptr ? 0 : static_cast<int64_t>(trainer->trainer.tensors().size());
}

lmx_status lmx_trainer_tensor_info(const lmx_trainer* trainer, int64_t index, lmx_tensor_info* out) {
  return guarded([&] {
    require(trainer, out);
    *out = lmx::boundary::describe(lmx::boundary::numbered(trainer->trainer.tensors(), index));
  });
}

lmx_status lmx_trainer_read(const lmx_trainer* trainer, const char* name, int32_t part, void* out,
                            int32_t bytes_per_element) {
  return guarded([&] {
    require(trainer, name, out);
    if (bytes_per_element == 8) return trainer->trainer.read(name, part, static_cast<double*>(out));
    if (bytes_per_element == 4) return trainer->trainer.read(name, part, static_cast<float*>(out));
    reject_element_bytes(bytes_per_element);
  });
}

lmx_status lmx_trainer_write(lmx_trainer* trainer, const char* name, int32_t part, const void* data,
                             int32_t bytes_per_element) {
  return guarded([&] {
    require(trainer, name, data);
    if (bytes_per_element == 8) return trainer->trainer.write(name, part, static_cast<const double*>(data));
    if (bytes_per_element == 4) return trainer->trainer.write(name, part, static_cast<const float*>(data));
    reject_element_bytes(bytes_per_element);
  });
}

int64_t lmx_trainer_step_index(const lmx_trainer* trainer) {
  return trainer == nullptr ? 0 : trainer->trainer.step_index();
}

lmx_status lmx_trainer_set_step_index(lmx_trainer* trainer, int64_t step) {
  return guarded([&] {
    require(trainer);
    trainer->trainer.set_step_index(step);
  });
}
