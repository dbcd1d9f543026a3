// Which kernel the SSD scan's gradients take by the shared memory of a card: one that fits, or a refusal that says what does not.
// Sizes are those of CUDA's occupancy tables: compute capability 9.0, 8.0, and 8.6, 8.9, 12.0. Needs the CUDA build, but no GPU.
#include <string>

#include "check.h"
#include "common/error.h"
#include "cuda/ssd_gradient.cuh"

using namespace lmx;

namespace {

constexpr std::size_t kHopper = 227 * 1024, kA100 = 163 * 1024, kAda = 99 * 1024;

bool refused(const SsdShape& s, std::size_t shared_memory, std::string& why) {
  try {
    cuda::ssd_gradient_require(s, shared_memory);
    return false;
  } catch (const InvalidArgument& error) {
    why = error.what();
    return true;
  }
}

}  // namespace

int main() {
  for (const std::size_t card : {kHopper, kA100, kAda}) {
    for (const index_t head_dim : {32, 64, 128, 256}) {
      for (const index_t state : {8, 16, 32, 40, 64, 72, 128, 136, 256}) {
        const SsdShape s{2, 300, 4, head_dim, 1, state, 128, 0};
        const bool takes = card != kAda || state <= 128 || head_dim == 32;
        const std::size_t bytes = cuda::ssd_gradient_shared_bytes(cuda::SsdGeometry(s), card);
        std::string why;
        CHECK((bytes <= card) == takes, "head_dim %ld, state %ld: %zu bytes of %zu", long(head_dim), long(state), bytes, card);
        CHECK(refused(s, card, why) == !takes, "head_dim %ld, state %ld on %zu bytes: %s", long(head_dim), long(state), card, why.c_str());
      }
    }
  }
  // A state of 128 is cut in two where one piece is too large.
  const cuda::SsdGeometry usual({2, 300, 4, 64, 1, 128, 128, 0});
  CHECK(cuda::ssd_gradient_pieces(usual, kHopper) == 1, "two pieces on Hopper");
  CHECK(cuda::ssd_gradient_pieces(usual, kA100) == 1, "two pieces on an A100");
  CHECK(cuda::ssd_gradient_pieces(usual, kAda) == 2, "one piece on Ada");
  std::string why;
  CHECK(refused({1, 128, 4, 64, 1, 256, 128, 0}, kAda, why), "taken");
  CHECK(why == "ssd_scan's gradients on a GPU with 101376 bytes of shared memory per block: Expected a state of at most 128, or "
               "head_dim of at most 32, got state 256 and head_dim 64, which take 109568 bytes",
        "%s", why.c_str());
  return TEST_RESULT();
}
