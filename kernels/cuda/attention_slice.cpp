// How much of an attention cuDNN's backward takes at once; see attention_cudnn.h.
#include "attention_cudnn.h"
#include "launch.h"

namespace lmx::cuda {
namespace {

// Workspace of cuDNN's deterministic backward (read off 9.14): an fp32 dq for every 128 keys - 256 where head_dim is above 64 - and a
// number per query, fp32; dk and dv of every head in bf16 where heads share them.
std::size_t backward_bytes(const AttentionShape& s, const AttentionSlice& slice) {
  const index_t group = s.heads / s.kv_heads, rows = slice.batch * slice.kv_heads * group * s.time;
  const index_t partial_sums = ceil_div(s.time, s.head_dim > 64 ? 256 : 128) * rows * s.head_dim * 4;
  const index_t shared = group > 1 ? 2 * rows * s.head_dim * 2 : 0;
  return static_cast<std::size_t>(partial_sums + shared + rows * 4) + 65536;
}

// The largest divisor of `count` up to `most`, at least 1.
index_t divisor(index_t count, index_t most) {
  for (index_t d = most < count ? most : count; d > 1; --d) {
    if (count % d == 0) return d;
  }
  return 1;
}

}  // namespace

bool cudnn_takes(const AttentionShape& s) { return s.time % 128 == 0; }

AttentionSlice cudnn_slice(const AttentionShape& s) {
  const std::size_t one_head = backward_bytes(s, {1, 1}), one_sequence = backward_bytes(s, {1, s.kv_heads});
  if (one_sequence > kCudnnScratchLimit) {
    return {1, divisor(s.kv_heads, static_cast<index_t>(kCudnnScratchLimit / one_head))};
  }
  return {divisor(s.batch, static_cast<index_t>(kCudnnScratchLimit / one_sequence)), s.kv_heads};
}

std::size_t cudnn_workspace(const AttentionShape& s) { return backward_bytes(s, cudnn_slice(s)); }

}  // namespace lmx::cuda
