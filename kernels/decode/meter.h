// Times single operations of prefill and decoding on one device, for models of the hardware: the very calls that a decoder makes,
// on random operands. Weights, caches and states are rotated among copies that together exceed every cache; activations stay where
// they are, as in a model, whose operations find them where the one before left them.
#pragma once

#include <memory>
#include <string>

#include "backend.h"
#include "layermix.h"

namespace lmx {

class Meter {
 public:
  // fp32 on the CPU, bf16 on a GPU. Throws NoDevice, InvalidArgument.
  Meter(const std::string& device, int threads);

  // About `seconds` of timed calls after a warm-up. Throws InvalidArgument, OutOfMemory.
  lmx_measurement measure(const lmx_operation& operation, double seconds);

 private:
  std::unique_ptr<Backend> backend_;
};

}  // namespace lmx
