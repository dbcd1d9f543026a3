// Where every buffer of a trainer lies. One planning code path, run twice: an Arena without memory only
// measures (no device needed); one with memory hands out pointers at the very same offsets. So a memory plan
// is the allocation, byte for byte. The rule itself is written down in kernels/model/MEMORY.md.
#pragma once

#include <array>
#include <cstddef>
#include <string>

#include "backend.h"
#include "common/error.h"

namespace lmx {

// The last two are a decoder's: the KV cache, and recurrent states.
enum class Region { weights, gradients, optimizer, activations, workspace, cache, state };
inline constexpr std::size_t region_count = 7;
inline constexpr std::size_t buffer_alignment = 256;

class Arena {
 public:
  using Bases = std::array<void*, region_count>;

  Arena() = default;                                     // measures: take() returns null
  explicit Arena(const Bases& bases) : bases_(bases) {}  // binds: the bases are 256-byte aligned

  // The next buffer of a region: `count` elements, starting on a 256-byte boundary.
  void* take(Region region, index_t count, DType type) {
    std::size_t bytes = 0;
    if (count < 0 || __builtin_mul_overflow(static_cast<std::size_t>(count), dtype_bytes(type), &bytes)) {
      throw InvalidArgument("a buffer of " + std::to_string(count) + " elements is too large to address");
    }
    return take_bytes(region, bytes);
  }

  void* take_bytes(Region region, std::size_t bytes) {
    std::size_t& used = used_[index(region)];
    std::size_t& peak = peak_[index(region)];
    void* const base = bases_[index(region)];
    void* const pointer = base == nullptr ? nullptr : static_cast<std::byte*>(base) + used;
    if (bytes > max_bytes - used - buffer_alignment)
      throw InvalidArgument("the model is too large to address");
    used += (bytes + buffer_alignment - 1) / buffer_alignment * buffer_alignment;
    if (used > peak) peak = used;
    return pointer;
  }

  // Buffers taken between mark() and rewind() share their space with those taken after it.
  std::size_t mark(Region region) const { return used_[index(region)]; }
  void rewind(Region region, std::size_t mark) { used_[index(region)] = mark; }

  // Bytes a region needs: the most that was in use at once.
  std::size_t bytes(Region region) const { return peak_[index(region)]; }

 private:
  static constexpr std::size_t max_bytes = std::size_t{1} << 62;
  static std::size_t index(Region region) { return static_cast<std::size_t>(region); }

  Bases bases_{};
  std::array<std::size_t, region_count> used_{};
  std::array<std::size_t, region_count> peak_{};
};

}  // namespace lmx
