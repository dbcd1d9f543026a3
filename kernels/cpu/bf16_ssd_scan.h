// The SSD scan as a chunked implementation in bf16 computes it: the product C·B, which is made once for all heads of a group, and every
// operand of a matrix product - the weighted C·B, the weighted B and C, states and their gradients, the gradient of C·B - are
// bf16; decays, sums and states carried on are not. The gradients of the decays (A, dt) are sums whose terms cancel: there
// the rounding of C·B shows most.
// Equations and names in ssd_scan.h.
#pragma once

#include "ssd_scan.h"

namespace lmx::cpu {

// `states` (batch, chunks, heads, head_dim, state) receives bf16 values. The rest as in ssd_scan.h.
void bf16_ssd_scan_forward(const SsdShape&, const double* xbc, StridedOf<const double*> dt, const double* a_log,
                           const double* d, const double* dt_bias, const double* initial_state, double* y,
                           double* states, double* final_state);
void bf16_ssd_scan_backward(const SsdShape&, const double* dy, const double* xbc, StridedOf<const double*> dt,
                            const double* a_log, const double* d, const double* dt_bias, const double* states,
                            const double* dfinal_state, double* dxbc, StridedOf<double*> ddt, double* da_log,
                            double* dd, double* ddt_bias, double* dinitial_state);

}  // namespace lmx::cpu
