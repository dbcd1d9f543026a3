#!/usr/bin/env bash
# Finds what compiling for NVIDIA GPUs takes, and says where: prints LMX_CUDA_ROOT=..., LMX_CUDNN_INCLUDE=... and
# LMX_CUTLASS_INCLUDE=... for kernels/cuda/toolkit.cmake. Looks at LAYERMIX_CUDA_SITE (a site-packages folder with NVIDIA's wheels), then
# for a complete system toolkit (CUDA_HOME, /usr/local/cuda), then in .cuda/; with --install, what is missing is put there: pinned wheels,
# no root. CUTLASS, which is headers alone and no part of a toolkit, is also looked for in LAYERMIX_CUTLASS_INCLUDE, a folder with
# cutlass/cutlass.h, and with --install put into .cuda/ beside a system toolkit too.
set -euo pipefail
cd "$(dirname "$0")/.."

pins=(
  nvidia-cuda-nvcc==13.0.88 nvidia-cuda-crt==13.0.88 nvidia-nvvm==13.0.88 nvidia-cuda-runtime==13.0.96
  nvidia-cuda-cccl==13.0.85 nvidia-cuda-nvrtc==13.0.88 nvidia-cublas==13.1.0.3
  nvidia-cudnn-cu13==9.19.1.2 nvidia-cudnn-frontend==1.23.0
)
cutlass_pin=nvidia-cutlass==4.2.0.0
local_site=$PWD/.cuda/lib/python3/site-packages
install=false
[ "${1:-}" != --install ] || install=true

# A toolkit is complete with a compiler of CUDA 13, cuBLASLt's header and the static runtime.
is_toolkit() {
  [ -x "$1/bin/nvcc" ] && [ -f "$1/include/cublasLt.h" ] &&
    { compgen -G "$1/lib*/libcudart_static.a" || compgen -G "$1/targets/*/lib/libcudart_static.a"; } >/dev/null &&
    "$1/bin/nvcc" --version | grep -Eq 'release 1[3-9]'
}

# The folders that hold cudnn.h, cudnn_frontend.h and nvrtc.h, ';' between them; nothing where one is missing.
cudnn_folders() {
  local header folder found=()
  for header in cudnn.h cudnn_frontend.h nvrtc.h; do
    for folder in "$@"; do
      if [ -f "$folder/$header" ]; then
        found+=("$folder")
        continue 2
      fi
    done
    return 0
  done
  (IFS=';'; echo "${found[*]}")
}

# The folder that holds the CUTLASS headers, from 4.2 and before 5; nothing where there is none.
cutlass_folder() {
  local folder version
  for folder in "${LAYERMIX_CUTLASS_INCLUDE:-}" "$@" "$local_site/cutlass_library/source/include"; do
    version=$folder/cutlass/version.h
    if [ -f "$version" ] && grep -Eq 'define CUTLASS_MAJOR 4\b' "$version" && grep -Eq 'define CUTLASS_MINOR ([2-9]|[1-9][0-9])\b' "$version"; then
      echo "$folder"
      return 0
    fi
  done
}

fetch() { # what pip is to put into .cuda/
  python3 -m pip install --quiet --no-deps --disable-pip-version-check --target "$local_site" "$@" >&2
}

report() { # toolkit root, then folders that may hold headers
  local cutlass
  cutlass=$(cutlass_folder "${@:2}" "$1/include")
  if [ -z "$cutlass" ] && $install; then
    fetch "$cutlass_pin" && cutlass=$(cutlass_folder) || echo "cuda_toolkit: CUTLASS could not be fetched: going on without" >&2
  fi
  echo "LMX_CUDA_ROOT=$1"
  echo "LMX_CUDNN_INCLUDE=$(cudnn_folders "${@:2}" "$1/include")"
  echo "LMX_CUTLASS_INCLUDE=$cutlass"
  exit 0
}

report_site() {
  is_toolkit "$1/nvidia/cu13" || return 0
  report "$1/nvidia/cu13" "$1/nvidia/cudnn/include" "$1/include" "$1/cutlass_library/source/include"
}

[ -z "${LAYERMIX_CUDA_SITE:-}" ] || report_site "$LAYERMIX_CUDA_SITE"
for root in "${CUDA_HOME:-}" /usr/local/cuda; do
  if [ -n "$root" ] && is_toolkit "$root"; then report "$root" /usr/include /usr/include/x86_64-linux-gnu; fi
done
report_site "$local_site"
if $install; then
  command -v python3 >/dev/null || { echo "cuda_toolkit: no CUDA 13 toolkit, and no python3 to fetch one with" >&2; exit 7; }
  echo "cuda_toolkit: putting NVIDIA's compiler and libraries into .cuda/ (about 3 GB)" >&2
  fetch "${pins[@]}"
  report_site "$local_site"
fi
echo "cuda_toolkit: no CUDA 13 toolkit found; --install puts one into .cuda/" >&2
exit 7
