// The C ABI over Trainer: exceptions become status codes and lmx_last_error(), null pointers become errors.

#include <new>
#include <string>

#include "common/error.h"
#include "cpu/cpu_backend.h"
#include "layermix.h"
#include "train/device.h"
#include "train/trainer.h"

struct lmx_trainer {
  explicit lmx_trainer(const lmx_trainer_config& config) : trainer(config) {}
  lmx::Trainer trainer;
};

namespace {

thread_local std::string last_error;

lmx_status fail(lmx_status status, const char* message) {
  try {
    last_error = message;
  } catch (...) {  // no memory even for the message
    last_error.clear();
  }
  return status;
}

template <class Action>
lmx_status guarded(Action action) {
  try {
    action();
    return LMX_OK;
  } catch (const lmx::InvalidArgument& error) {
    return fail(LMX_INVALID_ARGUMENT, error.what());
  } catch (const lmx::NotFound& error) {
    return fail(LMX_NOT_FOUND, error.what());
  } catch (const lmx::NoDevice& error) {
    return fail(LMX_NO_DEVICE, error.what());
  } catch (const lmx::OutOfMemory& error) {
    return fail(LMX_OUT_OF_MEMORY, error.what());
  } catch (const std::bad_alloc&) {
    return fail(LMX_OUT_OF_MEMORY, "out of host memory");
  } catch (const std::exception& error) {
    return fail(LMX_INTERNAL, error.what());
  } catch (...) {
    return fail(LMX_INTERNAL, "unknown error");
  }
}

template <class... Pointers>
void require(const Pointers*... pointers) {
  if (((pointers == nullptr) || ...)) throw lmx::InvalidArgument("expected an argument, got null");
}

[[noreturn]] void reject_element_bytes(int32_t bytes) {
  throw lmx::InvalidArgument("expected 4 or 8 bytes per element, got " + std::to_string(bytes));
}

}  // namespace

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

lmx_status lmx_trainer_step(lmx_trainer* trainer, const int32_t* tokens, const int32_t* targets,
                            lmx_step_result* out) {
  return guarded([&] {
    require(trainer, out);
    *out = trainer->trainer.step(tokens, targets);
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
    const int64_t count = lmx_trainer_tensor_count(trainer);
    if (index < 0 || index >= count) {
      throw lmx::NotFound("no tensor " + std::to_string(index) + " of " + std::to_string(count));
    }
    const lmx::Parameter& parameter = trainer->trainer.tensors()[static_cast<std::size_t>(index)];
    *out = {parameter.name.c_str(),
            static_cast<int32_t>(parameter.shape.size()),
            {},
            parameter.count,
            parameter.decayed() ? 1 : 0};
    for (std::size_t i = 0; i < parameter.shape.size(); ++i) out->shape[i] = parameter.shape[i];
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
