// Causal attention as an implementation in bf16 computes it: operands of matrix products - weights of the softmax, gradients of
// its scores - are bf16, sums are not. Equations in attention.h.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "../backend.h"
#include "../common/bf16.h"

namespace lmx::cpu {

// One query head with the kv head it reads, in the packed rows of qkv.
struct Bf16Head {
  const double *q, *k, *v;
  index_t stride;
  Bf16Head(const AttentionShape& s, const double* qkv, index_t batch, index_t head) : stride(s.packed_width()) {
    const index_t kv_head = head / (s.heads / s.kv_heads);
    q = qkv + batch * s.time * stride + head * s.head_dim;
    k = qkv + batch * s.time * stride + (s.heads + kv_head) * s.head_dim;
    v = k + s.kv_heads * s.head_dim;
  }
  double score(const AttentionShape& s, index_t i, index_t j) const {
    double sum = 0;
    for (index_t d = 0; d < s.head_dim; ++d) sum += q[i * stride + d] * k[j * stride + d];
    return sum * s.scale;
  }
};

inline void bf16_attention_forward(const AttentionShape& s, const double* qkv, double* out, double* lse) {
  std::vector<double> scores(static_cast<std::size_t>(s.time));
  for (index_t b = 0; b < s.batch; ++b) {
    for (index_t h = 0; h < s.heads; ++h) {
      const Bf16Head head(s, qkv, b, h);
      for (index_t i = 0; i < s.time; ++i) {
        double most = -std::numeric_limits<double>::infinity(), sum = 0;
        for (index_t j = 0; j <= i; ++j) most = std::max(most, scores[j] = head.score(s, i, j));
        double* const y = out + (b * s.time + i) * s.query_width() + h * s.head_dim;
        std::fill_n(y, s.head_dim, 0.0);
        for (index_t j = 0; j <= i; ++j) {
          const double weight = std::exp(scores[j] - most), operand = bf16_rounded(weight);
          sum += weight;
          for (index_t d = 0; d < s.head_dim; ++d) y[d] += operand * head.v[j * head.stride + d];
        }
        for (index_t d = 0; d < s.head_dim; ++d) y[d] /= sum;
        lse[(b * s.heads + h) * s.time + i] = most + std::log(sum);
      }
    }
  }
}

inline void bf16_attention_backward(const AttentionShape& s, const double* dout, const double* qkv, const double* out,
                                    const double* lse, double* dqkv) {
  std::fill_n(dqkv, s.batch * s.time * s.packed_width(), 0.0);
  for (index_t b = 0; b < s.batch; ++b) {
    for (index_t h = 0; h < s.heads; ++h) {
      const Bf16Head head(s, qkv, b, h);
      double* const dq = dqkv + (head.q - qkv);
      double* const dk = dqkv + (head.k - qkv);
      double* const dv = dqkv + (head.v - qkv);
      for (index_t i = 0; i < s.time; ++i) {
        const index_t row = (b * s.time + i) * s.query_width() + h * s.head_dim;
        double overlap = 0;
        for (index_t d = 0; d < s.head_dim; ++d) overlap += dout[row + d] * out[row + d];
        for (index_t j = 0; j <= i; ++j) {
          const double weight = std::exp(head.score(s, i, j) - lse[(b * s.heads + h) * s.time + i]);
          const double operand = bf16_rounded(weight);
          double dweight = 0;
          for (index_t d = 0; d < s.head_dim; ++d) {
            dweight += dout[row + d] * head.v[j * head.stride + d];
            dv[j * head.stride + d] += operand * dout[row + d];
          }
          const double dscore = bf16_rounded(weight * (dweight - overlap)) * s.scale;
          for (index_t d = 0; d < s.head_dim; ++d) {
            dq[i * head.stride + d] += dscore * head.k[j * head.stride + d];
            dk[j * head.stride + d] += dscore * head.q[i * head.stride + d];
          }
        }
      }
    }
  }
}

}  // namespace lmx::cpu
