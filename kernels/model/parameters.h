// The parameters of a model in one flat array, so that clipping and AdamW are a few calls over ranges. Three
// ranges, each in the order of declaration: matrices (which have a working copy of the weight type where that
// is not the master's type), convolution weights, and vectors (which take no weight decay). A block - one
// tensor, or several that are used as one matrix - starts at a multiple of 16 elements, and one of matrices has room for a multiple of
// 8 rows: products on a GPU may count zeros in as rows, because matrix units want such numbers. Names are those of Hugging Face's
// NemotronH.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "backend.h"
#include "train/arena.h"

namespace lmx {

enum class Storage : std::uint8_t { matrix, convolution, vector };

// How a tensor starts; `scale` is the standard deviation or the half-width.
struct Initializer {
  enum class Kind : std::uint8_t { normal, uniform, log_uniform_decay, time_step_bias, one } kind;
  double scale = 0;
};

struct TensorSpec {
  std::string name;
  std::vector<index_t> shape;
  Initializer initializer;
};

struct Parameter {
  std::string name;
  std::vector<index_t> shape;
  Initializer initializer;
  Storage storage;
  index_t count;
  index_t offset;  // elements from the start of the flat array
  bool decayed() const { return storage != Storage::vector; }
};

// Index of a parameter in order of declaration.
enum class ParameterId : std::size_t {};

class ParameterTable {
 public:
  // Declares the tensors of one block; returns the first, which addresses the whole block.
  ParameterId add(Storage storage, std::vector<TensorSpec> block);

  // Fixes all offsets. No add() after it.
  void finish();

  // Takes the flat arrays from the arena; binds the pointers below.
  void plan(Arena& arena, const Precision& precision);

  // The same for a model that only runs: matrices in the weight type alone, everything else in stat, no gradients.
  void plan_inference(Arena& arena, const Precision& precision);

  const std::vector<Parameter>& all() const { return parameters_; }
  // Throws NotFound.
  const Parameter& find(const std::string& name) const;

  index_t matrix_count() const { return matrix_count_; }  // elements, padding included
  index_t convolution_count() const { return convolution_count_; }
  index_t vector_count() const { return vector_count_; }
  index_t total_count() const { return matrix_count_ + convolution_count_ + vector_count_; }

  // What operations read: the working copy of a matrix, the master of anything else (planned for inference, matrices have no
  // master).
  const void* value(ParameterId id) const;
  void* gradient(ParameterId id) const;
  void* master(const Parameter& parameter) const { return at(master_, parameter.offset - master_first_, stat_); }
  // Null where the master itself is what operations read.
  void* working(const Parameter& parameter) const;

  void* flat_master(index_t offset) const { return at(master_, offset, stat_); }
  void* flat_gradient(index_t offset) const { return at(gradient_, offset, stat_); }
  void* flat_working() const { return working_; }  // null when there is none

 private:
  static void* at(void* base, index_t offset, DType type);

  std::vector<Parameter> parameters_;
  std::unordered_map<std::string, std::size_t> by_name_;
  index_t matrix_count_ = 0, convolution_count_ = 0, vector_count_ = 0;
  DType stat_ = DType::f32, weight_ = DType::f32;
  index_t master_first_ = 0;  // offset of the first element that has a master
  void* master_ = nullptr;
  void* working_ = nullptr;
  void* gradient_ = nullptr;
};

}  // namespace lmx
