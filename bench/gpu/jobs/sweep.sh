# bench/gpu_sweep.yaml, timed. It goes on where a time limit stopped it, and then its seconds are those of the last part.
corpus
file=bench/gpu_sweep.yaml
[ -z "$SMALL" ] || file=bench/gpu/small.yaml
begin=$SECONDS
layermix sweep "$file" --device "$DEVICE" --out "$OUT/study" ${SMALL:+--set proxy.tokens=40K} 2>&1 | tee "$OUT/study.txt"
echo "wall time $((SECONDS - begin)) s" | tee -a "$OUT/study.txt"
