#!/usr/bin/env bash
# Builds the C++ tests of the CUDA backend beside the addon, in build-cuda (npm run build:cuda comes first), and runs them; those
# that need a GPU skip where there is none. Arguments name the targets; without any, all of test_cuda_*.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -f build-cuda/CMakeCache.txt ] || { echo "cuda_tests: build the addon first: npm run build:cuda" >&2; exit 2; }
targets=("$@")
if [ "${#targets[@]}" -eq 0 ]; then
  for source in kernels/test/cuda_*.cu; do targets+=("test_$(basename "$source" .cu)"); done
fi
cmake -S . -B build-cuda -DLMX_TESTS=ON >/dev/null
cmake --build build-cuda --parallel "${LMX_BUILD_JOBS:-$(nproc)}" --target "${targets[@]}"
pattern=$(IFS='|'; echo "${targets[*]#test_}")
ctest --test-dir build-cuda --output-on-failure --parallel "${LMX_TEST_JOBS:-$((($(nproc) + 1) / 2))}" -R "^($pattern)(_[0-9]+)?$"  # a program may be run in parts
