// Philox4x32-10 against the known answers published with the Random123 library, and the moments of its
// transforms.
#include "../common/philox.h"

#include "check.h"

using lmx::PhiloxBlock;

static void check_block(PhiloxBlock got, PhiloxBlock expected) {
  for (int i = 0; i < 4; ++i)
    CHECK(got[i] == expected[i], "word %d: got %08x, expected %08x", i, got[i], expected[i]);
}

int main() {
  check_block(lmx::philox4x32({0, 0, 0, 0}, {0, 0}), {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  check_block(lmx::philox4x32({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}),
              {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  check_block(lmx::philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
              {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});

  // Random words at the ends still give the open interval.
  CHECK(lmx::to_unit_interval(0, 0) > 0, "lower end reached");
  CHECK(lmx::to_unit_interval(~0u, ~0u) < 1, "upper end reached");

  // Moments of 200,000 draws: the bounds are five standard errors.
  const int draws = 200000;
  double uniform_sum = 0, normal_sum = 0, normal_squares = 0;
  for (int i = 0; i < draws; ++i) {
    uniform_sum += lmx::random_uniform(7, 1, i);
    const double z = lmx::random_normal(7, 2, i);
    normal_sum += z;
    normal_squares += z * z;
  }
  CHECK(std::fabs(uniform_sum / draws - 0.5) < 5 * 0.2887 / std::sqrt(draws), "mean %g", uniform_sum / draws);
  CHECK(std::fabs(normal_sum / draws) < 5 / std::sqrt(draws), "mean %g", normal_sum / draws);
  CHECK(std::fabs(normal_squares / draws - 1) < 5 * 1.4142 / std::sqrt(draws), "variance %g",
        normal_squares / draws);

  // Seed, stream and index all matter.
  CHECK(lmx::random_uniform(7, 1, 0) != lmx::random_uniform(8, 1, 0), "seed ignored");
  CHECK(lmx::random_uniform(7, 1, 0) != lmx::random_uniform(7, 2, 0), "stream ignored");
  CHECK(lmx::random_uniform(7, 1, 0) != lmx::random_uniform(7, 1, 1), "index ignored");
  return TEST_RESULT();
}
