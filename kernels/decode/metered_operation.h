// One operation of layermix.h's lmx_operation, with its operands, ready to be called again and again.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "inference.h"
#include "layermix.h"

namespace lmx {

// Backend memory that is freed in the end.
class OperandMemory {
 public:
  explicit OperandMemory(Backend& backend) : backend_(backend) {}
  ~OperandMemory();
  OperandMemory(const OperandMemory&) = delete;
  OperandMemory& operator=(const OperandMemory&) = delete;

  void* take(index_t count, DType type);
  // Filled with normal values; stream numbers keep them apart.
  void* random(index_t count, DType type, double scale = 1);
  // Copies of one buffer of random values, at least one, which together exceed every cache.
  std::vector<void*> rotated(index_t count, DType type, double scale = 1);

 private:
  Backend& backend_;
  std::vector<void*> pointers_;
  std::uint64_t stream_ = 0;
};

struct MeteredOperation {
  std::function<void(std::size_t)> call;  // call number i: decides which copy of rotated operands is used
  std::size_t copies = 1;
  std::size_t workspace_bytes = 0;
  double bytes = 0, flops = 0;
};

// Throws InvalidArgument where a size is missing or out of range.
MeteredOperation metered_operation(Backend& backend, OperandMemory& memory, const lmx_operation& operation);

}  // namespace lmx
