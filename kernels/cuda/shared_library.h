// NVIDIA's libraries are opened when the first GPU trainer starts, never linked: one binary serves machines with and without
// them. Search order: LAYERMIX_CUDA_LIBRARIES (folders, ':' between them), the loader's own path, CUDA_HOME and
// /usr/local/cuda*, the site-packages of an active Python environment or of the python3 on PATH, and `.cuda/` beside package.json
// (scripts/cuda_toolkit.sh puts pinned wheels there).
#pragma once

#include <string>

namespace lmx::cuda {

// A handle for dlsym, or nullptr; `tried` (may be null) receives the folders looked at. The library stays open.
// soname: "libcublasLt.so.13"; wheel_folder: its place below site-packages/nvidia, "cu13/lib".
void* open_library(const std::string& soname, const std::string& wheel_folder, std::string* tried);

}  // namespace lmx::cuda
