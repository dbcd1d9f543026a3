// Causal attention forward in float, with the online softmax over blocks of keys (Dao et al., arXiv
// 2205.14135); see attention.h. A task is one sequence, query head and block of queries; blocks above the
// diagonal are never touched, tiles on it only up to it.
#include "attention.h"
#include "matmul.h"
#include "scratch.h"

namespace lmx::cpu {

using simd::Floats;

namespace {

constexpr index_t query_block = 64;
constexpr index_t key_block = 128;

// Softmax of one block for one row: scores become e^{scale · score - m} with the row's running maximum m,
// whose old sum and output are scaled down to it. The masked rest of the row's tile becomes zero.
struct RowSoftmax {
  float maximum, sum;

  void update(float scale, float* scores, index_t count, index_t tile_end, float* output, index_t head_dim) {
    Floats largest = simd::splat(-std::numeric_limits<float>::infinity());
    float rest = -std::numeric_limits<float>::infinity();
    simd::for_each_vector(count, [&](index_t j, index_t n) {
      if (n == simd::lanes) largest = simd::max(largest, simd::load(scores + j));
      for (index_t i = 0; n < simd::lanes && i < n; ++i) rest = std::max(rest, scores[j + i]);
    });
    const float next = std::max(maximum, scale * std::max(simd::maximum(largest), rest));
    const float shrink = std::exp(maximum - next);
    Floats total{};
    float total_rest = 0;
    simd::for_each_vector(count, [&](index_t j, index_t n) {
      const Floats p = simd::exp(simd::load(scores + j, n) * scale - next);
      simd::store(scores + j, p, n);
      if (n == simd::lanes) total += p;
      for (index_t i = 0; n < simd::lanes && i < n; ++i) total_rest += p[i];
    });
    std::fill(scores + count, scores + std::max(count, tile_end), 0.0f);
    sum = sum * shrink + (simd::sum(total) + total_rest);
    maximum = next;
    if (shrink == 1.0f) return;
    simd::for_each_vector(head_dim, [&](index_t d, index_t n) {
      simd::store(output + d, simd::load(output + d, n) * shrink, n);
    });
  }
};

}  // namespace

void attention_forward(const Context& context, const AttentionShape& s, const float* qkv, float* out,
                       float* lse) {
  const index_t blocks = (s.time + query_block - 1) / query_block, width = s.packed_width(), D = s.head_dim;
  context.pool->parallel_for(s.batch * s.heads * blocks, [&](index_t task) {
    const index_t batch = task / blocks / s.heads, head = task / blocks % s.heads;
    const index_t begin = task % blocks * query_block, rows = std::min(query_block, s.time - begin);
    const HeadOffsets at = head_offsets(s, batch, head);
    float* const scores = ThreadScratch::floats(query_block * key_block + D * key_block + query_block * D);
    float* const keys = scores + query_block * key_block;  // (head_dim, key_block)
    float* const output = keys + D * key_block;            // (query_block, head_dim)
    std::fill_n(output, rows * D, 0.0f);
    RowSoftmax softmax[query_block];
    for (RowSoftmax& row : softmax) row = {-std::numeric_limits<float>::infinity(), 0};

    for (index_t first = 0; first < begin + rows; first += key_block) {
      const index_t count = std::min(key_block, begin + rows - first);
      simd::transpose(count, D, qkv + at.k + first * width, width, keys, key_block);
      for (index_t i = 0; i < rows; i += tile_rows) {
        const index_t tile = std::min(tile_rows, rows - i);
        const index_t visible = std::min(count, begin + i + tile - first);  // to the tile's last row
        if (visible <= 0) continue;
        float* const tile_scores = scores + i * key_block;
        matmul({tile, visible, D}, {qkv + at.q + (begin + i) * width, width, 1}, keys, key_block, nullptr, 0,
               tile_scores, key_block);
        for (index_t r = 0; r < tile; ++r) {
          const index_t own = std::min(count, begin + i + r + 1 - first);
          if (own > 0) {
            softmax[i + r].update(float(s.scale), tile_scores + r * key_block, own, visible,
                                  output + (i + r) * D, D);
          } else {
            std::fill_n(tile_scores + r * key_block, visible, 0.0f);
          }
        }
        matmul({tile, D, visible}, {tile_scores, key_block, 1}, qkv + at.v + first * width, width,
               output + i * D, D, output + i * D, D);
      }
    }
    for (index_t i = 0; i < rows; ++i) {
      const float inverse = 1 / softmax[i].sum;
      float* const to = out + (batch * s.time + begin + i) * s.query_width() + head * D;
      simd::for_each_vector(D, [&](index_t d, index_t n) {
        simd::store(to + d, simd::load(output + i * D + d, n) * inverse, n);
      });
      lse[(batch * s.heads + head) * s.time + begin + i] = softmax[i].maximum + std::log(softmax[i].sum);
    }
  });
}

}  // namespace lmx::cpu
