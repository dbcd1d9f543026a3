// SSD scan backward in float; equations in ssd_scan.h and, in the same names, in its plain form. Two sweeps:
//   1. per sequence and head, chunks in reverse: g = dL/dh at every chunk's end, to the workspace, transposed
//      to (state, head_dim);
//   2. per sequence, group and chunk: everything else. The heads of a group are taken in order, so that dB
//   and
//      dC are sums in a fixed order without a partial per head.
// Gradients of a_log, d and dt_bias go to one partial per chunk and head and are added in order.
#include "matmul.h"
#include "reduction.h"
#include "scratch.h"
#include "ssd_chunk.h"
#include "ssd_scan.h"

namespace lmx::cpu {

using simd::Floats;

namespace {

struct Gradients {
  const float* dy;
  const float* states;
  float* dxbc;
  StridedOf<float*> ddt;
};

// The workspace: g of every chunk (as `states`, but (state, head_dim)), then partials of the head parameters.
struct Workspace {
  float *g, *da_log, *dd, *ddt_bias;  // partials: (batch * chunks, heads)
  static index_t floats(const SsdShape& s) { return s.state_elements() + 3 * s.batch * s.chunks() * s.heads; }
  Workspace(const SsdShape& s, float* memory)
      : g(memory),
        da_log(g + s.state_elements()),
        dd(da_log + s.batch * s.chunks() * s.heads),
        ddt_bias(dd + s.batch * s.chunks() * s.heads) {}
};

struct Parameters {
  const float* xbc;
  StridedOf<const float*> dt;
  const float *a_log, *d, *dt_bias;
  void decays_of(const SsdShape& s, const SsdSpan& span, index_t head, SsdDecays& decays) const {
    decays.compute(span.length, dt.data + span.row * dt.stride + head, dt.stride, dt_bias[head], a_log[head],
                   float(s.dt_min));
  }
};

// Sweep 1 of one sequence and head: G_{c-1} = e^S G_c + Σ_i e^{s_i} C_i ⊗ dY_i.
void carry_gradient_back(const SsdShape& s, const Parameters& p, const float* dy, const float* dfinal_state,
                         index_t batch, index_t head, float* g, float* dinitial_state) {
  const index_t N = s.state, P = s.head_dim, cells = N * P, L = std::min(s.chunk, s.time);
  Pieces pieces(ThreadScratch::floats(padded(L * N) + padded(cells) + SsdDecays::floats(L)));
  float* const c_decayed = pieces.take(L * N);
  float* const carried = pieces.take(cells);
  SsdDecays decays(pieces.take(SsdDecays::floats(L)), L);
  if (dfinal_state) {
    simd::transpose(P, N, dfinal_state + (batch * s.heads + head) * cells, N, carried, P);
  } else {
    std::fill_n(carried, cells, 0.0f);
  }
  for (index_t chunk = s.chunks() - 1; chunk >= 0; --chunk) {
    std::copy_n(carried, cells, g + ((batch * s.chunks() + chunk) * s.heads + head) * cells);
    if (chunk == 0 && !dinitial_state) break;
    const SsdSpan span(s, p.xbc, batch, head / (s.heads / s.groups), chunk);
    p.decays_of(s, span, head, decays);
    scale_rows(span.length, N, span.c, span.stride, decays.from_start, c_decayed);
    simd::for_each_vector(cells, [&](index_t i, index_t n) {
      simd::store(carried + i, simd::load(carried + i, n) * decays.whole, n);
    });
    matmul({N, P, span.length}, {c_decayed, 1, N}, dy + span.row * s.inner() + head * P, s.inner(), carried,
           P, carried, P);
  }
  if (dinitial_state) simd::transpose(N, P, carried, P, dinitial_state + (batch * s.heads + head) * cells, N);
}

// The element-wise heart of sweep 2. In: cb = C·B and dyx = dY·x. Out: weighted = cb ⊙ e^{s_i - s_j}, dcb +=
// e^{s_i - s_j} Δ_j dyx, and ds = the row sums minus the column sums of W = cb ⊙ e^{s_i - s_j} Δ_j ⊙ dyx.
// Under strong decay nearly all of ds cancels once it is summed over time, so both sums are formed in double,
// of the same floats, and the diagonal of W, which cancels altogether, is left out.
void differentiate_weights(index_t length, index_t stride, const SsdDecays& decays, const float* cb,
                           const float* dyx, float* weighted, float* dcb, double* column_sums, double* ds) {
  std::fill_n(column_sums, padded(length), 0.0);
  for (index_t i = 0; i < length; ++i) {
    simd::Doubles row_sum{};
    simd::for_each_vector(i, [&](index_t j, index_t n) {
      const index_t at = i * stride + j;
      const Floats e = decays.between(i, j, n), product = simd::load(cb + at, n);
      const Floats d = e * simd::load(decays.delta + j, n) * simd::load(dyx + at, n);
      const Floats w = product * d;
      simd::store(weighted + at, product * e, n);
      simd::store(dcb + at, simd::load(dcb + at, n) + d, n);
      // Lanes beyond n are zero (cb and dyx were loaded so), and the column sums are padded to whole vectors.
      const simd::Doubles low = simd::widen<0>(w), high = simd::widen<1>(w);
      simd::add(column_sums + j, low);
      simd::add(column_sums + j + simd::lanes / 2, high);
      row_sum += low + high;
    });
    ds[i] = simd::sum(row_sum);
    const index_t diagonal = i * stride + i;
    weighted[diagonal] = cb[diagonal];
    dcb[diagonal] += decays.delta[i] * dyx[diagonal];
    std::fill(weighted + diagonal + 1,
              weighted + i * stride + std::min(length, (i / tile_rows + 1) * tile_rows), 0.0f);
  }
  for (index_t i = 0; i < length; ++i) ds[i] -= column_sums[i];
}

// out_j += factor_j · product_j, and returns in `dots` factor_j · (product_j · with_j).
void add_scaled_rows(index_t length, index_t cols, const float* product, const float* factor,
                     const float* with, float* out, index_t stride, float* dots) {
  for (index_t j = 0; j < length; ++j) {
    Floats dot{};
    simd::for_each_vector(cols, [&](index_t c, index_t n) {
      const Floats value = simd::load(product + j * cols + c, n) * factor[j];
      dot += value * simd::load(with + j * stride + c, n);
      simd::store(out + j * stride + c, simd::load(out + j * stride + c, n) + value, n);
    });
    dots[j] = simd::sum(dot);
  }
}

// Sweep 2 of one sequence, group and chunk.
void differentiate_chunk(const SsdShape& s, const Parameters& p, const Gradients& gradients,
                         const Workspace& workspace, bool g_of_last, index_t batch, index_t group,
                         index_t chunk) {
  const index_t N = s.state, P = s.head_dim, cells = N * P, L = std::min(s.chunk, s.time), stride = padded(L);
  const index_t in_group = s.heads / s.groups, inner = s.inner();
  const SsdSpan span(s, p.xbc, batch, group, chunk);
  const index_t length = span.length;
  const bool has_g = chunk + 1 < s.chunks() || g_of_last;
  Pieces pieces(ThreadScratch::floats(4 * L * stride + (N + P) * stride + padded(L * N) + padded(L * P) +
                                      padded(cells) + SsdDecays::floats(L) + 6 * padded(L)));
  float* const cb = pieces.take(L * stride);
  float* const dcb = pieces.take(L * stride);
  float* const dyx = pieces.take(L * stride);
  float* const weighted = pieces.take(L * stride);
  float* const b_transposed = pieces.take(N * stride);
  float* const x_transposed = pieces.take(P * stride);
  float* const rows_by_state = pieces.take(L * N);  // (length, state) product or operand of the moment
  float* const v = pieces.take(L * P);
  float* const g_rows = pieces.take(cells);     // g as (head_dim, state)
  float* const through_end = pieces.take(L);    // r_j: what flows through e^{S - s_j}
  float* const through_start = pieces.take(L);  // q_i: what flows through e^{s_i}
  double* const ds = reinterpret_cast<double*>(pieces.take(2 * padded(L)));
  double* const column_sums = reinterpret_cast<double*>(pieces.take(2 * padded(L)));
  SsdDecays decays(pieces.take(SsdDecays::floats(L)), L);

  float* const db = gradients.dxbc + (span.b - p.xbc);
  float* const dc = gradients.dxbc + (span.c - p.xbc);
  for (index_t i = 0; i < length; ++i) {
    std::fill_n(db + i * span.stride, N, 0.0f);
    std::fill_n(dc + i * span.stride, N, 0.0f);
    std::fill_n(dcb + i * stride, std::min(length, (i / tile_rows + 1) * tile_rows), 0.0f);
  }
  // Products of rows i with rows j <= i, and sums over i >= j, tile by tile along the diagonal.
  const auto lower_product = [&](const float* a, index_t a_stride, const float* transposed, index_t depth,
                                 float* to) {
    for (index_t i = 0; i < length; i += tile_rows) {
      const index_t rows = std::min(tile_rows, length - i);
      matmul({rows, i + rows, depth}, {a + i * a_stride, a_stride, 1}, transposed, stride, nullptr, 0,
             to + i * stride, stride);
    }
  };
  const auto add_lower_transposed = [&](const float* lower, const float* b, index_t b_stride, index_t cols,
                                        float* to, index_t to_stride, bool accumulate) {
    for (index_t j = 0; j < length; j += tile_rows) {
      float* const c = to + j * to_stride;
      matmul({std::min(tile_rows, length - j), cols, length - j}, {lower + j * stride + j, 1, stride},
             b + j * b_stride, b_stride, accumulate ? c : nullptr, to_stride, c, to_stride);
    }
  };

  simd::transpose(length, N, span.b, span.stride, b_transposed, stride);
  lower_product(span.c, span.stride, b_transposed, N, cb);
  for (index_t head = group * in_group; head < (group + 1) * in_group; ++head) {
    const float* const x = span.x + head * P;
    const float* const dy = gradients.dy + span.row * inner + head * P;
    const index_t cell = ((batch * s.chunks() + chunk) * s.heads + head) * cells;
    const float* const g = workspace.g + cell;
    const float* const state = gradients.states + cell;
    p.decays_of(s, span, head, decays);

    simd::transpose(length, P, x, span.stride, x_transposed, stride);
    lower_product(dy, inner, x_transposed, P, dyx);
    float dd = 0;
    for (index_t i = 0; i < length; ++i) dd += dyx[i * stride + i];
    differentiate_weights(length, stride, decays, cb, dyx, weighted, dcb, column_sums, ds);

    // v = e^{S - s} B·g + weightedᵀ·dY
    if (has_g) {
      scale_rows(length, N, span.b, span.stride, decays.to_end, rows_by_state);
      matmul({length, P, N}, {rows_by_state, N, 1}, g, P, nullptr, 0, v, P);
    }
    add_lower_transposed(weighted, dy, inner, P, v, P, has_g);

    // Through the state at the chunk's end, and at its start.
    if (has_g) {
      simd::transpose(N, P, g, P, g_rows, N);
      matmul({length, N, P}, {x, span.stride, 1}, g_rows, N, nullptr, 0, rows_by_state, N);
      for (index_t j = 0; j < length; ++j) decays.to_end[j] *= decays.delta[j];
      add_scaled_rows(length, N, rows_by_state, decays.to_end, span.b, db, span.stride, through_end);
      Floats overlap{};
      simd::for_each_vector(cells, [&](index_t i, index_t n) {
        overlap += simd::load(state + i, n) * simd::load(g_rows + i, n);
      });
      double last = double(decays.whole) * double(simd::sum(overlap));
      for (index_t j = 0; j < length; ++j) {
        ds[j] -= double(through_end[j]);
        last += double(through_end[j]);
      }
      ds[length - 1] += last;
    }
    matmul({length, N, P}, {dy, inner, 1}, state, N, nullptr, 0, rows_by_state, N);
    add_scaled_rows(length, N, rows_by_state, decays.from_start, span.c, dc, span.stride, through_start);

    float* const dx = gradients.dxbc + (x - p.xbc);
    double da = 0, da_log = 0, ddt_bias = 0;
    for (index_t j = length - 1; j >= 0; --j) {
      Floats direct{};
      simd::for_each_vector(P, [&](index_t c, index_t n) {
        const Floats vc = simd::load(v + j * P + c, n);
        direct += vc * simd::load(x + j * span.stride + c, n);
        simd::store(dx + j * span.stride + c,
                    decays.delta[j] * vc + p.d[head] * simd::load(dy + j * inner + c, n), n);
      });
      da += ds[j] + double(through_start[j]);
      da_log += double(decays.a) * double(decays.delta[j]) * da;
      const double ddelta = double(simd::sum(direct)) + double(decays.a) * da;
      const float step = float(ddelta * double(decays.slope[j]));
      gradients.ddt.data[(span.row + j) * gradients.ddt.stride + head] = step;
      ddt_bias += double(step);
    }
    const index_t partial = (batch * s.chunks() + chunk) * s.heads + head;
    workspace.da_log[partial] = float(da_log);
    workspace.dd[partial] = dd;
    workspace.ddt_bias[partial] = float(ddt_bias);
  }
  add_lower_transposed(dcb, span.c, span.stride, N, db, span.stride, true);
  for (index_t i = 0; i < length; i += tile_rows) {
    const index_t rows = std::min(tile_rows, length - i);
    float* const to = dc + i * span.stride;
    matmul({rows, N, i + rows}, {dcb + i * stride, stride, 1}, span.b, span.stride, to, span.stride, to,
           span.stride);
  }
}

}  // namespace

std::size_t ssd_scan_workspace_bytes(const SsdShape& s) {
  return static_cast<std::size_t>(Workspace::floats(s)) * sizeof(float);
}

void ssd_scan_backward(const Context& context, const SsdShape& s, const float* dy, const float* xbc,
                       StridedOf<const float*> dt, const float* a_log, const float* d, const float* dt_bias,
                       const float* states, const float* dfinal_state, float* dxbc, StridedOf<float*> ddt,
                       float* da_log, float* dd, float* ddt_bias, float* dinitial_state) {
  const Workspace workspace(s, context.scratch<float>(Workspace::floats(s)));
  const Parameters parameters{xbc, dt, a_log, d, dt_bias};
  const Gradients gradients{dy, states, dxbc, ddt};
  clear_dt_padding(s, ddt);
  context.pool->parallel_for(s.batch * s.heads, [&](index_t task) {
    carry_gradient_back(s, parameters, dy, dfinal_state, task / s.heads, task % s.heads, workspace.g,
                        dinitial_state);
  });
  context.pool->parallel_for(s.batch * s.chunks() * s.groups, [&](index_t task) {
    differentiate_chunk(s, parameters, gradients, workspace, dfinal_state != nullptr,
                        task / s.groups / s.chunks(), task % s.groups, task / s.groups % s.chunks());
  });
  const index_t chunks = s.batch * s.chunks();
  add_partials(context, chunks, s.heads, workspace.da_log, s.heads, da_log);
  add_partials(context, chunks, s.heads, workspace.dd, s.heads, dd);
  add_partials(context, chunks, s.heads, workspace.ddt_bias, s.heads, ddt_bias);
}

}  // namespace lmx::cpu
