# bench/attention_share_gpu.yaml: the study of attention shares, then what can be asked of its folder. It goes on where a time limit
# stopped it: run the job again with the same --out.
corpus
file=bench/attention_share_gpu.yaml
[ -z "$SMALL" ] || file=bench/gpu/small.yaml
begin=$SECONDS
layermix sweep "$file" --device "$DEVICE" --workers 3 --out "$OUT/study" ${SMALL:+--set proxy.tokens=40K} 2>&1 | tee "$OUT/sweep.txt"
echo "wall time $((SECONDS - begin)) s" | tee -a "$OUT/sweep.txt"
layermix rank "$OUT/study" | tee "$OUT/rank.txt"
layermix rank "$OUT/study" --csv >"$OUT/rank.csv"
tasks=$(node -p 'require("node:fs").readFileSync(process.argv[1], "utf8").match(/"task": "[a-z_]+"/g).map((t) => t.slice(9, -1)).filter((t, i, all) => all.indexOf(t) === i).join(" ")' "$OUT/study/study.json")
for task in $tasks; do layermix rank "$OUT/study" --by "$task" | tee "$OUT/rank-$task.txt"; done
layermix fidelity "$OUT/study" | tee "$OUT/fidelity.txt"
layermix replay "$OUT/study" --strategy asha --rungs 3 | tee "$OUT/replay.txt"
layermix report "$OUT/study" --out "$OUT/report.html"
