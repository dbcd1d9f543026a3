// Maps the virtual calls of Backend to the operations of this folder. Every call enqueues on the backend's own stream; scratch
// comes from the bound workspace, which operations use one after the other. Its start belongs to what makes weight gradients - products, and
// the last stage of sums over rows -, which runs on a second stream (side_stream.h) until anything but the backward chain is asked for.
#include "cuda_backend.h"

#include <algorithm>
#include <string>

#include "../common/error.h"
#include "../common/gpu_workspace.h"
#include "adamw.cuh"
#include "attention.h"
#include "causal_conv1d.cuh"
#include "check.h"
#include "cross_entropy.cuh"
#include "cuda_inference.h"
#include "embedding.cuh"
#include "gated_rms_norm.cuh"
#include "mlp.h"
#include "rms_norm.cuh"
#include "rope.cuh"
#include "side_stream.h"
#include "ssd_scan.cuh"
#include "ssd_scan_padded.cuh"
#include "step_graph.h"
#include "step_timer.h"
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
    int lowest = 0, highest = 0;  // before what runs on the side
    check(cudaDeviceGetStreamPriorityRange(&lowest, &highest), "cudaDeviceGetStreamPriorityRange");
    check(cudaStreamCreateWithPriority(&stream_, cudaStreamNonBlocking, highest), "cudaStreamCreate");
    check(cudaMalloc(&block_sums_, cuda::block_sums_bytes()), "cudaMalloc");
    check(cudaMallocHost(&host_scalars_, sizeof(StepScalars)), "cudaMallocHost");
  }
  ~CudaBackend() override {
    cudaSetDevice(device_);
    cudaStreamSynchronize(stream_);
    cudaFreeHost(host_scalars_);
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
    if (status == cudaErrorMemoryAllocation) {
      cudaGetLastError();
      std::size_t free = 0, total = 0;
      cudaMemGetInfo(&free, &total);
      throw OutOfMemory(bytes, free);
    }
    check(status, "cudaMalloc");
    return pointer;
  }
  void release(void* pointer) override {
    cudaStreamSynchronize(stream());
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
    graph_.reset();
    has_side_ = side_.enabled() && bytes >= side_bytes;
    std::byte* const start = static_cast<std::byte*>(pointer);
    workspace_ = has_side_ ? start + side_bytes : start;
    workspace_bytes_ = has_side_ ? bytes - side_bytes : bytes;
    gemm_.bind_workspace(workspace_, workspace_bytes_);
    if (!has_side_) return;
    side_gemm_.bind_workspace(start, cuda::Gemm::workspace_bytes);
    partials_ = start + cuda::Gemm::workspace_bytes;
    next_partial_ = 0;
  }

  bool begin_step() override {
    select();
    if (graph_.abandon(stream_)) side_.forget();
    timer_.begin(stream());
    return graph_.begin(stream());
  }
  void end_step() override { graph_.end(stream()); }
  double step_seconds() const override { return timer_.seconds(); }

  std::size_t workspace_bytes(const LinearShape&) const override { return gpu::with_side(cuda::Gemm::workspace_bytes); }
  std::size_t workspace_bytes(const NormShape& s) const override { return gpu::with_side(cuda::rms_norm_workspace(s)); }
  std::size_t workspace_bytes(const GatedNormShape& s) const override {
    return gpu::with_side(cuda::gated_rms_norm_workspace(s));
  }
  std::size_t workspace_bytes(const ConvShape& s) const override { return gpu::with_side(cuda::causal_conv1d_workspace(s)); }
  std::size_t workspace_bytes(const SsdShape& s) const override { return gpu::with_side(ssd_workspace(s)); }
  std::size_t workspace_bytes(const AttentionShape& s) const override { return gpu::with_side(cuda::attention_workspace(s)); }
  std::size_t workspace_bytes(const CrossEntropyShape&) const override { return gpu::with_side(0); }
  std::size_t workspace_bytes(const EmbeddingShape& s) const override {
    return gpu::with_side(cuda::embedding_workspace(s.rows, s.vocab));
  }

  void embedding_forward(index_t rows, index_t cols, const std::int32_t* tokens, const void* weight,
                         void* x) override {
    cuda::embedding_forward(rows, cols, tokens, in<bf16>(weight), out<bf16>(x), stream());
  }
  void embedding_backward(index_t rows, index_t cols, index_t vocab, const std::int32_t* tokens, const void* dx,
                          void* dweight) override {
    cuda::embedding_backward(rows, cols, vocab, tokens, in<bf16>(dx), out<float>(dweight),
                             scratch(cuda::embedding_workspace(rows, vocab)), writing(dweight, 2 * vocab * cols));
  }

  void rms_norm_forward(const NormShape& s, const void* x, const void* weight, void* y, void* rstd) override {
    cuda::rms_norm_forward(s, in<bf16>(x), in<float>(weight), out<bf16>(y), out<float>(rstd), stream());
  }
  void rms_norm_backward(const NormShape& s, const void* dy, const void* x, const void* weight, const void* rstd,
                         const void* dresidual, void* dx, void* dweight) override {
    const Partials partials = take_partials(cuda::rms_norm_workspace(s));
    cuda::rms_norm_backward(s, in<bf16>(dy), in<bf16>(x), in<float>(weight), in<float>(rstd), in<bf16>(dresidual),
                            out<bf16>(dx), out<float>(dweight), partials.data, writing(dx, s.rows * s.cols),
                            partials.later);
  }

  void linear_forward(const LinearShape& s, const void* x, const void* w, const void* residual, void* y) override {
    cuda::linear_forward(gemm_, s, x, w, residual, y, writing(y, s.rows * s.y_stride()));
  }
  void linear_backward_input(const LinearShape& s, const void* dy, const void* w, void* dx) override {
    cuda::linear_backward_input(gemm_, s, dy, w, dx, s.in, writing(dx, s.rows * s.in));
  }
  void linear_backward_weight(const LinearShape& s, const void* x, const void* dy, void* dw) override {
    if (!has_side_) return cuda::linear_backward_weight(gemm_, s, x, dy, dw, stream());
    select();
    const cuda::Range written{dw, static_cast<std::size_t>(s.in * s.out) * sizeof(float)};
    side_.run(stream_, {range(x, s.rows * s.in), range(dy, s.rows * s.y_stride()), written}, [&](cudaStream_t side) {
      cuda::linear_backward_weight(side_gemm_, s, x, dy, dw, side);
    });
  }

  void linear_activation_forward(const MlpShape& s, const void* x, const void* w_up, void* u, void* a) override {
    cuda::linear_activation_forward(gemm_, s, in<bf16>(x), in<bf16>(w_up), out<bf16>(u), out<bf16>(a), stream());
  }
  void linear_activation_backward_input(const MlpShape& s, const void* dy, const void* w_down, const void* u,
                                        void* du) override {
    cuda::linear_activation_backward_input(gemm_, s, in<bf16>(dy), in<bf16>(w_down), in<bf16>(u), out<bf16>(du),
                                           writing(du, s.rows * s.up_width()));
  }

  void causal_conv1d_forward(const ConvShape& s, ConstStrided x, const void* w, const void* bias, void* y) override {
    cuda::causal_conv1d_forward(s, in<bf16>(x), in<float>(w), in<float>(bias), out<bf16>(y), stream());
  }
  void causal_conv1d_backward(const ConvShape& s, const void* dy, ConstStrided x, const void* w, const void* bias,
                              Strided dx, void* dw, void* dbias) override {
    const Partials partials = take_partials(cuda::causal_conv1d_workspace(s));
    cuda::causal_conv1d_backward(s, in<bf16>(dy), in<bf16>(x), in<float>(w), in<float>(bias), out<bf16>(dx),
                                 out<float>(dw), out<float>(dbias), partials.data,
                                 writing(dx.data, s.batch * s.time * dx.stride), partials.later);
  }

  void ssd_scan_forward(const SsdShape& s, const void* xbc, ConstStrided dt, const void* a_log, const void* d,
                        const void* dt_bias, const void* initial_state, void* y, void* states,
                        void* final_state) override {
    if (cuda::ssd_scan_needs_padding(s)) {
      refuse_boundary_states(s, initial_state, final_state);
      return cuda::ssd_scan_padded_forward(s, in<bf16>(xbc), in<bf16>(dt), in<float>(a_log), in<float>(d),
                                           in<float>(dt_bias), out<bf16>(y), scratch(ssd_workspace(s)), stream());
    }
    require_states(s);
    cuda::ssd_scan_forward(s, in<bf16>(xbc), in<bf16>(dt), in<float>(a_log), in<float>(d), in<float>(dt_bias),
                           in<float>(initial_state), out<bf16>(y), out<bf16>(states), out<float>(final_state),
                           scratch(ssd_workspace(s)), stream());
  }
  void ssd_scan_backward(const SsdShape& s, const void* dy, const void* xbc, ConstStrided dt, const void* a_log,
                         const void* d, const void* dt_bias, const void* states, const void* dfinal_state, void* dxbc,
                         Strided ddt, void* da_log, void* dd, void* ddt_bias, void* dinitial_state) override {
    if (cuda::ssd_scan_needs_padding(s)) {
      refuse_boundary_states(s, dfinal_state, dinitial_state);
      return cuda::ssd_scan_padded_backward(s, in<bf16>(dy), in<bf16>(xbc), in<bf16>(dt), in<float>(a_log),
                                            in<float>(d), in<float>(dt_bias), out<bf16>(dxbc), out<bf16>(ddt),
                                            out<float>(da_log), out<float>(dd), out<float>(ddt_bias),
                                            scratch(ssd_workspace(s)), stream());
    }
    require_states(s);
    writing(ddt.data, s.batch * s.time * ddt.stride);
    const cudaStream_t main = writing(dxbc, s.batch * s.time * s.channels());
    cuda::ssd_scan_backward(s, in<bf16>(dy), in<bf16>(xbc), in<bf16>(dt), in<float>(a_log), in<float>(d),
                            in<float>(dt_bias), in<bf16>(states), in<float>(dfinal_state), out<bf16>(dxbc),
                            out<bf16>(ddt), out<float>(da_log), out<float>(dd), out<float>(ddt_bias),
                            out<float>(dinitial_state), scratch(ssd_workspace(s)), main);
  }

  void gated_rms_norm_forward(const GatedNormShape& s, const void* y, ConstStrided z, const void* weight, void* result,
                              void* rstd) override {
    cuda::gated_rms_norm_forward(s, in<bf16>(y), in<bf16>(z), in<float>(weight), out<bf16>(result), out<float>(rstd),
                                 stream());
  }
  void gated_rms_norm_backward(const GatedNormShape& s, const void* dout, const void* y, ConstStrided z,
                               const void* weight, const void* rstd, void* dy, Strided dz, void* dweight) override {
    const Partials partials = take_partials(cuda::gated_rms_norm_workspace(s));
    writing(dz.data, s.rows * dz.stride);
    cuda::gated_rms_norm_backward(s, in<bf16>(dout), in<bf16>(y), in<bf16>(z), in<float>(weight), in<float>(rstd),
                                  out<bf16>(dy), out<bf16>(dz), out<float>(dweight),
                                  partials.data, writing(dy, s.rows * s.cols), partials.later);
  }

  void rope_forward(const RopeShape& s, void* qkv) override { cuda::rope(s, out<bf16>(qkv), 1, stream()); }
  void rope_backward(const RopeShape& s, void* dqkv) override {
    const index_t width = (s.heads + 2 * s.kv_heads) * s.head_dim;
    cuda::rope(s, out<bf16>(dqkv), -1, writing(dqkv, s.batch * s.time * width));
  }
  void attention_forward(const AttentionShape& s, const void* qkv, void* result, void* lse) override {
    attention_.forward(s, qkv, result, out<float>(lse), scratch(cuda::attention_workspace(s)), workspace_bytes_,
                       stream());
  }
  void attention_backward(const AttentionShape& s, const void* dout, const void* qkv, const void* result,
                          const void* lse, void* dqkv) override {
    attention_.backward(s, dout, qkv, result, in<float>(lse), dqkv, scratch(cuda::attention_workspace(s)),
                        workspace_bytes_, writing(dqkv, s.batch * s.time * s.packed_width()));
  }

  void cross_entropy(const CrossEntropyShape& s, void* logits, const std::int32_t* targets, void* row_loss,
                     std::uint8_t* row_correct, const StepScalars* scalars, bool write_gradient) override {
    cuda::cross_entropy(s, out<bf16>(logits), targets, out<float>(row_loss), row_correct, scalars, write_gradient,
                        writing(logits, s.rows * s.vocab));
  }
  void add_loss(index_t rows, const void* row_loss, StepScalars* scalars) override {
    if (!has_side_) return cuda::add_loss(rows, in<float>(row_loss), scalars, block_sums_, stream());
    select();
    side_.run(stream_, {{row_loss, static_cast<std::size_t>(rows) * sizeof(float)}}, [&](cudaStream_t side) {
      cuda::add_loss(rows, in<float>(row_loss), scalars, block_sums_, side);
    });
  }

  void write_scalars(StepScalars* device, const StepScalars& host) override {
    uploads_.upload(device, &host, sizeof host, stream());
  }
  void read_scalars(StepScalars& host, const StepScalars* device) override {
    check(cudaMemcpyAsync(host_scalars_, device, sizeof host, cudaMemcpyDeviceToHost, stream()), "cudaMemcpyAsync");
    timer_.end(stream());
    synchronize();
    host = *host_scalars_;
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
  // For anything: what runs on the side has finished first.
  cudaStream_t stream() {
    select();
    side_.join(stream_);
    return stream_;
  }
  // For an operation of the backward chain that writes, of what the side may touch, only `elements` of two bytes from `data` on.
  cudaStream_t writing(const void* data, index_t elements) {
    select();
    side_.before_write(stream_, range(data, elements));
    return stream_;
  }
  static cuda::Range range(const void* data, index_t elements) {
    return {data, static_cast<std::size_t>(elements) * sizeof(bf16)};
  }
  // Room for sums over blocks of rows, and who adds them up: the side where its ring takes them.
  struct Partials {
    void* data;
    cuda::Later later;
  };
  Partials take_partials(std::size_t bytes) {
    if (!has_side_ || bytes > partials_bytes) {
      stream();
      return {scratch(bytes), {}};
    }
    if (next_partial_ + bytes > partials_bytes) next_partial_ = 0;
    std::byte* const data = partials_ + next_partial_;
    next_partial_ += (bytes + 255) / 256 * 256;
    select();
    side_.before_write(stream_, {data, bytes});
    return {data, [this, data, bytes](const std::function<void(cudaStream_t)>& stage) {
              side_.run(stream_, {{data, bytes}}, stage);
            }};
  }
  // The side's share, at the workspace's start: for products, and a ring for sums.
  static constexpr std::size_t partials_bytes = gpu::kPartialSumBytes, side_bytes = gpu::kSideBytes;
  static_assert(side_bytes == cuda::Gemm::workspace_bytes + partials_bytes, "the side's share is what it hands out");
  static std::size_t ssd_workspace(const SsdShape& s) {
    return cuda::ssd_scan_needs_padding(s) ? cuda::ssd_scan_padded_workspace(s) : cuda::ssd_scan_workspace(s);
  }
  void* scratch(std::size_t bytes) const {
    if (bytes > workspace_bytes_) {
      throw InvalidArgument("workspace: Expected at least " + std::to_string(bytes) + " bound bytes, got " +
                            std::to_string(workspace_bytes_));
    }
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
  StepScalars* host_scalars_ = nullptr;  // pinned
  void* workspace_ = nullptr;
  std::size_t workspace_bytes_ = 0;
  cuda::Gemm gemm_, side_gemm_;
  cuda::SideStream side_;
  bool has_side_ = false;
  std::byte* partials_ = nullptr;
  std::size_t next_partial_ = 0;
  cuda::Attention attention_;
  cuda::UploadRing uploads_;
  cuda::StepGraph graph_;
  cuda::StepTimer timer_;
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
  if (count == 0) throw cuda::DeviceError("no CUDA device: " + reason);
  if (device < 0 || device >= count) {
    throw cuda::DeviceError("Expected a device from 0 to " + std::to_string(count - 1) + ", got " +
                            std::to_string(device));
  }
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, device), "cudaGetDeviceProperties");
  if (properties.major < 8) {
    throw cuda::DeviceError("Expected compute capability 8.0 or newer, got " + cuda_device_description(device));
  }
  check(cudaSetDevice(device), "cudaSetDevice");
  return std::make_unique<CudaBackend>(device);
}

}  // namespace lmx
