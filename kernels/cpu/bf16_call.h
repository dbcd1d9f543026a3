// The arguments of one call of the bf16 reference as doubles: what comes in is widened, what goes out is rounded to its
// element type when the call ends. Outputs have copies of their own, so arguments may alias.
#pragma once

#include <deque>
#include <vector>

#include "../backend.h"
#include "../common/bf16.h"

namespace lmx::cpu {

class Bf16Call {
 public:
  Bf16Call() = default;
  ~Bf16Call() {
    for (const Output& output : outputs_) store(output);
  }
  Bf16Call(const Bf16Call&) = delete;
  Bf16Call& operator=(const Bf16Call&) = delete;

  // bf16 in; null stays null. Views become dense: rows `cols` apart.
  const double* in(const void* data, index_t count) { return in({data, count}, 1, count).data; }
  StridedOf<const double*> in(ConstStrided view, index_t rows, index_t cols) {
    if (view.data == nullptr) return {nullptr, cols};
    double* const values = make(rows * cols);
    const auto* const from = static_cast<const std::uint16_t*>(view.data);
    for (index_t r = 0; r < rows; ++r) {
      for (index_t c = 0; c < cols; ++c) values[r * cols + c] = bf16_to_float(from[r * view.stride + c]);
    }
    return {values, cols};
  }
  // float in.
  const double* stat(const void* data, index_t count) { return load(data, count); }

  // Overwritten, as bf16.
  double* out(void* data, index_t count) { return out(Strided{data, count}, 1, count).data; }
  StridedOf<double*> out(Strided view, index_t rows, index_t cols) {
    if (view.data == nullptr) return {nullptr, cols};
    outputs_.push_back({view, rows, cols, make(rows * cols), true});
    return {outputs_.back().values, cols};
  }
  // Overwritten, or added to, as float.
  double* out_stat(void* data, index_t count) {
    if (data == nullptr) return nullptr;
    outputs_.push_back({{data, count}, 1, count, make(count), false});
    return outputs_.back().values;
  }
  double* add_stat(void* data, index_t count) {
    if (data == nullptr) return nullptr;
    outputs_.push_back({{data, count}, 1, count, load(data, count), false});
    return outputs_.back().values;
  }
  double* scratch(index_t count) { return make(count); }

 private:
  struct Output {
    Strided view;
    index_t rows, cols;
    double* values;
    bool narrow;  // bf16, else float
  };

  double* make(index_t count) {
    buffers_.emplace_back(static_cast<std::size_t>(count));
    return buffers_.back().data();
  }
  double* load(const void* data, index_t count) {
    if (data == nullptr) return nullptr;
    double* const values = make(count);
    for (index_t i = 0; i < count; ++i) values[i] = static_cast<const float*>(data)[i];
    return values;
  }
  static void store(const Output& o) {
    for (index_t r = 0; r < o.rows; ++r) {
      for (index_t c = 0; c < o.cols; ++c) {
        const float value = static_cast<float>(o.values[r * o.cols + c]);
        const index_t at = r * o.view.stride + c;
        if (o.narrow) {
          static_cast<std::uint16_t*>(o.view.data)[at] = float_to_bf16(value);
        } else {
          static_cast<float*>(o.view.data)[at] = value;
        }
      }
    }
  }

  std::deque<std::vector<double>> buffers_;
  std::vector<Output> outputs_;
};

inline void round_to_bf16(double* values, index_t count) {
  for (index_t i = 0; i < count; ++i) values[i] = bf16_rounded(values[i]);
}

}  // namespace lmx::cpu
