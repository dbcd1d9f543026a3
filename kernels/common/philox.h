// Philox4x32-10, a counter-based random number generator (Salmon et al., "Parallel random numbers: as easy as
// 1, 2, 3", SC'11). A value is a pure function of (seed, stream, index): it depends on no order, no thread
// and no device, and a resumed run needs to store nothing but its index.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>

namespace lmx {

using PhiloxBlock = std::array<std::uint32_t, 4>;

// Four random words for one 128-bit counter under one 64-bit key.
inline PhiloxBlock philox4x32(PhiloxBlock counter, std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xD2511F53u} * counter[0];
    const std::uint64_t b = std::uint64_t{0xCD9E8D57u} * counter[2];
    counter = {static_cast<std::uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(b),
               static_cast<std::uint32_t>(a >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(a)};
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  return counter;
}

// The block that belongs to element `index` of stream `stream` (a tensor, a purpose) of a run seeded with
// `seed`.
inline PhiloxBlock random_block(std::uint64_t seed, std::uint64_t stream, std::uint64_t index) {
  return philox4x32({static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32),
                     static_cast<std::uint32_t>(stream), static_cast<std::uint32_t>(stream >> 32)},
                    {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)});
}

// Two words -> a double in (0, 1): 52 random bits, centred in their interval so that neither end is reached.
inline double to_unit_interval(std::uint32_t high, std::uint32_t low) {
  const std::uint64_t bits = (std::uint64_t{high} << 20) | (low >> 12);
  return (static_cast<double>(bits) + 0.5) * 0x1p-52;
}

// Uniform in (0, 1).
inline double random_uniform(std::uint64_t seed, std::uint64_t stream, std::uint64_t index) {
  const PhiloxBlock block = random_block(seed, stream, index);
  return to_unit_interval(block[0], block[1]);
}

// Standard normal (Box-Muller, the cosine branch).
inline double random_normal(std::uint64_t seed, std::uint64_t stream, std::uint64_t index) {
  const PhiloxBlock block = random_block(seed, stream, index);
  const double radius = std::sqrt(-2.0 * std::log(to_unit_interval(block[0], block[1])));
  return radius * std::cos(6.283185307179586477 * to_unit_interval(block[2], block[3]));
}

}  // namespace lmx
