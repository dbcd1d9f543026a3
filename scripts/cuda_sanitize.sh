#!/usr/bin/env bash
# The C++ tests of the CUDA backend under compute-sanitizer: memcheck and racecheck, on few cases, for every tool slows kernels down a
# hundredfold. A report is an error, but for one: racecheck reports a hazard inside cuBLASLt's own nvjet kernels on Hopper, in shared
# memory that the library hands between its producer and consumer warps by mbarriers racecheck does not follow. Only kernels whose
# name begins with nvjet_ are left out, by name; everything layermix compiles is checked.
set -euo pipefail
cd "$(dirname "$0")/.."
tool=$(command -v compute-sanitizer || ls "${CUDA_HOME:-/usr/local/cuda}"/bin/compute-sanitizer 2>/dev/null) ||
  { echo "cuda_sanitize: no compute-sanitizer on PATH or in CUDA_HOME" >&2; exit 7; }
cmake -S . -B build-cuda -DLMX_TESTS=ON >/dev/null
cmake --build build-cuda --parallel "${LMX_BUILD_JOBS:-$(nproc)}" --target test_cuda_ssd_scan test_cuda_operations
check() { # tool, then the test and its arguments
  echo "cuda_sanitize: $1 ${*:2}"
  local exclude=()
  [ "$1" = racecheck ] && exclude=(--kernel-regex-exclude kns=nvjet_)
  "$tool" --tool "$1" "${exclude[@]}" --error-exitcode 1 --print-limit 20 "build-cuda/kernels/cuda/$2" "${@:3}" | tail -n 25
}
for kind in memcheck racecheck; do
  check "$kind" test_cuda_ssd_scan 8
  for operation in embedding rms_norm linear mlp causal_conv1d gated_rms_norm rope attention cross_entropy adamw gradient_norm; do
    check "$kind" test_cuda_operations "$operation"
  done
done
