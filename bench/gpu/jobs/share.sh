# bench/attention_share_gpu.yaml: the study of attention shares, the same text at a half and a quarter of the width, then what can be asked of
# their folders. Sweeps on every GPU there is share a folder. It goes on where a time limit stopped it: run the job again with the same --out.
corpus
file=bench/attention_share_gpu.yaml
[ -z "$SMALL" ] || file=bench/gpu/small.yaml
devices=("$DEVICE")
[ "$DEVICE" = cpu ] || mapfile -t devices < <(nvidia-smi --query-gpu=index --format=csv,noheader | sed 's/^/cuda:/')

# NAME FLAGS...: sweeps into $OUT/NAME, one process per device.
sweep() {
  local name=$1 begin=$SECONDS device pid pids=() code=0
  shift
  for device in "${devices[@]}"; do
    layermix sweep "$file" --device "$device" --workers 4 --out "$OUT/$name" ${SMALL:+--set proxy.tokens=40K} "$@" >"$OUT/$name-${device/:/}.txt" 2>&1 &
    pids+=($!)
  done
  for pid in "${pids[@]}"; do wait "$pid" || code=$?; done
  tail -n 12 "$OUT/$name-${devices[0]/:/}.txt"
  echo "$name: wall time $((SECONDS - begin)) s on ${#devices[@]} devices, code $code" | tee -a "$OUT/wall.txt"
  return "$code"
}

sweep study
layermix rank "$OUT/study" | tee "$OUT/rank.txt"
layermix rank "$OUT/study" --csv >"$OUT/rank.csv"
for by in score text recall; do layermix rank "$OUT/study" --by "$by" >"$OUT/rank-$by.txt" || true; done
layermix fidelity "$OUT/study" | tee "$OUT/fidelity.txt"
for keep in 50% 33%; do
  for rungs in 3 4 5; do layermix replay "$OUT/study" --strategy asha --rungs "$rungs" --keep "$keep"; done
done | tee "$OUT/replay.txt"
layermix report "$OUT/study" --out "$OUT/report.html"
text=$(grep -o '{ task: text.*}' "$file")
for hidden in 256 128; do
  sweep "hidden-$hidden" --set "proxy.model.hidden=$((hidden ${SMALL:+/ 8}))" --set "proxy.tasks=[$text]"
  layermix fidelity "$OUT/hidden-$hidden" --against "$OUT/study" --by text | tee "$OUT/fidelity-$hidden.txt"
done
