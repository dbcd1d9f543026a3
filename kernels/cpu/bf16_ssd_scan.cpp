#include "bf16_ssd_scan.h"

#include <vector>

#include "../common/bf16.h"

namespace lmx::cpu {

namespace {

using Chunk = SsdChunk<double>;
using Values = std::vector<double>;

Values rounded(const Values& values) {
  Values result(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) result[i] = bf16_rounded(values[i]);
  return result;
}

// g, the gradient of the state at the end of every chunk of one head, as bf16; returns that of the initial state.
Values carry_gradient_back(const SsdShape& s, const std::vector<Chunk>& chunks, const double* dy, index_t batch,
                           index_t head, const double* dfinal, std::vector<Values>& g_of_chunk) {
  const index_t P = s.head_dim, N = s.state;
  Values g(static_cast<std::size_t>(P * N), 0.0);
  if (dfinal) std::copy_n(dfinal, P * N, g.begin());
  for (index_t k = s.chunks() - 1; k >= 0; --k) {
    const Chunk& chunk = chunks[k];
    g_of_chunk[k] = rounded(g);
    for (double& cell : g) cell *= decay(chunk.s.back());
    for (index_t i = 0; i < chunk.length; ++i) {
      const double* dout = dy + (batch * s.time + k * s.chunk + i) * s.inner() + head * P;
      for (index_t n = 0; n < N; ++n) {
        const double weighted = bf16_rounded(decay(chunk.s[i]) * chunk.c[i * chunk.stride + n]);
        for (index_t p = 0; p < P; ++p) g[p * N + n] += dout[p] * weighted;
      }
    }
  }
  return g;
}

}  // namespace

void bf16_ssd_scan_forward(const SsdShape& s, const double* xbc, StridedOf<const double*> dt, const double* a_log,
                           const double* d, const double* dt_bias, const double* initial_state, double* y,
                           double* states, double* final_state) {
  const index_t P = s.head_dim, N = s.state, cells = P * N;
  for (index_t b = 0; b < s.batch; ++b) {
    for (index_t h = 0; h < s.heads; ++h) {
      Values state(static_cast<std::size_t>(cells), 0.0);
      if (initial_state) std::copy_n(initial_state + (b * s.heads + h) * cells, cells, state.begin());
      for (index_t k = 0; k < s.chunks(); ++k) {
        const Chunk chunk(s, xbc, dt, a_log, dt_bias, b, h, k);
        double* const start = states + ((b * s.chunks() + k) * s.heads + h) * cells;
        for (index_t cell = 0; cell < cells; ++cell) start[cell] = bf16_rounded(state[cell]);
        for (index_t i = 0; i < chunk.length; ++i) {
          double* const out = y + (b * s.time + k * s.chunk + i) * s.inner() + h * P;
          for (index_t p = 0; p < P; ++p) {
            double carried = 0;
            for (index_t n = 0; n < N; ++n) carried += chunk.c[i * chunk.stride + n] * start[p * N + n];
            out[p] = decay(chunk.s[i]) * carried + d[h] * chunk.x[i * chunk.stride + p];
          }
          for (index_t j = 0; j <= i; ++j) {
            const double score = bf16_rounded(chunk.product(chunk.c, i, chunk.b, j, N));
            const double weight = bf16_rounded(score * decay(chunk.s[i] - chunk.s[j]) * chunk.delta[j]);
            for (index_t p = 0; p < P; ++p) out[p] += weight * chunk.x[j * chunk.stride + p];
          }
        }
        for (double& cell : state) cell *= decay(chunk.s.back());
        for (index_t j = 0; j < chunk.length; ++j) {
          const double weight = decay(chunk.s.back() - chunk.s[j]) * chunk.delta[j];
          for (index_t n = 0; n < N; ++n) {
            const double weighted = bf16_rounded(weight * chunk.b[j * chunk.stride + n]);
            for (index_t p = 0; p < P; ++p) state[p * N + n] += chunk.x[j * chunk.stride + p] * weighted;
          }
        }
      }
      if (final_state) std::copy_n(state.begin(), cells, final_state + (b * s.heads + h) * cells);
    }
  }
}

void bf16_ssd_scan_backward(const SsdShape& s, const double* dy, const double* xbc, StridedOf<const double*> dt,
                            const double* a_log, const double* d, const double* dt_bias, const double* states,
                            const double* dfinal_state, double* dxbc, StridedOf<double*> ddt, double* da_log,
                            double* dd, double* ddt_bias, double* dinitial_state) {
  const index_t P = s.head_dim, N = s.state, cells = P * N, in_group = s.heads / s.groups;
  std::fill_n(dxbc, s.batch * s.time * s.channels(), 0.0);
  std::vector<std::vector<Values>> g(static_cast<std::size_t>(s.heads),
                                     std::vector<Values>(static_cast<std::size_t>(s.chunks())));
  for (index_t b = 0; b < s.batch; ++b) {
    for (index_t h = 0; h < s.heads; ++h) {
      std::vector<Chunk> chunks;
      for (index_t k = 0; k < s.chunks(); ++k) chunks.emplace_back(s, xbc, dt, a_log, dt_bias, b, h, k);
      const double* dfinal = dfinal_state ? dfinal_state + (b * s.heads + h) * cells : nullptr;
      const Values first = carry_gradient_back(s, chunks, dy, b, h, dfinal, g[h]);
      if (dinitial_state) std::copy_n(first.begin(), cells, dinitial_state + (b * s.heads + h) * cells);
    }
    for (index_t group = 0; group < s.groups; ++group) {
      for (index_t k = 0; k < s.chunks(); ++k) {
        const index_t row = b * s.time + k * s.chunk;
        const Chunk shared(s, xbc, dt, a_log, dt_bias, b, group * in_group, k);
        const index_t L = shared.length, stride = shared.stride;
        double* const db = dxbc + (shared.b - xbc);
        double* const dc = dxbc + (shared.c - xbc);
        Values cb(static_cast<std::size_t>(L * L)), dcb(static_cast<std::size_t>(L * L), 0.0);
        for (index_t i = 0; i < L; ++i) {
          for (index_t j = 0; j <= i; ++j) cb[i * L + j] = bf16_rounded(shared.product(shared.c, i, shared.b, j, N));
        }
        for (index_t h = group * in_group; h < (group + 1) * in_group; ++h) {
          const Chunk chunk(s, xbc, dt, a_log, dt_bias, b, h, k);
          const double last = chunk.s.back();
          const Values& gh = g[h][k];
          const double* state = states + ((b * s.chunks() + k) * s.heads + h) * cells;
          const double* dout = dy + row * s.inner() + h * P;
          double* const dx = dxbc + (chunk.x - xbc);
          Values v(static_cast<std::size_t>(L * P), 0.0), ds(static_cast<std::size_t>(L), 0.0);
          for (index_t j = 0; j < L; ++j) {
            const double weight = decay(last - chunk.s[j]);
            for (index_t n = 0; n < N; ++n) {
              double gx = 0;
              for (index_t p = 0; p < P; ++p) {
                v[j * P + p] += weight * gh[p * N + n] * chunk.b[j * stride + n];
                gx += gh[p * N + n] * chunk.x[j * stride + p];
              }
              const double through = weight * chunk.delta[j] * gx;
              db[j * stride + n] += through;
              ds[j] -= through * chunk.b[j * stride + n];
              ds[L - 1] += through * chunk.b[j * stride + n];
            }
          }
          for (index_t i = 0; i < L; ++i) {
            for (index_t n = 0; n < N; ++n) {
              double hdy = 0;
              for (index_t p = 0; p < P; ++p) hdy += state[p * N + n] * dout[i * s.inner() + p];
              dc[i * stride + n] += decay(chunk.s[i]) * hdy;
              ds[i] += decay(chunk.s[i]) * hdy * chunk.c[i * stride + n];
            }
            for (index_t j = 0; j <= i; ++j) {
              const double e = decay(chunk.s[i] - chunk.s[j]), weight = bf16_rounded(cb[i * L + j] * e);
              double dyx = 0;
              for (index_t p = 0; p < P; ++p) {
                dyx += dout[i * s.inner() + p] * chunk.x[j * stride + p];
                v[j * P + p] += weight * dout[i * s.inner() + p];
              }
              const double part = e * chunk.delta[j] * dyx, w = cb[i * L + j] * part;
              dcb[i * L + j] += part;
              if (i == j) continue;  // cancels
              ds[i] += w;
              ds[j] -= w;
            }
          }
          for (index_t cell = 0; cell < cells; ++cell) ds[L - 1] += decay(last) * state[cell] * gh[cell];
          double da = 0;
          for (index_t j = L - 1; j >= 0; --j) {
            double ddelta = 0;
            for (index_t p = 0; p < P; ++p) {
              const double x = chunk.x[j * stride + p], o = dout[j * s.inner() + p];
              dx[j * stride + p] += chunk.delta[j] * v[j * P + p] + d[h] * o;
              ddelta += x * v[j * P + p];
              dd[h] += o * x;
            }
            da += ds[j];
            da_log[h] += chunk.a * chunk.delta[j] * da;
            const double raw = dt.data[(row + j) * dt.stride + h] + dt_bias[h];
            const double step = chunk.clamped[j] ? 0 : (ddelta + chunk.a * da) * sigmoid(raw);
            ddt.data[(row + j) * ddt.stride + h] = step;
            ddt_bias[h] += step;
          }
        }
        for (index_t i = 0; i < L; ++i) {
          for (index_t j = 0; j <= i; ++j) {
            const double operand = bf16_rounded(dcb[i * L + j]);
            for (index_t n = 0; n < N; ++n) {
              db[j * stride + n] += operand * shared.c[i * stride + n];
              dc[i * stride + n] += operand * shared.b[j * stride + n];
            }
          }
        }
      }
    }
  }
}

}  // namespace lmx::cpu
