# Operations and the SSD scan beside their floors, on this card's own copy bandwidth.
needs_gpu
build_benchmarks bench_cuda_operations bench_cuda_ssd
code=0
record operations.txt "$cuda_bin/bench_cuda_operations" || code=$?
record ssd.txt "$cuda_bin/bench_cuda_ssd" ${SMALL:+reference} || code=$?
exit "$code"
