// RMSNorm in float: tasks are chunks of rows, a row is read from cache the second time; see rms_norm.h.
#include "rms_norm.h"

#include "reduction.h"

namespace lmx::cpu {

using simd::Floats;

std::size_t rms_norm_workspace_bytes(const NormShape& s) { return partials_bytes(s.rows, s.cols); }

void rms_norm_forward(const Context& context, const NormShape& s, const float* x, const float* weight,
                      float* y, float* rstd) {
  const RowChunks chunks(s.rows);
  context.pool->parallel_for(chunks.count, [&](index_t chunk) {
    for (index_t r = chunks.begin(chunk); r < chunks.end(chunk); ++r) {
      const float* row = x + r * s.cols;
      Floats squares{};
      simd::for_each_vector(s.cols, [&](index_t c, index_t n) {
        const Floats v = simd::load(row + c, n);
        squares += v * v;
      });
      const float scale = 1 / std::sqrt(simd::sum(squares) / float(s.cols) + float(s.eps));
      rstd[r] = scale;
      simd::for_each_vector(s.cols, [&](index_t c, index_t n) {
        simd::store(y + r * s.cols + c, simd::load(row + c, n) * scale * simd::load(weight + c, n), n);
      });
    }
  });
}

void rms_norm_backward(const Context& context, const NormShape& s, const float* dy, const float* x,
                       const float* weight, const float* rstd, const float* dresidual, float* dx,
                       float* dweight) {
  const RowChunks chunks(s.rows);
  float* const partials = context.scratch<float>(chunks.count * s.cols);
  context.pool->parallel_for(chunks.count, [&](index_t chunk) {
    float* const partial = partials + chunk * s.cols;
    std::fill_n(partial, s.cols, 0.0f);
    for (index_t r = chunks.begin(chunk); r < chunks.end(chunk); ++r) {
      const index_t row = r * s.cols;
      const float scale = rstd[r];
      Floats dot{};
      simd::for_each_vector(s.cols, [&](index_t c, index_t n) {
        dot += simd::load(dy + row + c, n) * simd::load(weight + c, n) * simd::load(x + row + c, n);
      });
      const float slope = simd::sum(dot) / float(s.cols) * scale * scale;
      simd::for_each_vector(s.cols, [&](index_t c, index_t n) {
        const Floats g = simd::load(dy + row + c, n), v = simd::load(x + row + c, n);
        Floats result = scale * (g * simd::load(weight + c, n) - v * slope);
        if (dresidual) result += simd::load(dresidual + row + c, n);
        simd::store(dx + row + c, result, n);
        simd::store(partial + c, simd::load(partial + c, n) + g * v * scale, n);
      });
    }
  });
  add_partials(context, chunks.count, s.cols, partials, s.cols, dweight);
}

}  // namespace lmx::cpu
