#!/usr/bin/env bash
# Measures again what bench/RESULTS.md says of GPUs: named jobs, each a file of jobs/, one after the other.
#   bench/gpu/run.sh [--out DIR] [--limit SECONDS] [--device cuda:0|cpu] [--small] JOB...|all
#   --out     where results go, build-gpu/ by default: JOB.log and JOB/ with its files. Studies in it resume, so the same command goes
#             on with what a time limit cut off; delete the folder to begin anew
#   --limit   seconds per job, after which it is stopped; what it has printed by then is kept. 1800 by default
#   --small   everything a hundred times smaller, to see that a job runs
#   --device  cpu: the jobs that can, on the CPU; the others say that they need a GPU (exit code 77)
# Jobs: build tests kernels steps trace energy decode project packing kill sweep share sanitize. Each but the first begins when its build is there.
# A job's failure does not stop the others: DIR/summary.txt has a line for each, "name seconds code", and the exit code is 1 if one failed.
# After each job DIR/figures.tar.xz has all results but checkpoints: a few hundred kilobytes to bring home from a host that will be gone.
# Needs bash, coreutils, tar, xz, the CUDA toolkit, CMake, Node with node_modules, and dist/ (docs/gpu.md says how to bring them to a host).
set -uo pipefail
cd "$(dirname "$0")/../.."
known=(build tests kernels steps trace energy decode project packing kill sweep share sanitize)
usage() { sed -n '3,11s/^# \{0,1\}//p' bench/gpu/run.sh >&2; exit 2; }

out=build-gpu limit=1800 jobs=()
export DEVICE=cuda:0 SMALL=
while [ $# -gt 0 ]; do
  case $1 in
    --out | --limit | --device)
      [ $# -ge 2 ] || usage
      case $1 in --out) out=$2 ;; --limit) limit=$2 ;; --device) DEVICE=$2 ;; esac
      shift ;;
    --small) SMALL=1 ;;
    all) jobs+=("${known[@]}") ;;
    -*) usage ;;
    *)
      [ -f "bench/gpu/jobs/$1.sh" ] || { echo "gpu/run: Expected a job of ${known[*]}, got $1" >&2; exit 2; }
      jobs+=("$1") ;;
  esac
  shift
done
[ "${#jobs[@]}" -gt 0 ] || usage
[[ "$limit" =~ ^[1-9][0-9]*$ ]] || { echo "gpu/run: Expected --limit to be whole seconds, got $limit" >&2; exit 2; }
[[ "$DEVICE" =~ ^(cpu|cuda:[0-9]+)$ ]] || { echo "gpu/run: Expected --device cpu or cuda:N, got $DEVICE" >&2; exit 2; }
[ -f dist/cli/commands/sweep.js ] || { echo "gpu/run: no dist/: npm run build:ts" >&2; exit 2; }
mkdir -p "$out"
out=$(cd "$out" && pwd)
export PATH="$PWD/node_modules/.bin:$PATH"

{
  date -u +"%Y-%m-%d %H:%M UTC, commit $(git rev-parse --short HEAD 2>/dev/null || echo unknown), node $(node --version)"
  nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>/dev/null
} | tee "$out/host.txt"
failed=0
figures=$(mktemp)
trap 'rm -f "$figures"' EXIT
for job in "${jobs[@]}"; do
  export OUT="$out/$job"
  mkdir -p "$OUT"
  echo "gpu/run: $job"
  begin=$SECONDS
  # The trap lets a job that is stopped end after what it has started: a sweep that saves still writes into its folder.
  timeout --kill-after=20 "$limit" bash -c 'trap "exit 143" TERM; set -eo pipefail; . bench/gpu/lib.sh; . "bench/gpu/jobs/$0.sh"' "$job" 2>&1 | tee "$out/$job.log"
  code=${PIPESTATUS[0]}
  note=
  [ "$code" -eq 124 ] && note=" (stopped after $limit s)"
  [ "$code" -eq 77 ] && note=" (needs a GPU)"
  [ "$code" -eq 0 ] || [ "$code" -eq 77 ] || failed=1
  echo "$job $((SECONDS - begin)) $code$note" | tee -a "$out/summary.txt"
  tar -C "$out" --exclude='*.safetensors' --exclude=figures.tar.xz -cJf "$figures" . && cp "$figures" "$out/figures.tar.xz" || failed=1
done
exit "$failed"
