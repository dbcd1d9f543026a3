# Watts and joules of products, copies and training steps held up for seconds: what the card's power limit leaves.
needs_gpu
build_benchmarks bench_cuda_energy
record energy.txt "$cuda_bin/bench_cuda_energy" ${SMALL:+0.5 tinier}
