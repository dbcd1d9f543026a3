// A check that reports values and keeps going, and the exit status of a test executable. Nothing to install.
#pragma once

#include <cstdio>

namespace lmx::test {

inline int& failure_count() {
  static int count = 0;
  return count;
}

}  // namespace lmx::test

// CHECK(condition, printf-style explanation with the values)
#define CHECK(condition, ...)                                                  \
  do {                                                                         \
    if (!(condition)) {                                                        \
      ++lmx::test::failure_count();                                            \
      std::fprintf(stderr, "%s:%d: %s\n    ", __FILE__, __LINE__, #condition); \
      std::fprintf(stderr, __VA_ARGS__);                                       \
      std::fprintf(stderr, "\n");                                              \
    }                                                                          \
  } while (false)

#define CHECK_THROWS(expression, Type)                        \
  do {                                                        \
    bool thrown = false;                                      \
    try {                                                     \
      expression;                                             \
    } catch (const Type&) {                                   \
      thrown = true;                                          \
    }                                                         \
    CHECK(thrown, "expected %s from %s", #Type, #expression); \
  } while (false)

// The last line of main: prints a verdict and returns the exit status.
#define TEST_RESULT()                                                                    \
  (std::printf("%s: %s\n", __FILE__, lmx::test::failure_count() == 0 ? "ok" : "FAILED"), \
   lmx::test::failure_count() == 0 ? 0 : 1)
