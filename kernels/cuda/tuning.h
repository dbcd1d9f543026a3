// What choosing among candidates takes that must all return the same bits (gemm.cu, mlp.cu): operands that show the order of a sum,
// memory for the length of a choice, comparison and times.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>

#include "../backend.h"
#include "check.h"
#include "pack.cuh"

namespace lmx::cuda {

// Largest power of two up to 256 that divides an address.
inline unsigned alignment_of(const void* pointer) {
  const auto address = reinterpret_cast<std::uintptr_t>(pointer) | 256;
  return static_cast<unsigned>(address & (~address + 1));
}

// Whether the candidates' times are to be printed: LAYERMIX_GEMM_LOG.
bool logs_candidates();

bool is_capturing(cudaStream_t stream);

// What this process has chosen, for every model of the same shapes that it trains after the first. Keys name the device.
template <class Key, class Choice>
class Choices {
 public:
  // The choice of a key, made by `choose` where there is none yet; what it returns empty is not kept. Models that begin together choose once:
  // one thread chooses, the others wait.
  template <class Choose>
  std::optional<Choice> find(const Key& key, const Choose& choose) {
    const std::lock_guard lock(mutex_);
    const auto found = choices_.find(key);
    if (found != choices_.end()) return found->second;
    const std::optional<Choice> choice = choose();
    if (choice) choices_.emplace(key, *choice);
    return choice;
  }

 private:
  std::mutex mutex_;
  std::map<Key, Choice> choices_;
};

// Device memory for the length of a scope; null when there is none left.
class Scratch {
 public:
  explicit Scratch(std::size_t bytes);
  ~Scratch() { cudaFree(pointer_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  void* get() const { return pointer_; }

 private:
  void* pointer_ = nullptr;
};

// An operand for telling orders of summation apart. Terms k and k + K/2 of every sum cancel exactly, so what a product returns is
// its rounding errors, different for every other order. Memory is rows of `stride` elements; k_first: the index over which the product
// sums runs along them. `sign` is that of the second half, -1 for one of the two operands. Sums of `sum_length` terms follow one another
// where a product is cut into several.
struct CancellingOperand {
  index_t count, stride, sum_length;
  bool k_first;
  float sign;
  std::uint32_t seed;
};
void fill_cancelling(const CancellingOperand&, bf16* values, cudaStream_t);

// Whether a and b differ in a word; waits. flag: one int of device memory.
bool differ(std::size_t bytes, const void* a, const void* b, void* flag, cudaStream_t);

// The best of several measurements of one launch, recorded many times over, by the device's clock; waits. Other streams disturb it.
double seconds_of(const std::function<void()>& launch, cudaStream_t);

}  // namespace lmx::cuda
