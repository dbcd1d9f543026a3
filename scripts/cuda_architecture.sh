#!/usr/bin/env bash
# What to compile for the GPU at hand, as LMX_CUDA_ARCHITECTURES wants it: 90a-real for an H100 or H200. Exits 7 without a driver.
set -euo pipefail
capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | head -n 1 | tr -d '. ') || capability=
[[ "$capability" =~ ^[0-9]+$ ]] || { echo "cuda_architecture: no NVIDIA driver here" >&2; exit 7; }
[ "$capability" = 90 ] && capability=90a
echo "$capability-real"
