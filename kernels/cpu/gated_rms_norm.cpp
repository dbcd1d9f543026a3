// Gated, grouped RMSNorm in float: tasks are chunks of rows; see gated_rms_norm.h. Backward recomputes
// silu(z) instead of reading it.
#include "gated_rms_norm.h"

#include "reduction.h"

namespace lmx::cpu {

using simd::Floats;

std::size_t gated_rms_norm_workspace_bytes(const GatedNormShape& s) { return partials_bytes(s.rows, s.cols); }

void gated_rms_norm_forward(const Context& context, const GatedNormShape& s, const float* y,
                            StridedOf<const float*> z, const float* weight, float* out, float* rstd) {
  const index_t width = s.cols / s.groups;
  const RowChunks chunks(s.rows);
  context.pool->parallel_for(chunks.count, [&](index_t chunk) {
    for (index_t r = chunks.begin(chunk); r < chunks.end(chunk); ++r) {
      for (index_t g = 0; g < s.groups; ++g) {
        const index_t at = r * s.cols + g * width;
        const float* const gate = z.data + r * z.stride + g * width;
        Floats squares{};
        simd::for_each_vector(width, [&](index_t c, index_t n) {
          const Floats zc = simd::load(gate + c, n);
          const Floats v = simd::load(y + at + c, n) * zc * simd::sigmoid(zc);
          simd::store(out + at + c, v, n);
          squares += v * v;
        });
        const float scale = 1 / std::sqrt(simd::sum(squares) / float(width) + float(s.eps));
        rstd[r * s.groups + g] = scale;
        simd::for_each_vector(width, [&](index_t c, index_t n) {
          const Floats w = simd::load(weight + g * width + c, n);
          simd::store(out + at + c, simd::load(out + at + c, n) * scale * w, n);
        });
      }
    }
  });
}

void gated_rms_norm_backward(const Context& context, const GatedNormShape& s, const float* dout,
                             const float* y, StridedOf<const float*> z, const float* weight,
                             const float* rstd, float* dy, StridedOf<float*> dz, float* dweight) {
  const index_t width = s.cols / s.groups;
  const RowChunks chunks(s.rows);
  float* const partials = context.scratch<float>(chunks.count * s.cols);
  context.pool->parallel_for(chunks.count, [&](index_t chunk) {
    std::fill_n(partials + chunk * s.cols, s.cols, 0.0f);
    for (index_t r = chunks.begin(chunk); r < chunks.end(chunk); ++r) {
      for (index_t g = 0; g < s.groups; ++g) {
        const index_t at = r * s.cols + g * width;
        const float* const gate = z.data + r * z.stride + g * width;
        float* const dgate = dz.data + r * dz.stride + g * width;
        float* const partial = partials + chunk * s.cols + g * width;
        const float scale = rstd[r * s.groups + g];
        // First pass: the dot product, and sigmoid(z) parked in dz.
        Floats dot{};
        simd::for_each_vector(width, [&](index_t c, index_t n) {
          const Floats zc = simd::load(gate + c, n), sigma = simd::sigmoid(zc);
          const Floats v = simd::load(y + at + c, n) * zc * sigma;
          dot += simd::load(dout + at + c, n) * simd::load(weight + g * width + c, n) * v;
          simd::store(dgate + c, sigma, n);
        });
        const float slope = simd::sum(dot) / float(width) * scale * scale;
        simd::for_each_vector(width, [&](index_t c, index_t n) {
          const Floats zc = simd::load(gate + c, n), sigma = simd::load(dgate + c, n);
          const Floats yc = simd::load(y + at + c, n), upstream = simd::load(dout + at + c, n);
          const Floats silu = zc * sigma, v = yc * silu;
          const Floats dv = scale * (upstream * simd::load(weight + g * width + c, n) - v * slope);
          simd::store(partial + c, simd::load(partial + c, n) + upstream * v * scale, n);
          simd::store(dgate + c, dv * yc * (sigma + silu * (1.0f - sigma)), n);
          simd::store(dy + at + c, dv * silu, n);
        });
      }
    }
  });
  add_partials(context, chunks.count, s.cols, partials, s.cols, dweight);
}

}  // namespace lmx::cpu
