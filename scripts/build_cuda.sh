#!/usr/bin/env bash
# Builds build-cuda/Release/layermix_cuda.node: the addon with the CUDA backend. Arguments are passed to cuda_toolkit.sh.
#   LMX_CUDA_ARCHITECTURES   what to compile for; fewer is faster ("90a-real" for H100 and H200 alone)
set -euo pipefail
cd "$(dirname "$0")/.."
found=$(scripts/cuda_toolkit.sh "$@")
eval "$(sed -E "s/^([A-Z_]+)=(.*)$/\1='\2'/" <<<"$found")"
[ -n "$LMX_CUDNN_INCLUDE" ] || echo "build_cuda: no cuDNN headers: attention uses layermix's own kernels" >&2
[ -n "$LMX_CUTLASS_INCLUDE" ] || echo "build_cuda: no CUTLASS headers: an MLP's product and activation are two kernels" >&2
options=(-DLMX_CUDA=ON -DLMX_CUDA_ROOT="$LMX_CUDA_ROOT" -DLMX_CUDNN_INCLUDE="$LMX_CUDNN_INCLUDE" -DLMX_CUTLASS_INCLUDE="$LMX_CUTLASS_INCLUDE"
  ${LMX_CUDA_ARCHITECTURES:+-DLMX_CUDA_ARCHITECTURES="$LMX_CUDA_ARCHITECTURES"})
# cmake-js configures once; what was found since, or is asked for now, has to be told.
[ ! -f build-cuda/CMakeCache.txt ] || cmake -S . -B build-cuda "${options[@]}" >/dev/null
PATH="$PWD/node_modules/.bin:$PATH" cmake-js compile --out build-cuda --parallel "${LMX_BUILD_JOBS:-$(nproc)}" "${options[@]/#-D/--CD}"
