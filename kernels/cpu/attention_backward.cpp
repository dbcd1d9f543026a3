// Causal attention backward in float, from the saved log-sum-exp; see attention.h. A task is one sequence and
// kv head with all its query heads. For each block of keys it walks the query heads and blocks in order, so
// dk and dv are complete when the walk ends, and dq collects its blocks of keys in order.
#include "attention.h"
#include "matmul.h"
#include "scratch.h"

namespace lmx::cpu {

using simd::Floats;

namespace {

constexpr index_t block = 64;  // queries and keys

}  // namespace

void attention_backward(const Context& context, const AttentionShape& s, const float* dout, const float* qkv,
                        const float* out, const float* lse, float* dqkv) {
  const index_t width = s.packed_width(), out_width = s.query_width(), D = s.head_dim,
                group = s.heads / s.kv_heads;
  const float scale = float(s.scale);
  context.pool->parallel_for(s.batch * s.kv_heads, [&](index_t task) {
    const index_t batch = task / s.kv_heads, first_head = task % s.kv_heads * group;
    const index_t row0 = batch * s.time;
    const index_t square = block * block, panel = block * D;
    float* const p = ThreadScratch::floats(2 * square + 4 * panel + group * s.time);
    float* const ds = p + square;        // dL/dscore; first dout·v
    float* const keys = ds + square;     // (head_dim, block)
    float* const values = keys + panel;  // (head_dim, block)
    float* const dk = values + panel;    // (block, head_dim)
    float* const dv = dk + panel;        // (block, head_dim)
    float* const delta = dv + panel;     // (group, time): dout · out

    for (index_t h = 0; h < group; ++h) {
      for (index_t t = 0; t < s.time; ++t) {
        const index_t at = (row0 + t) * out_width + (first_head + h) * D;
        Floats sum{};
        simd::for_each_vector(D, [&](index_t d, index_t n) {
          sum += simd::load(dout + at + d, n) * simd::load(out + at + d, n);
        });
        delta[h * s.time + t] = simd::sum(sum);
      }
    }
    for (index_t first = 0; first < s.time; first += block) {
      const index_t count = std::min(block, s.time - first);
      const HeadOffsets kv = head_offsets(s, batch, first_head);
      simd::transpose(count, D, qkv + kv.k + first * width, width, keys, block);
      simd::transpose(count, D, qkv + kv.v + first * width, width, values, block);
      std::fill_n(dk, count * D, 0.0f);
      std::fill_n(dv, count * D, 0.0f);
      for (index_t h = 0; h < group; ++h) {
        const index_t q_at = head_offsets(s, batch, first_head + h).q;
        for (index_t begin = first; begin < s.time; begin += block) {
          const index_t rows = std::min(block, s.time - begin);
          const bool diagonal = begin == first;
          const float* const q = qkv + q_at + begin * width;
          const float* const upstream = dout + (row0 + begin) * out_width + (first_head + h) * D;
          float* const dq = dqkv + q_at + begin * width;
          for (index_t i = 0; i < rows; i += tile_rows) {
            const index_t tile = std::min(tile_rows, rows - i),
                          visible = diagonal ? std::min(count, i + tile) : count;
            matmul({tile, visible, D}, {q + i * width, width, 1}, keys, block, nullptr, 0, p + i * block,
                   block);
            matmul({tile, visible, D}, {upstream + i * out_width, out_width, 1}, values, block, nullptr, 0,
                   ds + i * block, block);
            for (index_t r = i; r < i + tile; ++r) {
              const index_t own = diagonal ? std::min(count, r + 1) : count;
              const float log_sum = lse[(batch * s.heads + first_head + h) * s.time + begin + r];
              const float row_delta = delta[h * s.time + begin + r];
              float* const p_row = p + r * block;
              float* const ds_row = ds + r * block;
              simd::for_each_vector(own, [&](index_t j, index_t n) {
                const Floats weight = simd::exp(simd::load(p_row + j, n) * scale - log_sum);
                simd::store(p_row + j, weight, n);
                simd::store(ds_row + j, weight * (simd::load(ds_row + j, n) - row_delta) * scale, n);
              });
              std::fill(p_row + own, p_row + visible, 0.0f);
              std::fill(ds_row + own, ds_row + visible, 0.0f);
            }
            matmul({tile, D, visible}, {ds + i * block, block, 1}, qkv + kv.k + first * width, width,
                   first > 0 ? dq + i * width : nullptr, width, dq + i * width, width);
          }
          // Sums over queries: on the diagonal, a tile of keys is seen from its own row on.
          for (index_t j = 0; j < count; j += tile_rows) {
            const index_t tile = std::min(tile_rows, count - j), from = diagonal ? std::min(j, rows) : 0;
            matmul({tile, D, rows - from}, {p + from * block + j, 1, block}, upstream + from * out_width,
                   out_width, dv + j * D, D, dv + j * D, D);
            matmul({tile, D, rows - from}, {ds + from * block + j, 1, block}, q + from * width, width,
                   dk + j * D, D, dk + j * D, D);
          }
        }
      }
      for (index_t j = 0; j < count; ++j) {
        std::copy_n(dk + j * D, D, dqkv + kv.k + (first + j) * width);
        std::copy_n(dv + j * D, D, dqkv + kv.v + (first + j) * width);
      }
    }
  });
}

}  // namespace lmx::cpu
