// Arrays for tests of single CUDA kernels: values on the host in double, elements on the device in the
// kernel's own type, guard zones around them, gaps between strided rows, NaN in everything an operation must
// overwrite.
#pragma once

#include <cuda_bf16.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "backend.h"
#include "common/philox.h"
#include "cuda/check.h"

namespace lmx::test {

template <class T>
class DeviceArray {
 public:
  // rows x cols elements, rows `cols + gap` apart.
  DeviceArray(index_t rows, index_t cols, index_t gap = 0)
      : rows_(rows),
        cols_(cols),
        stride_(cols + gap),
        host_(2 * guard + rows * (cols + gap)),
        values_(rows * cols) {
    std::memset(static_cast<void*>(host_.data()), guard_byte, host_.size() * sizeof(T));
    cuda::check(cudaMalloc(&device_, host_.size() * sizeof(T)), "cudaMalloc");
    poison();
  }
  ~DeviceArray() { cudaFree(device_); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;

  operator T*() { return data(); }
  T* data() { return device_ + guard; }
  StridedOf<T*> strided() { return {data(), stride_}; }
  StridedOf<const T*> view() { return {data(), stride_}; }
  index_t count() const { return rows_ * cols_; }

  // What the device holds, as the oracle's input and result: exact.
  std::vector<double>& values() { return values_; }
  double* oracle() { return values_.data(); }
  StridedOf<const double*> oracle_view() { return {values_.data(), cols_}; }
  StridedOf<double*> oracle_strided() { return {values_.data(), cols_}; }

  // f(index) on both sides, rounded to T first.
  template <class F>
  DeviceArray& fill(F f) {
    for (index_t i = 0; i < count(); ++i) {
      const T element = static_cast<T>(static_cast<float>(f(i)));
      at(i) = element;
      values_[i] = static_cast<float>(element);
    }
    upload();
    return *this;
  }
  DeviceArray& normal(std::uint64_t seed, double scale = 1, double offset = 0) {
    return fill([&](index_t i) { return scale * random_normal(seed, 0, i) + offset; });
  }
  // NaN on the device.
  void poison() {
    for (index_t i = 0; i < count(); ++i) std::memset(static_cast<void*>(&at(i)), 0xff, sizeof(T));
    upload();
  }
  // Back from the device; false where a guard or a gap has changed.
  bool fetch(std::vector<double>& out) {
    std::vector<T> got(host_.size());
    cuda::check(cudaMemcpy(got.data(), device_, got.size() * sizeof(T), cudaMemcpyDeviceToHost),
                "cudaMemcpy");
    out.resize(count());
    bool intact = true;
    for (std::size_t i = 0; i < got.size(); ++i) {
      const index_t e = static_cast<index_t>(i) - guard;
      if (e < 0 || e >= rows_ * stride_ || e % stride_ >= cols_) {
        intact = intact && std::memcmp(&got[i], &host_[i], sizeof(T)) == 0;
      } else {
        out[e / stride_ * cols_ + e % stride_] = static_cast<float>(got[i]);
      }
    }
    return intact;
  }

 private:
  static constexpr index_t guard = 256 / sizeof(T);  // keeps the first element as aligned as an allocation
  static constexpr int guard_byte = 0xa5;
  T& at(index_t i) { return host_[guard + i / cols_ * stride_ + i % cols_]; }
  // Tests run on streams that do not wait for the default one, and a copy from pageable memory returns before it has arrived.
  void upload() {
    cuda::check(cudaMemcpy(device_, host_.data(), host_.size() * sizeof(T), cudaMemcpyHostToDevice), "cudaMemcpy");
    cuda::check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
  }

  index_t rows_, cols_, stride_;
  std::vector<T> host_;
  std::vector<double> values_;
  T* device_ = nullptr;
};

}  // namespace lmx::test
