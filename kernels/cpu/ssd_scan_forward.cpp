// SSD scan forward in float; equations in ssd_scan.h. A task is one sequence and a few heads of one group,
// which share C·B; it carries their states, transposed to (state, head_dim), through the chunks. Per chunk
// and head, all in cache:
//   M = (C·Bᵀ) ⊙ e^{s_i - s_j} Δ_j + diag(D),   y = (e^s C)·h + M·x,   h = e^S h + (e^{S-s} Δ B)ᵀ·x
#include "matmul.h"
#include "scratch.h"
#include "ssd_chunk.h"
#include "ssd_scan.h"

namespace lmx::cpu {

namespace {

// Heads of one task, from the shape alone: all of a group's where that leaves enough tasks, else fewer.
index_t heads_per_task(const SsdShape& s) {
  constexpr index_t enough_tasks = 16;
  const index_t in_group = s.heads / s.groups;
  index_t count = in_group;
  while (count > 1 && s.batch * s.groups * ((in_group + count - 1) / count) < enough_tasks)
    count = (count + 1) / 2;
  return count;
}

// m = cb ⊙ e^{s_i - s_j} Δ_j below the diagonal, plus d on it, zero to the end of each tile of rows.
void weight_matrix(index_t length, index_t stride, const SsdDecays& decays, float d, const float* cb,
                   float* m) {
  for (index_t i = 0; i < length; ++i) {
    float* const row = m + i * stride;
    simd::for_each_vector(i + 1, [&](index_t j, index_t n) {
      const simd::Floats weight = decays.between(i, j, n) * simd::load(decays.delta + j, n);
      simd::store(row + j, simd::load(cb + i * stride + j, n) * weight, n);
    });
    row[i] += d;
    std::fill(row + i + 1, row + std::min(length, (i / tile_rows + 1) * tile_rows), 0.0f);
  }
}

}  // namespace

void ssd_scan_forward(const Context& context, const SsdShape& s, const float* xbc, StridedOf<const float*> dt,
                      const float* a_log, const float* d, const float* dt_bias, const float* initial_state,
                      float* y, float* states, float* final_state) {
  const index_t in_group = s.heads / s.groups, per_task = heads_per_task(s);
  const index_t parts = (in_group + per_task - 1) / per_task;
  const index_t L = std::min(s.chunk, s.time), square_stride = padded(L), N = s.state, P = s.head_dim,
                cells = N * P;

  context.pool->parallel_for(s.batch * s.groups * parts, [&](index_t task) {
    const index_t batch = task / (s.groups * parts), group = task / parts % s.groups;
    const index_t first = task % parts * per_task, count = std::min(per_task, in_group - first);
    Pieces pieces(ThreadScratch::floats(2 * L * square_stride + N * square_stride + 2 * padded(L * N) +
                                        padded(per_task * cells) + SsdDecays::floats(L)));
    float* const cb = pieces.take(L * square_stride);
    float* const m = pieces.take(L * square_stride);
    float* const b_transposed = pieces.take(N * square_stride);
    float* const c_decayed = pieces.take(L * N);
    float* const b_weighted = pieces.take(L * N);
    float* const carried = pieces.take(per_task * cells);  // per head: (state, head_dim)
    SsdDecays decays(pieces.take(SsdDecays::floats(L)), L);

    for (index_t i = 0; i < count; ++i) {
      const index_t head = group * in_group + first + i;
      if (initial_state) {
        simd::transpose(P, N, initial_state + (batch * s.heads + head) * cells, N, carried + i * cells, P);
      } else {
        std::fill_n(carried + i * cells, cells, 0.0f);
      }
    }
    for (index_t chunk = 0; chunk < s.chunks(); ++chunk) {
      const SsdSpan span(s, xbc, batch, group, chunk);
      const index_t length = span.length;
      const bool has_state = chunk > 0 || initial_state;
      simd::transpose(length, N, span.b, span.stride, b_transposed, square_stride);
      for (index_t i = 0; i < length; i += tile_rows) {
        const index_t rows = std::min(tile_rows, length - i);
        matmul({rows, i + rows, N}, {span.c + i * span.stride, span.stride, 1}, b_transposed, square_stride,
               nullptr, 0, cb + i * square_stride, square_stride);
      }
      for (index_t part = 0; part < count; ++part) {
        const index_t head = group * in_group + first + part;
        const float* const x = span.x + head * P;
        float* const out = y + span.row * s.inner() + head * P;
        float* const state = carried + part * cells;
        simd::transpose(N, P, state, P, states + ((batch * s.chunks() + chunk) * s.heads + head) * cells, N);
        decays.compute(length, dt.data + span.row * dt.stride + head, dt.stride, dt_bias[head], a_log[head],
                       float(s.dt_min));
        weight_matrix(length, square_stride, decays, d[head], cb, m);
        if (has_state) {
          scale_rows(length, N, span.c, span.stride, decays.from_start, c_decayed);
          matmul({length, P, N}, {c_decayed, N, 1}, state, P, nullptr, 0, out, s.inner());
        }
        for (index_t i = 0; i < length; i += tile_rows) {
          const index_t rows = std::min(tile_rows, length - i);
          float* const to = out + i * s.inner();
          matmul({rows, P, i + rows}, {m + i * square_stride, square_stride, 1}, x, span.stride,
                 has_state ? to : nullptr, s.inner(), to, s.inner());
        }
        if (chunk + 1 == s.chunks() && !final_state) continue;
        for (index_t j = 0; j < length; ++j) decays.to_end[j] *= decays.delta[j];
        scale_rows(length, N, span.b, span.stride, decays.to_end, b_weighted);
        simd::for_each_vector(cells, [&](index_t i, index_t n) {
          simd::store(state + i, simd::load(state + i, n) * decays.whole, n);
        });
        matmul({N, P, length}, {b_weighted, 1, N}, x, span.stride, state, P, state, P);
      }
    }
    for (index_t i = 0; final_state && i < count; ++i) {
      const index_t head = group * in_group + first + i;
      simd::transpose(N, P, carried + i * cells, P, final_state + (batch * s.heads + head) * cells, N);
    }
  });
}

}  // namespace lmx::cpu
