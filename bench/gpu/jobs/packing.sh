# Trials that share the device: the same study with 1, 2, 4 and 8 workers, seconds and digests; on a GPU bench_cuda_packing too.
file=bench/gpu_packing.yaml
[ -z "$SMALL" ] || file=bench/gpu/small.yaml
study=(sweep "$file" --device "$DEVICE" --json)
[ -z "$SMALL" ] || study+=(--set proxy.tokens=20K --set proxy.seeds=1)
printf '| workers | seconds | steps in flight | the same bits |\n| --- | --- | --- | --- |\n' >"$OUT/packing.md"
for workers in 1 2 4 8; do
  rm -rf "$OUT/workers-$workers"
  begin=$(date +%s.%N)
  layermix "${study[@]}" --workers "$workers" --out "$OUT/workers-$workers" >"$OUT/workers-$workers.json"
  end=$(date +%s.%N)
  digests "$OUT/workers-$workers" >"$OUT/workers-$workers.digests"
  same=no
  ! cmp -s "$OUT/workers-1.digests" "$OUT/workers-$workers.digests" || same=yes
  node -e '
    const [file, workers, begin, end, same] = process.argv.slice(1);
    const { gpu } = JSON.parse(require("node:fs").readFileSync(file, "utf8")).data;
    console.log(`| ${workers} | ${(end - begin).toFixed(1)} | ${gpu ? gpu.stepsInFlight.toFixed(2) : "-"} | ${same} |`);
  ' "$OUT/workers-$workers.json" "$workers" "$begin" "$end" "$same" | tee -a "$OUT/packing.md"
done
if [ "$DEVICE" != cpu ]; then
  build_benchmarks bench_cuda_packing
  record packing.txt "$cuda_bin/bench_cuda_packing" ${SMALL:+tinier}
fi
! grep -q '| no |' "$OUT/packing.md"
