// Maps the virtual calls of Backend to the operations of this folder. Every call enqueues on the backend's own stream; scratch
// comes from the bound workspace, which operations use one after the other.
#include "cuda_backend.h"

#include <algorithm>
#include <string>

#include "../common/error.h"
#include "adamw.cuh"
#include "attention.h"
#include "causal_conv1d.cuh"
#include "check.h"
#include "column_sums.cuh"
#include "cross_entropy.cuh"
#include "cuda_inference.h"
#include "embedding.cuh"
#include "embedding_product.cuh"
#include "gated_rms_norm.cuh"
#include "linear.h"
#include "mlp.h"
#include "rms_norm.cuh"
#include "rope.cuh"
#include "ssd_gradient.cuh"
#include "ssd_scan.cuh"
#include "ssd_scan_padded.cuh"
#include "step_graph.h"
#include "stream_timer.h"
#include "transfer.h"

namespace lmx {
namespace {

using cuda::bf16;
using cuda::check;

template <class T>
const T* in(const void* pointer) {
  return static_cast<const T*>(pointer);
}
template <class T>
T* out(void* pointer) {
  return static_cast<T*>(pointer);
}
template <class T>
StridedOf<const T*> in(ConstStrided view) {
  return {static_cast<const T*>(view.data), view.stride};
}
template <class T>
StridedOf<T*> out(Strided view) {
  return {static_cast<T*>(view.data), view.stride};
}

class CudaBackend final : public Backend {
 public:
  explicit CudaBackend(int device) : device_(device), name_("cuda:" + std::to_string(device)) {
    check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreate");
    check(cudaMalloc(&block_sums_, cuda::block_sums_bytes()), "cudaMalloc");
  }
  ~CudaBackend() override {
    cudaSetDevice(device_);
    cudaStreamSynchronize(stream_);
    cudaFree(block_sums_);
    cudaStreamDestroy(stream_);
  }

  Precision precision() const override { return bf16_precision(); }
  const char* name() const override { return name_.c_str(); }
  Inference& inference() override { return *inference_; }

  void* allocate(std::size_t bytes) override {
    select();
    void* pointer = nullptr;
    const cudaError_t status = cudaMalloc(&pointer, std::max<std::size_t>(bytes, 256));
    if (status == cudaErrorMemoryAllocation) throw OutOfMemory(bytes, cuda::free_after_failure());
    check(status, "cudaMalloc");
    return pointer;
  }
  // Destructors call it: after a fault of the device it only frees.
  void release(void* pointer) override {
    try {
      cudaStreamSynchronize(stream());
    } catch (const std::exception&) {
    }
    graph_.reset();
    cudaFree(pointer);
  }
  void zero(void* pointer, std::size_t bytes) override {
    check(cudaMemsetAsync(pointer, 0, bytes, stream()), "cudaMemsetAsync");
  }
  void upload(void* to, const void* from, std::size_t bytes) override { uploads_.upload(to, from, bytes, stream()); }
  void download(void* to, const void* from, std::size_t bytes) override {
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream()), "cudaMemcpyAsync");
    synchronize();
  }
  void copy(void* to, const void* from, std::size_t bytes) override {
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream()), "cudaMemcpyAsync");
  }
  void synchronize() override { check(cudaStreamSynchronize(stream()), "cudaStreamSynchronize"); }
  void bind_workspace(void* pointer, std::size_t bytes) override {
    sums_.flush(stream());
    graph_.reset();
    workspace_ = pointer;
    workspace_bytes_ = bytes;
    gemm_.bind_workspace(pointer, bytes);
    sums_.bind(pointer, bytes);
    mlp_.forget_choices();
  }

  bool begin_step() override { return graph_.begin(stream()); }
  void end_step() override { graph_.end(stream()); }
  void start_clock() override { timer_.begin(stream()); }
  void stop_clock() override { timer_.end(stream()); }
  double clock_seconds() const override { return timer_.seconds(); }

  std::size_t workspace_bytes(const LinearShape&) const override { return cuda::Gemm::workspace_bytes + cuda::ColumnSums::planned_bytes; }
  std::size_t workspace_bytes(const NormShape& s) const override { return cuda::rms_norm_workspace(s); }
  std::size_t workspace_bytes(const GatedNormShape& s) const override { return cuda::gated_rms_norm_workspace(s); }
  std::size_t workspace_bytes(const ConvShape& s) const override { return cuda::causal_conv1d_workspace(s); }
  std::size_t workspace_bytes(const SsdShape& s) const override {
    select();
    cuda::ssd_gradient_require(cuda::ssd_scan_padded_shape(s), cuda::shared_memory_limit());  // before anything is trained
    return ssd_workspace(s);
  }
  std::size_t workspace_bytes(const AttentionShape& s) const override { return cuda::attention_workspace(s); }
  std::size_t workspace_bytes(const CrossEntropyShape&) const override { return 0; }
  std::size_t workspace_bytes(const EmbeddingShape& s) const override {
    return cuda::embedding_workspace(s);
  }

  void embedding_forward(index_t rows, index_t cols, const std::int32_t* tokens, const void* weight,
                         void* x) override {
    cuda::embedding_forward(rows, cols, tokens, in<bf16>(weight), out<bf16>(x), stream());
  }
  void embedding_backward(index_t rows, index_t cols, index_t vocab, const std::int32_t* tokens, const void* dx,
                          void* dweight) override {
    const EmbeddingShape s{rows, cols, vocab};
    if (cuda::embedding_product_takes(s)) {
      cuda::embedding_product(s, tokens, in<bf16>(dx), out<float>(dweight), sums_, gradient_stream());
    } else {
      cuda::embedding_backward(rows, cols, vocab, tokens, in<bf16>(dx), out<float>(dweight),
                               scratch(cuda::embedding_workspace(s)), gradient_stream());
    }
  }

  void rms_norm_forward(const NormShape& s, const void* x, const void* weight, void* y, void* rstd) override {
    cuda::rms_norm_forward(s, in<bf16>(x), in<float>(weight), out<bf16>(y), out<float>(rstd), stream());
  }
  void rms_norm_backward(const NormShape& s, const void* dy, const void* x, const void* weight, const void* rstd,
                         const void* dresidual, void* dx, void* dweight) override {
    cuda::rms_norm_backward(s, in<bf16>(dy), in<bf16>(x), in<float>(weight), in<float>(rstd), in<bf16>(dresidual),
                            out<bf16>(dx), out<float>(dweight), sums_, gradient_stream());
  }

  void linear_forward(const LinearShape& s, const void* x, const void* w, const void* residual, void* y) override {
    cuda::linear_forward(gemm_, s, x, w, residual, y, stream());
  }
  void linear_backward_input(const LinearShape& s, const void* dy, const void* w, void* dx) override {
    cuda::linear_backward_input(gemm_, s, dy, w, dx, s.in, product_stream());
  }
  void linear_backward_weight(const LinearShape& s, const void* x, const void* dy, void* dw) override {
    cuda::linear_backward_weight(gemm_, s, x, dy, out<float>(dw), sums_, product_stream());
  }

  void linear_activation_forward(const MlpShape& s, const void* x, const void* w_up, void* u, void* a) override {
    mlp_.forward(s, in<bf16>(x), in<bf16>(w_up), out<bf16>(u), out<bf16>(a), stream());
  }
  void linear_activation_backward_input(const MlpShape& s, const void* dy, const void* w_down, const void* saved,
                                        void* du) override {
    mlp_.backward_input(s, in<bf16>(dy), in<bf16>(w_down), in<bf16>(saved), out<bf16>(du), product_stream());
  }

  void causal_conv1d_forward(const ConvShape& s, ConstStrided x, const void* w, const void* bias, void* y) override {
    cuda::causal_conv1d_forward(s, in<bf16>(x), in<float>(w), in<float>(bias), out<bf16>(y), stream());
  }
  void causal_conv1d_backward(const ConvShape& s, const void* dy, ConstStrided x, const void* w, const void* bias,
                              Strided dx, void* dw, void* dbias) override {
    cuda::causal_conv1d_backward(s, in<bf16>(dy), in<bf16>(x), in<float>(w), in<float>(bias), out<bf16>(dx),
                                 out<float>(dw), out<float>(dbias), sums_, gradient_stream());
  }

  // Asks for what a forward scan needs: an evaluation may have fewer sequences than was planned for, and with fewer the backward scan
  // splits its heads over more blocks and needs more.
  void ssd_scan_forward(const SsdShape& s, const void* xbc, ConstStrided dt, const void* a_log, const void* d,
                        const void* dt_bias, const void* initial_state, void* y, void* states,
                        void* final_state) override {
    if (cuda::ssd_scan_needs_padding(s)) {
      refuse_boundary_states(s, initial_state, final_state);
      return cuda::ssd_scan_padded_forward(s, in<bf16>(xbc), in<bf16>(dt), in<float>(a_log), in<float>(d),
                                           in<float>(dt_bias), out<bf16>(y), scratch(cuda::ssd_scan_padded_forward_workspace(s)),
                                           stream());
    }
    require_states(s);
    cuda::ssd_scan_forward(s, in<bf16>(xbc), in<bf16>(dt), in<float>(a_log), in<float>(d), in<float>(dt_bias),
                           in<float>(initial_state), out<bf16>(y), out<bf16>(states), out<float>(final_state),
                           scratch(cuda::ssd_scan_forward_workspace(s)), stream());
  }
  void ssd_scan_backward(const SsdShape& s, const void* dy, const void* xbc, ConstStrided dt, const void* a_log,
                         const void* d, const void* dt_bias, const void* states, const void* dfinal_state, void* dxbc,
                         Strided ddt, void* da_log, void* dd, void* ddt_bias, void* dinitial_state) override {
    if (cuda::ssd_scan_needs_padding(s)) {
      refuse_boundary_states(s, dfinal_state, dinitial_state);
      return cuda::ssd_scan_padded_backward(s, in<bf16>(dy), in<bf16>(xbc), in<bf16>(dt), in<float>(a_log),
                                            in<float>(d), in<float>(dt_bias), out<bf16>(dxbc), out<bf16>(ddt),
                                            out<float>(da_log), out<float>(dd), out<float>(ddt_bias),
                                            scratch(ssd_workspace(s)), sums_, gradient_stream());
    }
    require_states(s);
    cuda::ssd_scan_backward(s, in<bf16>(dy), in<bf16>(xbc), in<bf16>(dt), in<float>(a_log), in<float>(d),
                            in<float>(dt_bias), in<bf16>(states), in<float>(dfinal_state), out<bf16>(dxbc),
                            out<bf16>(ddt), out<float>(da_log), out<float>(dd), out<float>(ddt_bias),
                            out<float>(dinitial_state), scratch(ssd_workspace(s)), sums_, gradient_stream());
  }

  void gated_rms_norm_forward(const GatedNormShape& s, const void* y, ConstStrided z, const void* weight, void* result,
                              void* rstd) override {
    cuda::gated_rms_norm_forward(s, in<bf16>(y), in<bf16>(z), in<float>(weight), out<bf16>(result), out<float>(rstd),
                                 stream());
  }
  void gated_rms_norm_backward(const GatedNormShape& s, const void* dout, const void* y, ConstStrided z,
                               const void* weight, const void* rstd, void* dy, Strided dz, void* dweight) override {
    cuda::gated_rms_norm_backward(s, in<bf16>(dout), in<bf16>(y), in<bf16>(z), in<float>(weight), in<float>(rstd),
                                  out<bf16>(dy), out<bf16>(dz), out<float>(dweight), sums_, gradient_stream());
  }

  void rope_forward(const RopeShape& s, void* qkv) override { cuda::rope(s, out<bf16>(qkv), 1, stream()); }
  void rope_backward(const RopeShape& s, void* dqkv) override { cuda::rope(s, out<bf16>(dqkv), -1, gradient_stream()); }
  // Fewer sequences than planned, in an evaluation, may divide into slices whose backward pass would not fit.
  void attention_forward(const AttentionShape& s, const void* qkv, void* result, void* lse) override {
    const bool trains = cuda::attention_workspace(s) <= workspace_bytes_;
    const auto run = trains ? &cuda::Attention::forward : &cuda::Attention::forward_only;
    (attention_.*run)(s, qkv, result, out<float>(lse), workspace_, workspace_bytes_, stream());
  }
  void attention_backward(const AttentionShape& s, const void* dout, const void* qkv, const void* result,
                          const void* lse, void* dqkv) override {
    scratch(cuda::attention_workspace(s));  // is there
    attention_.backward(s, dout, qkv, result, in<float>(lse), dqkv, scratch(attention_.backward_uses(s, workspace_bytes_)),
                        workspace_bytes_, gradient_stream());
  }

  void cross_entropy(const CrossEntropyShape& s, void* logits, const std::int32_t* targets, void* row_loss,
                     std::uint8_t* row_correct, const StepScalars* scalars, bool write_gradient) override {
    cuda::cross_entropy(s, out<bf16>(logits), targets, out<float>(row_loss), row_correct, scalars, write_gradient,
                        stream());
  }
  void add_loss(index_t rows, const void* row_loss, StepScalars* scalars) override {
    cuda::add_loss(rows, in<float>(row_loss), scalars, block_sums_, stream());
  }

  void gradient_norm(index_t count, const void* gradients, StepScalars* scalars) override {
    cuda::gradient_norm(count, in<float>(gradients), scalars, block_sums_, stream());
  }
  void adamw(const ParameterRanges& ranges, void* master, void* working, const void* gradients, void* exp_avg,
             void* exp_avg_sq, const StepScalars* scalars) override {
    cuda::adamw(ranges, out<float>(master), working == master ? nullptr : out<bf16>(working), in<float>(gradients),
                out<float>(exp_avg), out<float>(exp_avg_sq), scalars, stream());
  }

 private:
  // The current device belongs to the thread, and a trainer's calls may come from any.
  void select() const { check(cudaSetDevice(device_), "cudaSetDevice"); }
  // For whatever could read a gradient, or write where sums wait: all of them are added first.
  cudaStream_t stream() {
    sums_.flush(gradient_stream());
    return stream_;
  }
  // For operations of a backward pass, which leave one another's gradients of parameters alone: their sums over rows wait.
  cudaStream_t gradient_stream() const {
    select();
    return stream_;
  }
  cudaStream_t product_stream() {
    sums_.keep_below(std::min(workspace_bytes_, cuda::Gemm::workspace_bytes), gradient_stream());
    return stream_;
  }
  static std::size_t ssd_workspace(const SsdShape& s) {
    return cuda::ssd_scan_needs_padding(s) ? cuda::ssd_scan_padded_workspace(s) : cuda::ssd_scan_workspace(s);
  }
  // The workspace's start, for an operation that needs so much of it.
  void* scratch(std::size_t bytes) {
    if (bytes > workspace_bytes_) {
      throw InvalidArgument("workspace: Expected at least " + std::to_string(bytes) + " bound bytes, got " +
                            std::to_string(workspace_bytes_));
    }
    sums_.keep_below(bytes, gradient_stream());
    return workspace_;
  }
  // The device keeps its states in bf16 at its own chunk length; they must fit where the model planned fp32 states.
  static void require_states(const SsdShape& s) {
    cuda::ssd_scan_require(s);
    if (cuda::ssd_scan_states_bytes(s) > static_cast<std::size_t>(s.state_elements()) * sizeof(float)) {
      throw InvalidArgument("ssd_scan on a GPU: Expected a chunk of at most 256, got " + std::to_string(s.chunk));
    }
  }

  static void refuse_boundary_states(const SsdShape& s, const void* first, const void* last) {
    if (first == nullptr && last == nullptr) return;
    throw InvalidArgument("ssd_scan on a GPU with initial or final states: Expected a head_dim of 32, 64, 128 or 256 and a "
                          "state that is a multiple of 8, got " + std::to_string(s.head_dim) + " and " +
                          std::to_string(s.state));
  }

  int device_;
  std::string name_;
  cudaStream_t stream_ = nullptr;
  double* block_sums_ = nullptr;
  void* workspace_ = nullptr;
  std::size_t workspace_bytes_ = 0;
  cuda::Gemm gemm_;
  cuda::ColumnSums sums_;
  cuda::Mlp mlp_{gemm_};
  cuda::Attention attention_;
  cuda::UploadRing uploads_;
  cuda::StepGraph graph_;
  cuda::StreamTimer timer_;
  const std::unique_ptr<Inference> inference_ = cuda::make_inference(
      {*this, gemm_, attention_, [this] { return stream(); }, [this](std::size_t bytes) { return scratch(bytes); }});
};

}  // namespace

int cuda_device_count(std::string* reason) {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status == cudaSuccess && count > 0) return count;
  if (reason != nullptr) *reason = status == cudaSuccess ? "the driver shows no device" : cudaGetErrorString(status);
  cudaGetLastError();
  return 0;
}

std::string cuda_device_description(int device) {
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, device), "cudaGetDeviceProperties");
  return std::string(properties.name) + ", compute capability " + std::to_string(properties.major) + "." +
         std::to_string(properties.minor) + ", " + std::to_string(properties.totalGlobalMem >> 20) + " MiB";
}

std::unique_ptr<Backend> make_cuda_backend(int device) {
  std::string reason;
  const int count = cuda_device_count(&reason);
  if (count == 0) throw NoDevice("no CUDA device: " + reason);
  if (device < 0 || device >= count) {
    throw NoDevice("Expected a device from 0 to " + std::to_string(count - 1) + ", got " +
                            std::to_string(device));
  }
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, device), "cudaGetDeviceProperties");
  if (properties.major < 8) {
    throw NoDevice("Expected compute capability 8.0 or newer, got " + cuda_device_description(device));
  }
  check(cudaSetDevice(device), "cudaSetDevice");
  return std::make_unique<CudaBackend>(device);
}

}  // namespace lmx
