#!/usr/bin/env bash
# The C++ tests of the CUDA backend under compute-sanitizer: memcheck and racecheck, on few cases, for every tool slows kernels down a
# hundredfold. A report is an error.
# Racecheck looks at the kernels that layermix compiles, but for those that hand shared memory from warp to warp by mbarriers, where one
# lane arrives for its warp after __syncwarp: it does not follow that, and reports each such place, in cuDNN's and CUTLASS's kernels too.
# Ours of that kind are called *_engine_kernel (hopper.cuh). Nor does it run linear and mlp: with cuBLASLt's products on Hopper the tool
# ends in an internal error (2025.3), even where it looks at none of them; what else these two launch uses no shared memory, but for the
# sums of columns, which have a test of their own.
#   cuda_sanitize.sh [TOOL ...]    memcheck racecheck by default; initcheck and synccheck are there too
# A line per check: "ok", "skipped" or "FAILED", seconds, tool, test; of one that fails the end of its report. Exits 1 if one failed.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -f build-cuda/CMakeCache.txt ] || { echo "cuda_sanitize: build the addon first: npm run build:cuda" >&2; exit 2; }
tool=$(command -v compute-sanitizer || ls "${CUDA_HOME:-/usr/local/cuda}"/bin/compute-sanitizer 2>/dev/null) ||
  { echo "cuda_sanitize: no compute-sanitizer on PATH or in CUDA_HOME" >&2; exit 7; }
cmake -S . -B build-cuda -DLMX_TESTS=ON >/dev/null
tests=(test_cuda_ssd_scan test_cuda_operations test_cuda_attention test_cuda_mlp test_cuda_column_sums)
cmake --build build-cuda --parallel "${LMX_BUILD_JOBS:-$(nproc)}" --target "${tests[@]}"
# Newer releases call the options otherwise.
only=--kernel-name
"$tool" --help 2>&1 | grep -q -- "$only-exclude" || only=--kernel-regex
report=$(mktemp)
trap 'rm -f "$report"' EXIT
failed=0
check() { # tool, then the test and its arguments
  local options=() begin=$SECONDS code=0
  [ "$1" = racecheck ] && options=("$only" kns=lmx "$only-exclude" kns=engine_kernel)
  "$tool" --tool "$1" "${options[@]}" --error-exitcode 1 --print-limit 20 "build-cuda/kernels/cuda/$2" "${@:3}" >"$report" 2>&1 || code=$?
  case $code in
    0) echo "ok $((SECONDS - begin)) s: $*" ;;
    77) echo "skipped $((SECONDS - begin)) s: $*" ;;
    *)
      failed=1
      echo "FAILED ($code) $((SECONDS - begin)) s: $*"
      tail -n 25 "$report"
      ;;
  esac
}
kinds=("$@")
[ "$#" -gt 0 ] || kinds=(memcheck racecheck)
for kind in "${kinds[@]}"; do
  check "$kind" test_cuda_ssd_scan 8
  for operation in embedding rms_norm causal_conv1d gated_rms_norm rope attention cross_entropy adamw gradient_norm; do
    check "$kind" test_cuda_operations "$operation"
  done
  check "$kind" test_cuda_column_sums
  check "$kind" test_cuda_attention few
  [ "$kind" = racecheck ] && continue
  for operation in linear mlp; do check "$kind" test_cuda_operations "$operation"; done
  check "$kind" test_cuda_mlp
done
exit "$failed"
