# The C++ tests under compute-sanitizer.
needs_gpu
[ -f build-cuda/CMakeCache.txt ] || . bench/gpu/jobs/build.sh
record sanitize.txt bash scripts/cuda_sanitize.sh
