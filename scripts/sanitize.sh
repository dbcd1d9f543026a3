#!/usr/bin/env bash
# npm run test:sanitize - the C++ tests under AddressSanitizer and UndefinedBehaviorSanitizer, then under ThreadSanitizer. About ten
# minutes on two cores; needs a compiler that brings the sanitizers.
set -euo pipefail
cd "$(dirname "$0")/.."
export TSAN_OPTIONS=allocator_may_return_null=1 # a test asks for more memory than there is
for sanitizers in address,undefined thread; do
  build=build-${sanitizers%%,*}
  cmake -S . -B "$build" -DLMX_TESTS=ON -DLMX_SANITIZE="$sanitizers"
  cmake --build "$build" --parallel "$(nproc)"
  ctest --test-dir "$build" --output-on-failure
done
