# Where every millisecond of the reference step goes: a Markdown table.
build_benchmarks bench_trace
name=reference
[ -z "$SMALL" ] || name=tinier
record trace.md "$bin/bench_trace" "$name" "$DEVICE"
