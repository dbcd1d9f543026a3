// The three products of a linear layer as calls of the blocked GEMM; see linear.h.
#include "linear.h"

#include "gemm.h"

namespace lmx::cpu {

void linear_forward(const Context& context, const LinearShape& s, const float* x, const float* w,
                    const float* residual, float* y) {
  gemm(context, {s.rows, s.out, s.in, {x, s.in, 1}, {w, 1, s.in}, residual, s.y_stride(), y, s.y_stride()});
}

void linear_backward_input(const Context& context, const LinearShape& s, const float* dy, const float* w,
                           float* dx) {
  gemm(context, {s.rows, s.in, s.out, {dy, s.y_stride(), 1}, {w, s.in, 1}, nullptr, 0, dx, s.in});
}

void linear_backward_weight(const Context& context, const LinearShape& s, const float* x, const float* dy,
                            float* dw) {
  gemm_deep(context, {s.out, s.in, s.rows, {dy, 1, s.y_stride()}, {x, s.in, 1}, dw, s.in, dw, s.in});
}

}  // namespace lmx::cpu
