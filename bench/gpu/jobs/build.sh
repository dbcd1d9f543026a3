# Builds the addon, for the card at hand alone, and the CPU addon where there is none.
if [ "$DEVICE" != cpu ]; then
  LMX_CUDA_ARCHITECTURES=${LMX_CUDA_ARCHITECTURES:-$(scripts/cuda_architecture.sh)}
  export LMX_CUDA_ARCHITECTURES
  scripts/build_cuda.sh >"$OUT/build.log" 2>&1 || { tail -n 30 "$OUT/build.log"; exit 1; }
fi
[ -e build/Release/layermix_cpu.node ] || cmake-js compile --out build >>"$OUT/build.log" 2>&1
layermix doctor | tee "$OUT/doctor.txt" || true
