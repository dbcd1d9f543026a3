#include "cublaslt.h"

#include <dlfcn.h>

#include <string>

#include "check.h"
#include "shared_library.h"

namespace lmx::cuda {
namespace {

CublasLt bind() {
  std::string tried;
  void* const library = open_library("libcublasLt.so.13", "cu13/lib", &tried);
  if (library == nullptr) {
    throw NoDevice("libcublasLt.so.13 was not found; looked in " + tried +
                      ". Set LAYERMIX_CUDA_LIBRARIES to the folder that holds it");
  }
  CublasLt api{};
  const auto symbol = [&](auto& function, const char* name) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, name));
    if (function == nullptr) throw NoDevice(std::string("libcublasLt.so.13 has no ") + name);
  };
  symbol(api.create, "cublasLtCreate");
  symbol(api.destroy, "cublasLtDestroy");
  symbol(api.status_string, "cublasLtGetStatusString");
  symbol(api.matmul, "cublasLtMatmul");
  symbol(api.get_heuristic, "cublasLtMatmulAlgoGetHeuristic");
  symbol(api.desc_create, "cublasLtMatmulDescCreate");
  symbol(api.desc_destroy, "cublasLtMatmulDescDestroy");
  symbol(api.desc_set, "cublasLtMatmulDescSetAttribute");
  symbol(api.layout_create, "cublasLtMatrixLayoutCreate");
  symbol(api.layout_destroy, "cublasLtMatrixLayoutDestroy");
  symbol(api.layout_set, "cublasLtMatrixLayoutSetAttribute");
  symbol(api.preference_create, "cublasLtMatmulPreferenceCreate");
  symbol(api.preference_destroy, "cublasLtMatmulPreferenceDestroy");
  symbol(api.preference_set, "cublasLtMatmulPreferenceSetAttribute");
  return api;
}

}  // namespace

const CublasLt& cublaslt() {
  static const CublasLt api = bind();
  return api;
}

void check(cublasStatus_t status, const char* call) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  const std::string what = std::string(call) + ": " + cublaslt().status_string(status);
  if (status == CUBLAS_STATUS_ALLOC_FAILED) throw OutOfMemory(what, 0);
  fail(what);
}

}  // namespace lmx::cuda
