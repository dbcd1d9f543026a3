#include "gpu_workspace.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace lmx::gpu {

namespace {

constexpr index_t kFloat = 4, kHalf = 2;

index_t divide_up(index_t a, index_t b) { return (a + b - 1) / b; }
index_t padded(index_t bytes) { return divide_up(bytes, 256) * 256; }

// ---- attention: cuDNN's deterministic backward, slice by slice (cuda/attention_slice.cpp) --------------------------

index_t attention_slice_bytes(const AttentionShape& s, index_t batch, index_t kv_heads) {
  const index_t group = s.heads / s.kv_heads, rows = batch * kv_heads * group * s.time;
  const index_t sums = divide_up(s.time, s.head_dim > 64 ? 256 : 128) * rows * s.head_dim * kFloat;
  return sums + (group > 1 ? 2 * rows * s.head_dim * kHalf : 0) + rows * kFloat + 65536;
}

// The largest divisor of `count` up to `most`, at least 1.
index_t divisor(index_t count, index_t most) {
  for (index_t d = std::min(most, count); d > 1; --d) {
    if (count % d == 0) return d;
  }
  return 1;
}

index_t cudnn_bytes(const AttentionShape& s) {
  constexpr index_t limit = index_t{4} << 30;
  const index_t sequence = attention_slice_bytes(s, 1, s.kv_heads);
  if (sequence > limit) {
    return attention_slice_bytes(s, 1, divisor(s.kv_heads, limit / attention_slice_bytes(s, 1, 1)));
  }
  return attention_slice_bytes(s, divisor(s.batch, limit / sequence), s.kv_heads);
}

// ---- attention on Hopper: our own backward (cuda/attention_wgmma.cu) -----------------------------------------------

index_t hopper_bytes(const AttentionShape& s) {
  const index_t rows = s.batch * s.heads * s.time, turns = s.batch * s.heads * (s.time * s.head_dim / 8192) * 2;
  return 2 * padded(kFloat * rows) + padded(kFloat * rows * s.head_dim) + padded(4 * turns);
}

// ---- the convolution's backward (cuda/causal_conv1d.cu) ------------------------------------------------------------

// Stretches of at least 16 steps into which a sequence is cut: as many as end soonest where `at_once` are walked at a time.
index_t best_stretches(index_t batch, index_t time, index_t at_once) {
  const index_t most = std::max<index_t>(1, std::min(4 * at_once / batch, time / 16));
  index_t best = 1, best_cost = 0;
  for (index_t n = 1; n <= most; ++n) {
    const index_t cost = divide_up(batch * n, at_once) * (divide_up(time, n) + 12);
    if (n == 1 || cost < best_cost) best = n, best_cost = cost;
  }
  return best;
}

// ---- the SSD scan's backward (cuda/ssd_scan.cu) ---------------------------------------------------------------------

// Blocks with `heads` heads each, cut into the number of splits that ends soonest on 132 multiprocessors.
index_t best_split(index_t blocks, index_t heads) {
  index_t best = 1;
  double best_cost = 1e300;
  for (index_t split = 1; split <= std::min<index_t>(heads, 16); ++split) {
    const index_t share = divide_up(heads, split);
    if (divide_up(heads, share) != split) continue;
    const double cost = std::ceil(static_cast<double>(blocks * split) / 132) * (static_cast<double>(share) + 1.5);
    if (cost < best_cost * 0.98) {
      best = split;
      best_cost = cost;
    }
  }
  return best;
}

index_t scan_bytes(const SsdShape& s) {
  const index_t pieces = s.head_dim > 128 ? 4 : s.head_dim > 64 ? 2 : 1;
  const index_t blocks = s.batch * divide_up(s.time, kScanChunk), heads = pieces * s.heads;
  const index_t steps = blocks * kScanChunk * s.heads, part = blocks * kScanChunk * s.groups * s.state;
  const index_t splits = best_split(blocks * s.groups * (s.state > 128 ? 5 : 2), heads / s.groups);
  index_t bytes = 3 * padded(kFloat * steps) + padded(kHalf * blocks * s.heads * s.head_dim * s.state);
  bytes += padded(kFloat * 2 * splits * part) + padded(splits > 1 ? kFloat * splits * part : 0);
  bytes += padded(kFloat * 2 * pieces * steps) + 2 * padded(kFloat * pieces * steps);
  return bytes + 2 * padded(kFloat * blocks * heads) + padded(kFloat * 3 * blocks * s.heads);
}

// Shapes that no kernel has are padded with zeros: copies of everything, and the padded scan's own scratch.
SsdShape padded_scan(SsdShape s) {
  s.head_dim = s.head_dim <= 32    ? 32
               : s.head_dim <= 64  ? 64
               : s.head_dim <= 128 ? 128
                                   : divide_up(s.head_dim, 256) * 256;
  s.state = divide_up(s.state, 16) * 16;
  return s;
}

}  // namespace

std::size_t workspace_bytes(const LinearShape&) { return std::size_t{32 + 16} << 20; }

std::size_t workspace_bytes(const NormShape& s) { return static_cast<std::size_t>(264 * s.cols * kFloat); }

std::size_t workspace_bytes(const GatedNormShape& s) {
  const index_t width = s.cols / s.groups;
  const index_t blocks = width > 512 && width <= 2048 ? 132 * (24 / divide_up(width, 256)) : 396;
  return static_cast<std::size_t>(std::min(divide_up(blocks, s.groups), divide_up(s.rows, 4)) * s.cols * kFloat);
}

std::size_t workspace_bytes(const ConvShape& s) {
  constexpr index_t warps = 16, multiprocessors = 132;
  const index_t all = divide_up(s.channels, 128);
  const index_t across = std::gcd(all, warps);
  const index_t along = warps / across;
  const index_t at_once = std::max<index_t>(1, multiprocessors / (all / across)) * along;
  const index_t stretch = divide_up(s.time, best_stretches(s.batch, s.time, at_once));
  const index_t blocks = divide_up(s.batch * divide_up(s.time, stretch), along);
  return static_cast<std::size_t>(blocks * s.channels * (s.width + 1) * kFloat);
}

std::size_t workspace_bytes(const SsdShape& s) {
  const SsdShape wide = padded_scan(s);
  if (wide.head_dim == s.head_dim && s.state % 8 == 0) return static_cast<std::size_t>(scan_bytes(s));
  const index_t rows = s.batch * s.time, chunks = divide_up(s.time, kScanChunk);
  const index_t copies = 2 * padded(kHalf * rows * wide.channels()) + padded(kHalf * rows * wide.inner());
  const index_t states = padded(kHalf * s.batch * chunks * wide.inner() * wide.state);
  return static_cast<std::size_t>(copies + states + padded(scan_bytes(wide)));
}

std::size_t workspace_bytes(const AttentionShape& s) {
  const index_t own = s.batch * s.heads * s.time * kFloat;
  if (s.time % 128 != 0) return static_cast<std::size_t>(own);
  const bool hopper = s.head_dim == 64 || s.head_dim == 128;
  return static_cast<std::size_t>(std::max({own, cudnn_bytes(s), hopper ? hopper_bytes(s) : 0}));
}

std::size_t workspace_bytes(const CrossEntropyShape&) { return 0; }

std::size_t workspace_bytes(const EmbeddingShape& s) {
  if (s.vocab <= 256) {
    const index_t shares = std::min(divide_up(132, divide_up(s.cols, 64)), divide_up(s.rows, 128));
    return static_cast<std::size_t>(shares * s.vocab * s.cols * kFloat);
  }
  return static_cast<std::size_t>((2 * s.vocab + 2 + 2 * s.rows + 3 * (s.rows / 33)) * kFloat);
}

}  // namespace lmx::gpu
