# Training steps of the proxies in bench/RESULTS.md.
needs_gpu
build_benchmarks bench_cuda_training
names=(reference long mid large tiny tinier)
[ -z "$SMALL" ] || names=(tiny tinier)
record steps.txt "$cuda_bin/bench_cuda_training" "${names[@]}"
