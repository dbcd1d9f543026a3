#!/usr/bin/env bash
# npm run test:gpu - everything that needs a GPU, in one command: builds the addon and the C++ tests for the card at hand, runs
# both kinds of tests. Needs an NVIDIA driver, a CUDA 13 toolkit (or .cuda/), Node with this package's dependencies, mocha
# and tsx, and dist/ (npm run build:ts).
#   --sanitize   some of the C++ tests under compute-sanitizer's memcheck and racecheck instead (minutes)
#   --keep       uses the addon in build-cuda/ as it is
set -euo pipefail
cd "$(dirname "$0")/.."
sanitize=false keep=false
for argument in "$@"; do
  case $argument in
    --sanitize) sanitize=true ;;
    --keep) keep=true ;;
    *) echo "usage: npm run test:gpu -- [--sanitize] [--keep]" >&2; exit 2 ;;
  esac
done
architecture=$(scripts/cuda_architecture.sh)
export LMX_CUDA_ARCHITECTURES="${LMX_CUDA_ARCHITECTURES:-$architecture}"
export PATH="$PWD/node_modules/.bin:$PATH"
begin=$SECONDS
if ! $keep; then scripts/build_cuda.sh; fi
[ -f build-cuda/CMakeCache.txt ] || { echo "test_gpu: nothing to keep: run it without --keep" >&2; exit 2; }
[ -e build/Release/layermix_cpu.node ] || [ -e build/layermix_cpu.node ] || cmake-js compile --out build
echo "test_gpu: built for $LMX_CUDA_ARCHITECTURES after $((SECONDS - begin)) s"
if $sanitize; then
  scripts/cuda_sanitize.sh
else
  scripts/cuda_tests.sh
  mocha --timeout 120000 'test/gpu/**/*.test.ts'
fi
echo "test_gpu: done after $((SECONDS - begin)) s"
