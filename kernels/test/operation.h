// One operation as data: what it reads, what it writes, how to run it forward and backward, and what it
// costs. The same table (operations.h) drives the float-against-double test, finite differences, thread
// invariance and the benchmarks.
//
// Every buffer stands between guard zones, may have rows further apart than they are wide (the gap must stay
// untouched), and is filled with NaN before an operation overwrites it.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "backend.h"
#include "common/philox.h"

namespace lmx::test {

// Shape and meaning of one buffer of an operation.
struct Tensor {
  std::string name;
  index_t rows = 1, cols = 1;
  double scale = 1;  // inputs: values are scale * normal + offset
  double offset = 0;
  bool accumulates = false;  // its gradient is added to what the buffer holds
  index_t gap = 0;           // elements between two rows that belong to somebody else
  index_t stride() const { return cols + gap; }
  index_t count() const { return rows * cols; }
};

// The elements of one buffer of a given element type, with guards around it.
class Buffer {
 public:
  Buffer(const Tensor& tensor, DType dtype) : tensor_(tensor), dtype_(dtype) {
    bytes_.assign((2 * guard + tensor.rows * tensor.stride()) * dtype_bytes(dtype), guard_byte);
  }
  void* data() { return bytes_.data() + guard * dtype_bytes(dtype_); }
  index_t stride() const { return tensor_.stride(); }
  operator void*() { return data(); }
  Strided strided() { return {data(), stride()}; }
  ConstStrided view() { return {data(), stride()}; }

  double get(index_t i) const {
    const unsigned char* at = bytes_.data() + element(i) * dtype_bytes(dtype_);
    if (dtype_ == DType::f64) return read<double>(at);
    return read<float>(at);
  }
  void set(index_t i, double value) {
    unsigned char* at = bytes_.data() + element(i) * dtype_bytes(dtype_);
    if (dtype_ == DType::f64) {
      std::memcpy(at, &value, 8);
    } else {
      const float narrow = static_cast<float>(value);
      std::memcpy(at, &narrow, 4);
    }
  }
  void fill(double value) {
    for (index_t i = 0; i < tensor_.count(); ++i) set(i, value);
  }
  // Normal values that float represents exactly, the same for every element type.
  void randomize(std::uint64_t seed) {
    for (index_t i = 0; i < tensor_.count(); ++i) {
      set(i, static_cast<float>(tensor_.scale * random_normal(seed, 1, i) + tensor_.offset));
    }
  }
  std::vector<double> values() const {
    std::vector<double> result(tensor_.count());
    for (index_t i = 0; i < tensor_.count(); ++i) result[i] = get(i);
    return result;
  }
  // The content of a buffer of the same shape and type.
  void copy(const Buffer& other) {
    std::memcpy(data(), other.bytes_.data() + guard * dtype_bytes(dtype_), payload_bytes());
  }
  // Whether guards and gaps are as they were.
  bool intact() const {
    const std::size_t width = dtype_bytes(dtype_);
    for (std::size_t at = 0; at < bytes_.size(); ++at) {
      const index_t element = static_cast<index_t>(at / width) - guard;
      const bool owned = element >= 0 && element < tensor_.rows * tensor_.stride() &&
                         element % tensor_.stride() < tensor_.cols;
      if (!owned && bytes_[at] != guard_byte) return false;
    }
    return true;
  }
  bool same_bits(const Buffer& other) const { return bytes_ == other.bytes_; }
  const Tensor& tensor() const { return tensor_; }

 private:
  static constexpr index_t guard = 64;
  static constexpr unsigned char guard_byte = 0xA5;
  template <class T>
  static double read(const unsigned char* at) {
    T value;
    std::memcpy(&value, at, sizeof value);
    return value;
  }
  std::size_t payload_bytes() const { return tensor_.rows * tensor_.stride() * dtype_bytes(dtype_); }
  index_t element(index_t i) const { return guard + i / tensor_.cols * tensor_.stride() + i % tensor_.cols; }

  Tensor tensor_;
  DType dtype_;
  std::vector<unsigned char> bytes_;
};

using Buffers = std::vector<Buffer>;

// All buffers of one run: gradients of outputs come in, gradients of inputs go out.
struct Run {
  Buffers inputs, outputs, saved, output_gradients, input_gradients;
};

struct Operation {
  std::string name;  // with its shape, for messages
  std::vector<Tensor> inputs, outputs, saved;
  std::function<void(Run&)> restore;  // what an operation in place needs before each forward; may be empty
  std::function<void(Backend&, Run&)> forward, backward;  // backward may be empty
  std::function<std::size_t(const Backend&)> workspace;   // bytes; may be empty
  double forward_flops = 0, backward_flops = 0;
  double forward_bytes = 0, backward_bytes = 0;  // memory that must move, at 4 bytes an element
  double tolerance = 1e-5;                       // relative Frobenius error of float against double
  double cotangent = 0;                          // nonzero: every output gradient has this value
};

// The workspace an operation asks for, bound for as long as this lives.
class BoundWorkspace {
 public:
  BoundWorkspace(Backend& backend, const Operation& operation) : backend_(backend) {
    const std::size_t bytes = operation.workspace ? operation.workspace(backend) : 0;
    memory_ = backend.allocate(bytes);
    std::memset(memory_, 0xFF, bytes);  // NaN: nothing may rely on its content
    backend.bind_workspace(memory_, bytes);
  }
  ~BoundWorkspace() {
    backend_.bind_workspace(nullptr, 0);
    backend_.release(memory_);
  }
  BoundWorkspace(const BoundWorkspace&) = delete;
  BoundWorkspace& operator=(const BoundWorkspace&) = delete;

 private:
  Backend& backend_;
  void* memory_;
};

// Random inputs, poisoned outputs, gradient buffers holding NaN or, where they accumulate, random values.
inline Run prepare(const Operation& operation, DType dtype, std::uint64_t seed) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  Run run;
  const auto add = [&](Buffers& list, const std::vector<Tensor>& tensors, auto fill) {
    for (const Tensor& tensor : tensors) fill(list.emplace_back(tensor, dtype));
  };
  add(run.inputs, operation.inputs, [&](Buffer& b) { b.randomize(++seed); });
  add(run.outputs, operation.outputs, [&](Buffer& b) { b.fill(nan); });
  add(run.saved, operation.saved, [&](Buffer& b) { b.fill(nan); });
  for (Tensor tensor : operation.outputs) {
    tensor.scale = 1;
    tensor.offset = 0;
    Buffer& b = run.output_gradients.emplace_back(tensor, dtype);
    operation.cotangent != 0 ? b.fill(operation.cotangent) : b.randomize(++seed);
  }
  for (Tensor tensor : operation.inputs) {
    tensor.scale = 1;
    tensor.offset = 0;
    Buffer& b = run.input_gradients.emplace_back(tensor, dtype);
    tensor.accumulates ? b.randomize(++seed) : b.fill(nan);
  }
  return run;
}

inline void execute_forward(Backend& backend, const Operation& operation, Run& run) {
  if (operation.restore) operation.restore(run);
  operation.forward(backend, run);
}

inline void execute(Backend& backend, const Operation& operation, Run& run) {
  const BoundWorkspace workspace(backend, operation);
  execute_forward(backend, operation, run);
  if (operation.backward) operation.backward(backend, run);
}

// |a - b| / |b| in the Frobenius norm; |a| where b is zero. NaN where either holds one.
inline double relative_error(const std::vector<double>& a, const std::vector<double>& b) {
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference += (a[i] - b[i]) * (a[i] - b[i]);
    norm += b[i] * b[i];
  }
  return norm > 0 ? std::sqrt(difference / norm) : std::sqrt(difference);
}

}  // namespace lmx::test
