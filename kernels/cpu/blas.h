// A system BLAS for the tiles of a matrix product where it is at least as fast as the own code. Compiled in
// only where CMake found a good one (LMX_BLAS); the library is complete without it. It runs on one thread per
// call: the tiles are the parallelism, and they do not depend on the number of threads.
#pragma once

#include "gemm.h"

namespace lmx::cpu {

#if defined(LMX_BLAS_NAME)

const char* blas_name();

// Whether blas_tile is the faster way for a tile.
bool blas_pays(const Gemm& gemm, const Tile& tile);

// One tile of C, as gemm_tile.
void blas_tile(const Gemm& gemm, const Tile& tile);

#else

inline const char* blas_name() { return "own"; }
inline bool blas_pays(const Gemm&, const Tile&) { return false; }
inline void blas_tile(const Gemm&, const Tile&) {}

#endif

}  // namespace lmx::cpu
