#include "mlp.h"

#include <algorithm>
#include <cstdio>

#include "check.h"
#include "linear.h"
#include "mlp_activation.cuh"
#include "tuning.h"

namespace lmx::cuda {
namespace {

// As the pair's product sees its operands: its plan, and with it its bits, may depend on that.
unsigned product_alignment(const MlpOperands& o) {
  return std::min({alignment_of(o.input), alignment_of(o.weight), alignment_of(o.result)});
}

void log_candidate(MlpHalf half, const MlpShape& s, const char* name, bool equal, double seconds) {
  std::fprintf(stderr, "mlp relu2 %s rows %ld hidden %ld width %ld: %s %s %.4f ms\n",
               half == MlpHalf::forward ? "forward" : "backward", static_cast<long>(s.rows), static_cast<long>(s.hidden),
               static_cast<long>(s.width), name, equal ? "equal" : "differs", 1e3 * seconds);
}

}  // namespace

void mlp_pair(Gemm& gemm, MlpHalf half, const MlpShape& s, const MlpOperands& o, cudaStream_t stream) {
  if (half == MlpHalf::forward) {
    bf16* const u = s.keeps_input() ? o.saved : o.result;
    linear_forward(gemm, {s.rows, s.hidden, s.up_width()}, o.input, o.weight, nullptr, u, stream);
    return mlp_activation_forward(s, u, o.result, stream);
  }
  bf16* const da = o.result + (s.gated ? s.width : 0);  // its place while it waits for the activation's slope
  linear_backward_input(gemm, {s.rows, s.width, s.hidden}, o.input, o.weight, da, s.up_width(), stream);
  mlp_activation_backward(s, o.saved, o.result, stream);
}

void Mlp::run(MlpHalf half, const MlpShape& s, const MlpOperands& o, cudaStream_t stream) {
  if (!fused_mlp_takes(s, o) || fused_mlp(half).empty()) return mlp_pair(gemm_, half, s, o, stream);
  const Key key{half, s.rows, s.hidden, s.width, product_alignment(o)};
  const auto found = choices_.find(key);
  if (found != choices_.end() && found->second != nullptr) return found->second->launch(s, o, stream);
  mlp_pair(gemm_, half, s, o, stream);  // the first time its product chooses an algorithm, before memory is taken here
  if (found != choices_.end() || is_capturing(stream)) return;
  static Choices<std::tuple<int, std::size_t, Key>, const FusedMlp*> choices;
  choices_[key] = choices.find({current_device(), gemm_.workspace_size(), key},
                               [&] { return choose(half, s, std::get<unsigned>(key), stream); }).value_or(nullptr);
}

// On operands and outputs of its own: equality on the caller's data might be luck.
std::optional<const FusedMlp*> Mlp::choose(MlpHalf half, const MlpShape& s, unsigned alignment, cudaStream_t stream) {
  if (!fused_mlp_device()) return nullptr;
  const bool forward = half == MlpHalf::forward;
  const index_t wide = s.rows * s.width;
  const std::size_t wide_bytes = static_cast<std::size_t>(wide) * sizeof(bf16);
  const auto bytes_of = [](index_t elements) { return static_cast<std::size_t>(elements) * sizeof(bf16) + 256; };
  const Scratch input(bytes_of(s.rows * s.hidden)), weight(bytes_of(s.hidden * s.width)), activated(bytes_of(forward ? 0 : wide)),
      result(bytes_of(wide)), pair_result(bytes_of(wide)), flag(sizeof(int));
  for (const Scratch* scratch : {&input, &weight, &activated, &result, &pair_result, &flag}) {
    if (scratch->get() == nullptr) return std::nullopt;
  }
  const auto in = [&](const Scratch& scratch) {
    return reinterpret_cast<bf16*>(static_cast<char*>(scratch.get()) + alignment % 256);
  };
  fill_cancelling({s.rows * s.hidden, s.hidden, s.hidden, true, 1, 1}, in(input), stream);
  fill_cancelling({s.hidden * s.width, forward ? s.hidden : s.width, s.hidden, forward, -1, 2}, in(weight), stream);
  if (!forward) {  // No sum runs over u, so only numbers are wanted: the half of a sum twice as long.
    fill_cancelling({wide, s.width, 2 * s.rows, false, 1, 3}, in(activated), stream);
    mlp_activation_forward(s, in(activated), in(activated), stream);
  }
  bf16* const saved = forward ? nullptr : in(activated);
  const MlpOperands pair{in(input), in(weight), saved, in(pair_result)};
  const MlpOperands fused{in(input), in(weight), saved, in(result)};
  check(cudaStreamSynchronize(stream), "cudaStreamSynchronize");  // not the device: another thread may be recording on it

  const bool log = logs_candidates();
  const auto run_pair = [&] { mlp_pair(gemm_, half, s, pair, stream); };
  run_pair();
  double best = seconds_of(run_pair, stream);
  if (log) log_candidate(half, s, "pair", true, best);
  const FusedMlp* choice = nullptr;
  for (const FusedMlp& candidate : fused_mlp(half)) {
    candidate.allow();
    check(cudaMemsetAsync(result.get(), 0xff, bytes_of(wide), stream), "cudaMemsetAsync");  // what another candidate wrote
    const auto run = [&] { candidate.launch(s, fused, stream); };
    run();
    const bool equal = !differ(wide_bytes, pair.result, fused.result, flag.get(), stream);
    if (!equal && !log) continue;
    const double seconds = seconds_of(run, stream);
    if (log) log_candidate(half, s, candidate.name, equal, seconds);
    if (equal && seconds < best) {
      best = seconds;
      choice = &candidate;
    }
  }
  return choice;
}

}  // namespace lmx::cuda
