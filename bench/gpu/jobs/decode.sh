# One token for every sequence: operations, then whole decoders of the 8B models.
needs_gpu
build_benchmarks bench_cuda_decode
record decode.txt "$cuda_bin/bench_cuda_decode" ${SMALL:+0.002}
