# What the jobs share; run.sh sources it. DEVICE, SMALL and OUT (the job's folder of results) are set.

# Outlives the program that it copies from, which may have something to say when the job is stopped.
tee() { (trap '' TERM; exec tee "$@"); }

needs_gpu() {
  [ "$DEVICE" != cpu ] || { echo "needs a GPU"; exit 77; }
}

# Where CMake builds: beside the addon where there is a GPU.
build_folder() {
  if [ "$DEVICE" = cpu ]; then echo build-test; else echo build-cuda; fi
}

# Builds benchmarks and leaves their folder in $bin.
build_benchmarks() {
  local folder
  folder=$(build_folder)
  if [ "$DEVICE" != cpu ] && [ ! -f build-cuda/CMakeCache.txt ]; then . bench/gpu/jobs/build.sh; fi
  cmake -S . -B "$folder" -DLMX_TESTS=ON >/dev/null
  cmake --build "$folder" --parallel "${LMX_BUILD_JOBS:-$(nproc)}" --target "$@" >"$OUT/build.log" 2>&1 || { tail -n 30 "$OUT/build.log"; exit 1; }
  bin=$folder/bench/native
  [ "$DEVICE" = cpu ] || cuda_bin=$folder/kernels/cuda
}

# Runs a program line by line, its output into a file of the job's folder too. FILE COMMAND...
record() {
  local file=$OUT/$1
  shift
  echo "\$ $*"
  stdbuf -oL "$@" 2>&1 | tee "$file"
}

layermix() { node bin/run.js "$@" --no-color; }

# The text for bench/*.yaml: bench/corpus/, made once (bench/corpus.sh) and carried along. SMALL: what the presets bring.
corpus() {
  compgen -G 'bench/corpus/*.txt' >/dev/null || [ -n "$SMALL" ] ||
    { echo "no text in bench/corpus/: run bench/corpus.sh bench/corpus where there is a network, and bring the folder"; exit 3; }
}

# One line per trial of a study folder: a hash of what it learned, without what the clock said.
digests() {
  local trial
  for trial in "$1"/trials/*/; do
    echo "$(basename "$trial") $(cat "$trial/metrics.jsonl" "$trial/result.json" | sha256sum | cut -c1-16)"
  done
}

# Trials of a study folder that have recorded something.
begun() { find "$1/trials" -mindepth 2 -maxdepth 2 -name metrics.jsonl 2>/dev/null | wc -l; }
