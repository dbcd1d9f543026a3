// MLP halves as one kernel against the pair of product and activation: the same bits from every candidate, launched and replayed,
// nothing written beside the output; and what the class that chooses among them returns, before, in and after a recording. Exits 77
// (skipped) where there is no device or none that the kernels run on.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "check.h"
#include "cuda/cuda_backend.h"
#include "cuda/mlp.h"
#include "cuda/recording.h"
#include "cuda_arrays.h"

using namespace lmx;
using namespace lmx::test;
using cuda::bf16;
using cuda::MlpHalf;

namespace {

using Bits = std::vector<double>;

bool same(const Bits& a, const Bits& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0;
}

struct Case {
  MlpShape shape;
  MlpHalf half;
  DeviceArray<bf16> input, weight, a, result;

  Case(index_t rows, index_t hidden, index_t width, MlpHalf which)
      : shape{rows, hidden, width, Activation::relu2, false},
        half(which),
        input(rows, hidden),
        weight(width, hidden),
        a(rows, width),
        result(rows, width) {
    input.normal(1);
    weight.normal(2, 1 / std::sqrt(static_cast<double>(hidden)));
    a.fill([](index_t i) { return std::pow(std::max(random_normal(3, 0, i), 0.0), 2); });
  }
  cuda::MlpOperands operands() { return {input, weight, half == MlpHalf::forward ? nullptr : a.data(), result}; }

  // What `run` leaves in a poisoned result.
  template <class Run>
  Bits output(cudaStream_t stream, const char* name, const Run& run) {
    result.poison();
    run();
    cuda::check(cudaStreamSynchronize(stream), name);
    Bits bits;
    CHECK(result.fetch(bits), "%s: wrote beside its output", name);
    return bits;
  }
};

void compare(cuda::Gemm& gemm, Case& c, cudaStream_t stream) {
  const MlpShape& s = c.shape;
  const std::string shape = std::string(c.half == MlpHalf::forward ? "forward " : "backward ") + std::to_string(s.rows) + "x" +
                            std::to_string(s.hidden) + "x" + std::to_string(s.width);
  CHECK(cuda::fused_mlp_takes(s, c.operands()), "%s is not taken", shape.c_str());
  const Bits pair = c.output(stream, (shape + ", pair").c_str(), [&] { cuda::mlp_pair(gemm, c.half, s, c.operands(), stream); });
  for (const cuda::FusedMlp& candidate : cuda::fused_mlp(c.half)) {
    const std::string name = shape + ", " + candidate.name;
    candidate.allow();
    const auto launch = [&] { candidate.launch(s, c.operands(), stream); };
    CHECK(same(c.output(stream, name.c_str(), launch), pair), "%s: not the bits of the pair", name.c_str());
    const cuda::Recording recording(stream, launch);
    const auto replay = [&] { recording.launch(stream); };
    CHECK(same(c.output(stream, name.c_str(), replay), pair), "%s: not the bits of the pair when replayed", name.c_str());
  }

  cuda::Mlp mlp(gemm);
  const auto serve = [&] {
    const cuda::MlpOperands o = c.operands();
    if (c.half == MlpHalf::forward) return mlp.forward(s, o.input, o.weight, o.saved, o.result, stream);
    mlp.backward_input(s, o.input, o.weight, o.saved, o.result, stream);
  };
  const auto recorded = [&] { cuda::Recording(stream, serve).launch(stream); };
  CHECK(same(c.output(stream, shape.c_str(), recorded), pair), "%s: recorded before a choice", shape.c_str());
  CHECK(same(c.output(stream, shape.c_str(), serve), pair), "%s: while it chooses", shape.c_str());
  CHECK(same(c.output(stream, shape.c_str(), serve), pair), "%s: as chosen", shape.c_str());
  CHECK(same(c.output(stream, shape.c_str(), recorded), pair), "%s: recorded as chosen", shape.c_str());
}

}  // namespace

int main() {
  std::string reason;
  if (cuda_device_count(&reason) == 0 || !cuda::fused_mlp_device() || cuda::fused_mlp_forward().empty()) {
    std::printf("skipped: no CUDA device, none of compute capability 9.0, or no CUTLASS in this build %s\n", reason.c_str());
    return 77;
  }
  cudaStream_t stream = nullptr;
  cuda::check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreate");
  DeviceArray<char> workspace(1, cuda::Gemm::workspace_bytes);
  cuda::Gemm gemm;
  gemm.bind_workspace(workspace, cuda::Gemm::workspace_bytes);
  for (const MlpHalf half : {MlpHalf::forward, MlpHalf::backward}) {
    // One tile and less, tiles that end beyond the matrix, sums that are no multiple of 64, more tiles than multiprocessors.
    for (const LinearShape& up : {LinearShape{1, 8, 8}, {128, 64, 128}, {300, 64, 384}, {520, 136, 520}, {1000, 768, 512},
                                  {2400, 72, 2056}, {8192, 128, 512}}) {
      Case c(up.rows, up.in, up.out, half);
      compare(gemm, c, stream);
    }
    Case odd(64, 64, 64, half);
    cuda::MlpOperands o = odd.operands();
    ++o.input;
    CHECK(!cuda::fused_mlp_takes(odd.shape, o), "an operand that starts at no multiple of 16 bytes is taken");
    CHECK(!cuda::fused_mlp_takes({64, 60, 64, Activation::relu2, false}, odd.operands()), "60 hidden are taken");
    CHECK(!cuda::fused_mlp_takes({64, 64, 64, Activation::relu2, true}, odd.operands()), "a gate is taken");
    CHECK(!cuda::fused_mlp_takes({64, 64, 64, Activation::silu, false}, odd.operands()), "silu is taken");
  }
  cuda::check(cudaStreamDestroy(stream), "cudaStreamDestroy");
  return TEST_RESULT();
}
