// Numbers below 1.2e-38 become zero while one of these lives on a thread. Decays and softmax weights
// underflow all the time, and a processor may take a hundred times as long for a product with a denormal
// number as for any other.
#pragma once

#include <cstdint>

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

namespace lmx {

class FlushDenormals {
 public:
  FlushDenormals() : before_(get()) { set(before_ | flush_bits); }
  ~FlushDenormals() { set(before_); }
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
#if defined(__SSE2__)
  static constexpr std::uint64_t flush_bits = 0x8040;  // results to zero, operands as zero
  static std::uint64_t get() { return _mm_getcsr(); }
  static void set(std::uint64_t state) { _mm_setcsr(static_cast<unsigned>(state)); }
#elif defined(__aarch64__)
  static constexpr std::uint64_t flush_bits = std::uint64_t{1} << 24;  // FZ, both
  static std::uint64_t get() {
    std::uint64_t state;
    __asm__ __volatile__("mrs %0, fpcr" : "=r"(state));
    return state;
  }
  static void set(std::uint64_t state) { __asm__ __volatile__("msr fpcr, %0" : : "r"(state)); }
#else
  static constexpr std::uint64_t flush_bits = 0;
  static std::uint64_t get() { return 0; }
  static void set(std::uint64_t) {}
#endif

  const std::uint64_t before_;
};

}  // namespace lmx
