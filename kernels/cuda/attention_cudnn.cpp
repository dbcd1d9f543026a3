// The packed qkv rows are handed to cuDNN as three strided tensors (batch, head, time, head_dim), so nothing is transposed.
// cudnn-frontend is header-only and slow to compile, hence a file of its own.
#include "attention_cudnn.h"

#define NV_CUDNN_FRONTEND_USE_DYNAMIC_LOADING
#include <cudnn_frontend.h>

#include <map>
#include <tuple>
#include <unordered_map>

#include "check.h"
#include "shared_library.h"

namespace cudnn_frontend {
void* cudnn_dlhandle = nullptr;  // the frontend looks cuDNN's symbols up here
}

namespace lmx::cuda {
namespace {

namespace fe = cudnn_frontend;
namespace graph = cudnn_frontend::graph;
using TensorPointer = std::shared_ptr<graph::Tensor_attributes>;

enum Uid : std::int64_t { kQ = 1, kK, kV, kOut, kLse, kDout, kDq, kDk, kDv };

void check(fe::error_t error, const char* call) {
  if (error.is_bad()) throw DeviceError(std::string("cuDNN attention, ") + call + ": " + error.get_message());
}

void check(cudnnStatus_t status, const char* call) {
  if (status != CUDNN_STATUS_SUCCESS) throw DeviceError(std::string(call) + ": " + fe::detail::get_error_string(status));
}

struct Graphs {
  graph::Graph forward, backward;
  std::size_t forward_workspace = 0, backward_workspace = 0;
  bool supported = false;
};

// (batch, heads, time, head_dim) inside rows of `width` elements.
TensorPointer packed_tensor(graph::Graph& g, Uid uid, const AttentionShape& s, index_t heads, index_t width) {
  return g.tensor(graph::Tensor_attributes()
                      .set_uid(uid)
                      .set_dim({s.batch, heads, s.time, s.head_dim})
                      .set_stride({s.time * width, s.head_dim, width, 1})
                      .set_data_type(fe::DataType_t::BFLOAT16));
}

void describe_output(const TensorPointer& t, Uid uid, const AttentionShape& s, index_t heads, index_t width) {
  t->set_output(true)
      .set_uid(uid)
      .set_dim({s.batch, heads, s.time, s.head_dim})
      .set_stride({s.time * width, s.head_dim, width, 1})
      .set_data_type(fe::DataType_t::BFLOAT16);
}

void describe_lse(graph::Tensor_attributes& t, const AttentionShape& s) {
  t.set_uid(kLse)
      .set_dim({s.batch, s.heads, s.time, 1})
      .set_stride({s.heads * s.time, s.time, 1, 1})
      .set_data_type(fe::DataType_t::FLOAT);
}

void start(graph::Graph& g) {
  g.set_io_data_type(fe::DataType_t::BFLOAT16)
      .set_intermediate_data_type(fe::DataType_t::FLOAT)
      .set_compute_data_type(fe::DataType_t::FLOAT);
}

std::size_t finish(graph::Graph& g, cudnnHandle_t handle) {
  check(g.validate(), "validate");
  check(g.build_operation_graph(handle), "build_operation_graph");
  check(g.create_execution_plans({fe::HeurMode_t::A}), "create_execution_plans");
  check(g.check_support(handle), "check_support");
  check(g.build_plans(handle), "build_plans");
  std::int64_t bytes = 0;
  check(g.get_workspace_size(bytes), "get_workspace_size");
  return static_cast<std::size_t>(bytes);
}

std::size_t build_forward(graph::Graph& g, const AttentionShape& s, cudnnHandle_t handle) {
  start(g);
  const auto q = packed_tensor(g, kQ, s, s.heads, s.packed_width());
  const auto k = packed_tensor(g, kK, s, s.kv_heads, s.packed_width());
  const auto v = packed_tensor(g, kV, s, s.kv_heads, s.packed_width());
  auto options = graph::SDPA_attributes()
                     .set_name("attention_forward")
                     .set_generate_stats(true)
                     .set_attn_scale(static_cast<float>(s.scale))
                     .set_diagonal_alignment(fe::DiagonalAlignment_t::TOP_LEFT)
                     .set_diagonal_band_right_bound(0);
  const auto [out, lse] = g.sdpa(q, k, v, options);
  describe_output(out, kOut, s, s.heads, s.query_width());
  lse->set_output(true);
  describe_lse(*lse, s);
  return finish(g, handle);
}

std::size_t build_backward(graph::Graph& g, const AttentionShape& s, cudnnHandle_t handle) {
  start(g);
  const index_t width = s.packed_width();
  const auto q = packed_tensor(g, kQ, s, s.heads, width);
  const auto k = packed_tensor(g, kK, s, s.kv_heads, width);
  const auto v = packed_tensor(g, kV, s, s.kv_heads, width);
  const auto out = packed_tensor(g, kOut, s, s.heads, s.query_width());
  const auto dout = packed_tensor(g, kDout, s, s.heads, s.query_width());
  graph::Tensor_attributes lse_attributes;
  describe_lse(lse_attributes, s);
  const auto lse = g.tensor(lse_attributes);
  auto options = graph::SDPA_backward_attributes()
                     .set_name("attention_backward")
                     .set_attn_scale(static_cast<float>(s.scale))
                     .set_deterministic_algorithm(true)
                     .set_diagonal_alignment(fe::DiagonalAlignment_t::TOP_LEFT)
                     .set_diagonal_band_right_bound(0);
  const auto [dq, dk, dv] = g.sdpa_backward(q, k, v, out, dout, lse, options);
  describe_output(dq, kDq, s, s.heads, width);
  describe_output(dk, kDk, s, s.kv_heads, width);
  describe_output(dv, kDv, s, s.kv_heads, width);
  return finish(g, handle);
}

// The three parts of packed rows.
struct Parts {
  void *q, *k, *v;
};

Parts parts_of(const AttentionShape& s, const void* packed) {
  auto* q = static_cast<char*>(const_cast<void*>(packed));
  const index_t key = s.heads * s.head_dim * 2, value = (s.heads + s.kv_heads) * s.head_dim * 2;  // bytes
  return {q, q + key, q + value};
}

class Cudnn final : public CudnnAttention {
 public:
  Cudnn() { check(fe::detail::create_handle(&handle_), "cudnnCreate"); }
  ~Cudnn() override { fe::detail::destroy_handle(handle_); }

  bool prepare(const AttentionShape& s, std::size_t workspace_bytes) override {
    const auto [found, is_new] = graphs_.try_emplace(key_of(s));
    Graphs& g = found->second;
    if (is_new) {
      try {
        g.forward_workspace = build_forward(g.forward, s, handle_);
        g.backward_workspace = build_backward(g.backward, s, handle_);
        g.supported = true;
      } catch (const std::exception&) {  // refused: our own kernels take the shape
      }
    }
    return g.supported && g.forward_workspace <= workspace_bytes && g.backward_workspace <= workspace_bytes;
  }

  void forward(const AttentionShape& s, const void* qkv, void* out, float* lse, void* workspace,
               cudaStream_t stream) override {
    const Parts in = parts_of(s, qkv);
    std::unordered_map<std::int64_t, void*> pointers = {{kQ, in.q}, {kK, in.k}, {kV, in.v}, {kOut, out}, {kLse, lse}};
    run(graphs_.at(key_of(s)).forward, pointers, workspace, stream);
  }

  void backward(const AttentionShape& s, const void* dout, const void* qkv, const void* out, const float* lse,
                void* dqkv, void* workspace, cudaStream_t stream) override {
    const Parts in = parts_of(s, qkv), gradient = parts_of(s, dqkv);
    std::unordered_map<std::int64_t, void*> pointers = {{kQ, in.q},
                                                        {kK, in.k},
                                                        {kV, in.v},
                                                        {kOut, const_cast<void*>(out)},
                                                        {kLse, const_cast<float*>(lse)},
                                                        {kDout, const_cast<void*>(dout)},
                                                        {kDq, gradient.q},
                                                        {kDk, gradient.k},
                                                        {kDv, gradient.v}};
    run(graphs_.at(key_of(s)).backward, pointers, workspace, stream);
  }

  std::size_t forward_workspace(const AttentionShape& s) override { return graphs_.at(key_of(s)).forward_workspace; }
  std::size_t backward_workspace(const AttentionShape& s) override { return graphs_.at(key_of(s)).backward_workspace; }

 private:
  using Key = std::tuple<index_t, index_t, index_t, index_t, index_t, double>;
  static Key key_of(const AttentionShape& s) { return {s.batch, s.time, s.heads, s.kv_heads, s.head_dim, s.scale}; }

  void run(graph::Graph& g, std::unordered_map<std::int64_t, void*>& pointers, void* workspace, cudaStream_t stream) {
    check(fe::detail::set_stream(handle_, stream), "cudnnSetStream");
    check(g.execute(handle_, pointers, workspace), "execute");
  }

  cudnnHandle_t handle_ = nullptr;
  std::map<Key, Graphs> graphs_;
};

}  // namespace

std::unique_ptr<CudnnAttention> CudnnAttention::open(std::string* reason) {
  std::string tried;
  // The frontend asks the loader for these two by name; opened here, they are found wherever they are.
  open_library("libcublasLt.so.13", "cu13/lib", nullptr);
  open_library("libcudart.so.13", "cu13/lib", nullptr);
  fe::cudnn_dlhandle = open_library("libcudnn.so.9", "cudnn/lib", &tried);
  if (fe::cudnn_dlhandle == nullptr) {
    *reason = "libcudnn.so.9 was not found; looked in " + tried;
    return nullptr;
  }
  try {
    return std::make_unique<Cudnn>();
  } catch (const std::exception& error) {
    *reason = error.what();
    return nullptr;
  }
}

}  // namespace lmx::cuda
