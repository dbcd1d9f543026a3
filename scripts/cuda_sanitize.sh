#!/usr/bin/env bash
# The C++ tests of the CUDA backend under compute-sanitizer: memcheck and racecheck, on few cases, for every tool slows kernels down a
# hundredfold. A report is an error, but for one: racecheck reports a hazard inside cuBLASLt's own nvjet kernels on Hopper, in shared
# memory that the library hands between its producer and consumer warps by mbarriers racecheck does not follow. Only kernels whose
# name begins with nvjet_ are left out, by name; everything layermix compiles is checked.
#   cuda_sanitize.sh [TOOL ...]    memcheck racecheck by default; initcheck and synccheck are there too
# A line per check: "ok" or "FAILED", seconds, tool, test; of one that fails the end of its report. Exits 1 if one failed.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -f build-cuda/CMakeCache.txt ] || { echo "cuda_sanitize: build the addon first: npm run build:cuda" >&2; exit 2; }
tool=$(command -v compute-sanitizer || ls "${CUDA_HOME:-/usr/local/cuda}"/bin/compute-sanitizer 2>/dev/null) ||
  { echo "cuda_sanitize: no compute-sanitizer on PATH or in CUDA_HOME" >&2; exit 7; }
cmake -S . -B build-cuda -DLMX_TESTS=ON >/dev/null
cmake --build build-cuda --parallel "${LMX_BUILD_JOBS:-$(nproc)}" --target test_cuda_ssd_scan test_cuda_operations
# Newer releases call the option otherwise.
exclude=--kernel-name-exclude
"$tool" --help 2>&1 | grep -q -- "$exclude" || exclude=--kernel-regex-exclude
report=$(mktemp)
trap 'rm -f "$report"' EXIT
failed=0
check() { # tool, then the test and its arguments
  local options=() begin=$SECONDS code=0
  [ "$1" = racecheck ] && options=("$exclude" kns=nvjet_)
  "$tool" --tool "$1" "${options[@]}" --error-exitcode 1 --print-limit 20 "build-cuda/kernels/cuda/$2" "${@:3}" >"$report" 2>&1 || code=$?
  if [ "$code" -eq 0 ]; then
    echo "ok $((SECONDS - begin)) s: $*"
  else
    failed=1
    echo "FAILED ($code) $((SECONDS - begin)) s: $*"
    tail -n 25 "$report"
  fi
}
kinds=("$@")
[ "$#" -gt 0 ] || kinds=(memcheck racecheck)
for kind in "${kinds[@]}"; do
  check "$kind" test_cuda_ssd_scan 8
  for operation in embedding rms_norm linear mlp causal_conv1d gated_rms_norm rope attention cross_entropy adamw gradient_norm; do
    check "$kind" test_cuda_operations "$operation"
  done
done
exit "$failed"
