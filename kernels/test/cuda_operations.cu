// Every operation of the CUDA backend, forward and every gradient, against the fp64 oracle on the same bf16-representable inputs:
// relative Frobenius errors no more than twice those of a plain bf16 implementation, NaN where nothing was written, guards around every buffer and gaps inside strided ones, and the
// same bits when run twice. Exits 77 (skipped) where there is no device.
//   test_cuda_operations [NAME...]      only operations whose names begin so
//   test_cuda_operations K/N            every N-th operation from the K-th (0 to N - 1) on
#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

#include "check.h"
#include "cpu/bf16_backend.h"
#include "cpu/cpu_backend.h"
#include "cuda/cuda_backend.h"
#include "needs_device.h"
#include "operations.h"
#include "support/staged_backend.h"

using namespace lmx;
using namespace lmx::test;

namespace {

// How far a run may be from the oracle: twice as far as a plain bf16 implementation (cpu/bf16_backend.h), or what fp32 sums cost where
// that one has no error at all.
constexpr double kAllowance = 2, kFp32Error = 1e-5;

// Tensors of a few numbers - one per head - have an error that chance makes large or small: they are judged over several draws.
constexpr index_t kFew = 64;
constexpr std::uint64_t kDraws = 8;

// Both sides start from numbers that bf16 holds exactly.
void round_to_bf16(Run& run) {
  for (Buffers* list : {&run.inputs, &run.output_gradients}) {
    for (Buffer& b : *list) {
      for (index_t i = 0; i < b.tensor().count(); ++i) b.set(i, bf16_to_float(float_to_bf16(static_cast<float>(b.get(i)))));
    }
  }
}

Run run_on(Backend& backend, const Operation& op, DType dtype, std::uint64_t seed) {
  Run run = prepare(op, dtype, seed);
  round_to_bf16(run);
  execute(backend, op, run);
  return run;
}

// Squares of a tensor's differences from the oracle, and of the oracle's values, over all draws.
struct Distance {
  double difference = 0, norm = 0;
  void add(const std::vector<double>& got, const std::vector<double>& expected) {
    for (std::size_t i = 0; i < got.size(); ++i) {
      difference += (got[i] - expected[i]) * (got[i] - expected[i]);
      norm += expected[i] * expected[i];
    }
  }
  double relative() const { return std::sqrt(norm > 0 ? difference / norm : difference); }
};

// By what a tensor is and its name.
using Distances = std::map<std::string, Distance>;

void add_distances(const Operation& op, const Run& got, const Run& expected, Distances& to) {
  const auto add = [&](const char* what, const Buffers& a, const Buffers& b) {
    for (std::size_t i = 0; i < a.size(); ++i) {
      const std::string& name = a[i].tensor().name;
      if (name != "states") to[what + name].add(a[i].values(), b[i].values());  // states: the backend's own format
    }
  };
  add("output ", got.outputs, expected.outputs);
  add("saved ", got.saved, expected.saved);
  if (op.backward) add("gradient of ", got.input_gradients, expected.input_gradients);
}

bool has_few(const Operation& op) {
  const auto few = [](const Tensor& t) { return t.count() < kFew; };
  return std::any_of(op.inputs.begin(), op.inputs.end(), few);
}

void same_bits(const Operation& op, const Buffers& a, const Buffers& b) {
  for (std::size_t i = 0; i < a.size(); ++i) {
    CHECK(a[i].same_bits(b[i]), "%s: %s differs between two runs", op.name.c_str(), a[i].tensor().name.c_str());
  }
}

std::vector<Operation> device_operations() {
  std::vector<Operation> list;
  for (const auto& [rows, cols, vocab] : {EmbeddingShape{1, 8, 3}, {100, 33, 7}, {700, 768, 50}, {5000, 64, 256}, {300, 40, 33}, {700, 264, 500}, {3000, 264, 20000},
                                          {70000, 16, 700},
                                          // Tokens with more than 32 rows and with fewer; with hundreds, rows in two bitmaps.
                                          {9000, 33, 300}, {9000, 328, 300}, {70000, 72, 260}}) {
    list.push_back(embedding_operation(rows, cols, vocab));
  }
  for (const auto& [rows, cols] : {std::pair<index_t, index_t>{1, 8}, {100, 63}, {3000, 256}, {257, 768}, {33, 1000},
                                   {40, 2048}, {9, 4104}, {5, 8192}, {3, 9001}, {9000, 128}, {6001, 512}, {2300, 776}, {4, 1024},
                                   {1100, 1300}, {600, 3000}, {8, 16384}}) {
    list.push_back(rms_norm_operation(rows, cols, rows % 2 == 0));
  }
  for (const LinearShape& s : {LinearShape{1, 8, 8}, {300, 600, 104}, {513, 31, 257}, {64, 64, 64},
                                      {300, 768, 3352}, {4096, 128, 64}}) {
    list.push_back(linear_operation(s.rows, s.in, s.out, false));
    list.push_back(linear_operation(s.rows, s.in, s.out, true));
  }
  list.push_back(linear_operation(300, 768, 3352, false, 40));
  list.push_back(linear_operation(130, 72, 33, true, 31));
  for (const Activation activation :
       {Activation::gelu_tanh, Activation::gelu_erf, Activation::relu2, Activation::silu}) {
    for (const bool gated : {false, true}) {
      list.push_back(mlp_operation(37, 24, 63, activation, gated));
      list.push_back(mlp_operation(130, 32, 128, activation, gated));
    }
    list.push_back(mlp_operation(521, 200, 600, activation, false));
  }
  list.push_back(mlp_operation(2400, 72, 2056, Activation::relu2, false));  // more tiles than a GPU has multiprocessors
  for (const LinearShape& up : {LinearShape{1, 8, 8}, {520, 136, 520}, {8192, 128, 512}}) {
    list.push_back(mlp_operation(up.rows, up.in, up.out, Activation::relu2, false));
  }
  for (const ConvShape& s : {ConvShape{1, 1, 8, 4}, {2, 100, 40, 4}, {3, 63, 64, 2}, {2, 130, 104, 3}, {1, 2, 16, 4},
                             {2, 1000, 1792, 4}}) {
    list.push_back(causal_conv1d_operation(s.batch, s.time, s.channels, s.width));
  }
  // Rows that are aligned. Columns side by side in a block: all of 1 to 16; some; with stretches of several sequences to a block.
  for (const ConvShape& s : {ConvShape{1, 1, 8, 4}, {2, 3, 64, 4}, {3, 63, 128, 3}, {5, 257, 384, 4}, {7, 100, 640, 4}, {1, 500, 644, 2},
                             {3, 200, 1280, 4}, {2, 1000, 1792, 4}, {2, 90, 2304, 1}, {1, 61, 4360, 4}, {150, 17, 132, 4}}) {
    list.push_back(causal_conv1d_operation(s.batch, s.time, s.channels, s.width, 24));
  }
  for (const GatedNormShape& s : {GatedNormShape{1, 8, 1, 0}, {63, 128, 4, 0}, {130, 96, 2, 0}, {100, 64, 1, 0},
                                  {300, 1536, 1, 0}, {300, 1536, 8, 0}}) {
    list.push_back(gated_rms_norm_operation(s.rows, s.cols, s.groups));
  }
  for (const GatedNormShape& s : {GatedNormShape{1, 8, 1, 0}, {3000, 256, 1, 0}, {2501, 512, 1, 0}, {2400, 1536, 1, 0}, {1600, 1200, 1, 0},
                                  {2400, 1024, 1, 0}, {900, 2048, 1, 0}, {1700, 1800, 1, 0}, {410, 4096, 1, 0}, {300, 2056, 1, 0},
                                  {90, 8192, 1, 0}, {30, 16384, 1, 0}, {700, 2048, 8, 0}, {1500, 1030, 1, 0}, {333, 3201, 3, 0}}) {
    list.push_back(gated_rms_norm_operation(s.rows, s.cols, s.groups, 24));
  }
  for (const SsdShape& s : {SsdShape{1, 1, 1, 32, 1, 16, 128, 0}, {2, 63, 4, 32, 2, 16, 128, 0},
                            {1, 130, 2, 64, 1, 64, 128, 0}, {2, 300, 4, 64, 2, 128, 128, 1e-3},
                            {1, 257, 6, 64, 6, 32, 128, 0}, {1, 512, 2, 128, 1, 256, 128, 0},
                            {3, 100, 24, 64, 1, 128, 128, 0.3}}) {
    list.push_back(ssd_scan_operation(s, false));
    list.push_back(ssd_scan_operation(s, true));
  }
  for (const SsdShape& s : {SsdShape{2, 70, 2, 8, 1, 2, 64, 0}, {1, 200, 6, 48, 3, 20, 64, 0}, {1, 130, 4, 80, 2, 8, 64, 0}}) {
    list.push_back(ssd_scan_operation(s, false));  // padded
  }
  list.push_back(rope_operation({2, 33, 3, 1, 32, 32, 10000}));
  list.push_back(rope_operation({1, 100, 2, 2, 64, 32, 500}));
  list.push_back(rope_operation({1, 40, 2, 1, 64, 6, 500}));
  for (const AttentionShape& s : {AttentionShape{1, 1, 1, 1, 32, 0.18}, {2, 63, 4, 2, 32, 0.18}, {1, 100, 3, 3, 64, 0.125},
                                  {2, 130, 4, 1, 64, 0.125}, {1, 257, 2, 1, 128, 0.09}, {2, 300, 12, 12, 64, 0.125},
                                  {1, 500, 8, 2, 128, 0.09},
                                  {2, 70, 4, 2, 8, 0.35}, {1, 130, 3, 1, 80, 0.11}, {2, 128, 4, 2, 64, 0.125}, {3, 256, 4, 1, 128, 0.09}, {1, 384, 3, 3, 32, 0.18}}) {
    list.push_back(attention_operation(s));
  }
  for (const CrossEntropyShape& s : {CrossEntropyShape{1, 8}, {100, 100}, {64, 256}, {37, 1000}, {3001, 64}, {45, 61}, {701, 128},
                                     {77, 121}, {999, 256}, {130, 257}, {301, 512}, {66, 472}, {151, 1024}, {31, 1032}, {20, 50257},
                                     {20, 50304}, {3, 256000}, {5, 120001}, {30, 1035}, {40, 8192},
                                     {700, 9000}, {700, 9001}, {270, 30000}}) {  // the last three: more rows than blocks
    list.push_back(cross_entropy_operation(s.rows, s.vocab));
  }
  for (const index_t count : {1, 63, 4096, 100001}) {
    list.push_back(adamw_operation(count, true));
    list.push_back(adamw_operation(count, false));
    list.push_back(gradient_norm_operation(count));
  }
  return list;
}

}  // namespace

int main(int argc, char** argv) {
  if (lmx::test::lacks_device()) return lmx::test::skipped;
  const std::vector<std::string> wanted(argv + 1, argv + argc);
  int part = 0, parts = 0;
  const bool in_parts = argc == 2 && std::sscanf(argv[1], "%d/%d", &part, &parts) == 2 && parts > 0;
  const auto is_wanted = [&](const Operation& op, std::size_t number) {
    if (in_parts) return number % static_cast<std::size_t>(parts) == static_cast<std::size_t>(part);
    const auto begins = [&](const std::string& name) { return op.name.rfind(name, 0) == 0; };
    return wanted.empty() || std::any_of(wanted.begin(), wanted.end(), begins);
  };
  const auto device = make_cuda_backend(0);
  const auto oracle = make_cpu_backend(DType::f64, 1);
  const auto reference = make_bf16_backend();
  StagedBackend staged(*device), plain_staged(*reference);
  double worst = 0;
  int count = 0;
  std::size_t number = 0;
  for (const Operation& op : device_operations()) {
    if (!is_wanted(op, number++)) continue;
    ++count;
    try {
      Distances ours, plain;
      for (std::uint64_t draw = 0; draw < (has_few(op) ? kDraws : 1); ++draw) {
        const std::uint64_t seed = 1 + 100 * draw;
        const Run expected = run_on(*oracle, op, DType::f64, seed), got = run_on(staged, op, DType::f32, seed);
        add_distances(op, got, expected, ours);
        add_distances(op, run_on(plain_staged, op, DType::f32, seed), expected, plain);
        if (draw > 0) continue;
        const Run again = run_on(staged, op, DType::f32, seed);
        same_bits(op, got.outputs, again.outputs);
        if (op.backward) same_bits(op, got.input_gradients, again.input_gradients);
      }
      for (const auto& [tensor, distance] : ours) {
        const double error = distance.relative(), of_plain = plain.at(tensor).relative();
        worst = std::max(worst, error / std::max(kFp32Error, of_plain));
        CHECK(error <= std::max(kFp32Error, kAllowance * of_plain), "%s: %s: relative error %.3g, plain bf16 %.3g",
              op.name.c_str(), tensor.c_str(), error, of_plain);
      }
    } catch (const std::exception& error) {
      CHECK(false, "%s: %s", op.name.c_str(), error.what());
    }
  }
  for (const std::string& violation : staged.violations()) CHECK(false, "%s", violation.c_str());
  CHECK(count > 0, "no operation has such a name");
  std::printf("%d operations on %s; at most %.2f times the error of plain bf16\n", count, cuda_device_description(0).c_str(), worst);
  return TEST_RESULT();
}
