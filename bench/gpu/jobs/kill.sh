# bench/gpu_sweep.yaml in a short form, undisturbed and again with kill -9 and a resume, which must learn the same to the last bit.
corpus
short=(--device "$DEVICE" --set proxy.seeds=1 --set proxy.tokens=2M --checkpoint-every 1)
[ -z "$SMALL" ] || short=(--device "$DEVICE" --workers 1 --checkpoint-every 0.2 --set proxy.tokens=40K --set proxy.seeds=1)
file=bench/gpu_sweep.yaml
[ -z "$SMALL" ] || file=bench/gpu/small.yaml
rm -rf "$OUT/calm" "$OUT/rough"
layermix sweep "$file" "${short[@]}" --out "$OUT/calm" --json >"$OUT/calm.json"
setsid node bin/run.js sweep "$file" "${short[@]}" --out "$OUT/rough" --quiet >"$OUT/rough.log" 2>&1 &
rough=$!
trap 'kill -KILL -- "-$rough" 2>/dev/null' EXIT
while kill -0 "$rough" 2>/dev/null && [ "$(begun "$OUT/rough")" -lt 3 ]; do sleep 0.1; done
sleep "${SMALL:+0.}1"
kill -KILL -- "-$rough" || { echo "the sweep was over before it could be killed"; exit 1; }
wait "$rough" 2>/dev/null || true
trap - EXIT
done_then=$(find "$OUT/rough/trials" -name result.json | wc -l)
layermix sweep "$file" "${short[@]}" --out "$OUT/rough" --json >"$OUT/rough.json"
digests "$OUT/calm" >"$OUT/calm.digests"
digests "$OUT/rough" >"$OUT/rough.digests"
cmp "$OUT/calm.digests" "$OUT/rough.digests"
echo "killed with $done_then of $(wc -l <"$OUT/calm.digests") trials done and resumed: the same digests" | tee "$OUT/kill.txt"
