# Calibrates the device, then compares what is projected with what is measured, at shapes that were not calibrated.
layermix calibrate --device "$DEVICE" ${SMALL:+--quick} --out "$OUT/hardware.yaml" --json >"$OUT/calibrate.json"
layermix hardware show "$OUT/hardware.yaml" | tee "$OUT/hardware.txt"
record projection.md node bench/projection.js --hardware "$OUT/hardware.yaml" --device "$DEVICE" --markdown
