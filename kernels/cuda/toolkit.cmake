# Finds a CUDA toolkit and turns on the language. Included at the root when LMX_CUDA is ON.
#   LMX_CUDA_ROOT           folder with bin/nvcc, include, lib or lib64; empty: nvcc on PATH, then /usr/local/cuda
#   LMX_CUDA_ARCHITECTURES  what to compile for
#   LMX_CUDNN_INCLUDE       folders with cudnn.h, cudnn_frontend.h and nvrtc.h (;-separated); empty: attention uses our own kernels
#   LMX_CUTLASS_INCLUDE     folder with cutlass/cutlass.h, of CUTLASS 4; empty: no MLP is one kernel
# Only cudart is linked, statically: the binary loads on a machine without a driver.
set(LMX_CUDA_ROOT "" CACHE PATH "CUDA toolkit")
set(LMX_CUDA_ARCHITECTURES "80-real;89-real;90a-real;100-virtual" CACHE STRING "GPU architectures")
set(LMX_CUDNN_INCLUDE "" CACHE STRING "Folders of the cuDNN and cudnn-frontend headers")
set(LMX_CUTLASS_INCLUDE "" CACHE STRING "Folder of the CUTLASS headers")

find_program(LMX_NVCC nvcc HINTS "${LMX_CUDA_ROOT}/bin" PATHS /usr/local/cuda/bin NO_CACHE REQUIRED)
get_filename_component(cuda_root "${LMX_NVCC}/../.." REALPATH)
if(LMX_CUDA_ROOT)
  set(cuda_root "${LMX_CUDA_ROOT}")
endif()
find_library(LMX_CUDART cudart_static HINTS "${cuda_root}/lib64" "${cuda_root}/lib"
  "${cuda_root}/targets/x86_64-linux/lib" NO_CACHE REQUIRED)
get_filename_component(cuda_libraries "${LMX_CUDART}" DIRECTORY)

set(CMAKE_CUDA_COMPILER "${LMX_NVCC}")
set(CMAKE_CUDA_STANDARD 17)
set(CMAKE_CUDA_ARCHITECTURES "${LMX_CUDA_ARCHITECTURES}")
set(CMAKE_CUDA_RUNTIME_LIBRARY None)          # linked by path, below
set(ENV{LIBRARY_PATH} "${cuda_libraries}")    # where nvcc's own layout is not a system toolkit's
enable_language(CUDA)

find_package(Threads REQUIRED)
add_library(layermix_cudart INTERFACE)
target_include_directories(layermix_cudart SYSTEM INTERFACE "${cuda_root}/include")
target_link_libraries(layermix_cudart INTERFACE "${LMX_CUDART}" Threads::Threads ${CMAKE_DL_LIBS} rt)
