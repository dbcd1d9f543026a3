#include "model/parameters.h"

#include <utility>

#include "train/checked.h"

namespace lmx {

namespace {

constexpr index_t block_alignment = 16;  // elements
constexpr index_t row_alignment = 8;

index_t* range_count(Storage storage, index_t& matrices, index_t& convolutions, index_t& vectors) {
  switch (storage) {
    case Storage::matrix: return &matrices;
    case Storage::convolution: return &convolutions;
    case Storage::vector: return &vectors;
  }
  return nullptr;
}

}  // namespace

ParameterId ParameterTable::add(Storage storage, std::vector<TensorSpec> block) {
  index_t& used = *range_count(storage, matrix_count_, convolution_count_, vector_count_);
  const auto first = static_cast<ParameterId>(parameters_.size());
  index_t rows = 0;
  const index_t row_elements = storage == Storage::matrix ? block.front().shape.back() : 0;
  for (TensorSpec& spec : block) {
    rows += spec.shape.front();
    index_t count = 1;
    for (const index_t size : spec.shape) count = checked_product(spec.name.c_str(), {count, size});
    by_name_.emplace(spec.name, parameters_.size());
    parameters_.push_back(
        {std::move(spec.name), std::move(spec.shape), spec.initializer, storage, count, used});
    used += count;
  }
  used += (row_alignment - rows % row_alignment) % row_alignment * row_elements;
  used = (used + block_alignment - 1) / block_alignment * block_alignment;
  return first;
}

void ParameterTable::finish() {
  for (Parameter& parameter : parameters_) {
    if (parameter.storage != Storage::matrix) parameter.offset += matrix_count_;
    if (parameter.storage == Storage::vector) parameter.offset += convolution_count_;
  }
}

void ParameterTable::plan(Arena& arena, const Precision& precision) {
  stat_ = precision.stat;
  weight_ = precision.weight;
  master_ = arena.take(Region::weights, total_count(), stat_);
  if (weight_ != stat_) working_ = arena.take(Region::weights, matrix_count_, weight_);
  gradient_ = arena.take(Region::gradients, total_count(), stat_);
}

void ParameterTable::plan_inference(Arena& arena, const Precision& precision) {
  stat_ = precision.stat;
  weight_ = precision.weight;
  master_first_ = matrix_count_;
  working_ = arena.take(Region::weights, matrix_count_, weight_);
  master_ = arena.take(Region::weights, convolution_count_ + vector_count_, stat_);
}

const Parameter& ParameterTable::find(const std::string& name) const {
  const auto found = by_name_.find(name);
  if (found == by_name_.end()) throw NotFound("no tensor named " + name);
  return parameters_[found->second];
}

const void* ParameterTable::value(ParameterId id) const {
  const Parameter& parameter = parameters_[static_cast<std::size_t>(id)];
  const void* copy = working(parameter);
  return copy != nullptr ? copy : master(parameter);
}

void* ParameterTable::gradient(ParameterId id) const {
  return at(gradient_, parameters_[static_cast<std::size_t>(id)].offset, stat_);
}

void* ParameterTable::working(const Parameter& parameter) const {
  if (working_ == nullptr || parameter.storage != Storage::matrix) return nullptr;
  return at(working_, parameter.offset, weight_);
}

void* ParameterTable::at(void* base, index_t offset, DType type) {
  return static_cast<std::byte*>(base) + static_cast<std::size_t>(offset) * dtype_bytes(type);
}

}  // namespace lmx
