# npm run test:gpu, with the addon as it is.
needs_gpu
[ -f build-cuda/CMakeCache.txt ] || . bench/gpu/jobs/build.sh
record tests.txt bash scripts/test_gpu.sh --keep
