// The packed qkv rows are handed to cuDNN as three strided tensors (batch, head, time, head_dim), so nothing is transposed.
// cudnn-frontend is header-only and slow to compile, hence a file of its own.
#include "attention_cudnn.h"

#define NV_CUDNN_FRONTEND_USE_DYNAMIC_LOADING
#include <cudnn_frontend.h>

#include <map>
#include <mutex>
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
  if (error.is_bad()) fail(std::string("cuDNN attention, ") + call + ": " + error.get_message());
}

void check(cudnnStatus_t status, const char* call) {
  if (status != CUDNN_STATUS_SUCCESS) fail(std::string(call) + ": " + fe::detail::get_error_string(status));
}

// One direction of a shape.
struct Built {
  enum class State { unknown, refused, ready } state = State::unknown;
  graph::Graph graph;
  std::size_t workspace = 0;

  // Builds it where it is new. False where cuDNN refuses it - our own kernels take the shape - or wants more workspace.
  template <class Build>
  bool prepare(Build build, std::size_t workspace_bytes) {
    if (state == State::unknown) {
      state = State::refused;
      try {
        workspace = build(graph);
        state = State::ready;
      } catch (const DeviceFault&) {
        throw;
      } catch (const std::exception&) {
      }
    }
    return state == State::ready && workspace <= workspace_bytes;
  }
};

struct Graphs {
  Built forward, backward;
};

// A slice of a shape: as many sequences and heads as one graph handles, in the layout of the whole.
struct Sliced {
  AttentionShape whole;
  AttentionSlice part;

  index_t heads() const { return part.kv_heads * (whole.heads / whole.kv_heads); }

  // (batch, heads, time, head_dim) inside rows of `width` elements.
  void describe(graph::Tensor_attributes& t, Uid uid, index_t heads, index_t width) const {
    t.set_uid(uid)
        .set_dim({part.batch, heads, whole.time, whole.head_dim})
        .set_stride({whole.time * width, whole.head_dim, width, 1})
        .set_data_type(fe::DataType_t::BFLOAT16);
  }
  void describe_lse(graph::Tensor_attributes& t) const {
    t.set_uid(kLse)
        .set_dim({part.batch, heads(), whole.time, 1})
        .set_stride({whole.heads * whole.time, whole.time, 1, 1})
        .set_data_type(fe::DataType_t::FLOAT);
  }
  TensorPointer input(graph::Graph& g, Uid uid, index_t heads, index_t width) const {
    graph::Tensor_attributes t;
    describe(t, uid, heads, width);
    return g.tensor(t);
  }
};

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

std::size_t build_forward(graph::Graph& g, const Sliced& s, cudnnHandle_t handle) {
  start(g);
  const index_t width = s.whole.packed_width();
  const auto q = s.input(g, kQ, s.heads(), width);
  const auto k = s.input(g, kK, s.part.kv_heads, width);
  const auto v = s.input(g, kV, s.part.kv_heads, width);
  auto options = graph::SDPA_attributes()
                     .set_name("attention_forward")
                     .set_generate_stats(true)
                     .set_attn_scale(static_cast<float>(s.whole.scale))
                     .set_diagonal_alignment(fe::DiagonalAlignment_t::TOP_LEFT)
                     .set_diagonal_band_right_bound(0);
  const auto [out, lse] = g.sdpa(q, k, v, options);
  s.describe(out->set_output(true), kOut, s.heads(), s.whole.query_width());
  s.describe_lse(lse->set_output(true));
  return finish(g, handle);
}

std::size_t build_backward(graph::Graph& g, const Sliced& s, cudnnHandle_t handle) {
  start(g);
  const index_t width = s.whole.packed_width();
  const auto q = s.input(g, kQ, s.heads(), width);
  const auto k = s.input(g, kK, s.part.kv_heads, width);
  const auto v = s.input(g, kV, s.part.kv_heads, width);
  const auto out = s.input(g, kOut, s.heads(), s.whole.query_width());
  const auto dout = s.input(g, kDout, s.heads(), s.whole.query_width());
  graph::Tensor_attributes lse_attributes;
  s.describe_lse(lse_attributes);
  const auto lse = g.tensor(lse_attributes);
  auto options = graph::SDPA_backward_attributes()
                     .set_name("attention_backward")
                     .set_attn_scale(static_cast<float>(s.whole.scale))
                     .set_deterministic_algorithm(true)
                     .set_diagonal_alignment(fe::DiagonalAlignment_t::TOP_LEFT)
                     .set_diagonal_band_right_bound(0);
  const auto [dq, dk, dv] = g.sdpa_backward(q, k, v, out, dout, lse, options);
  s.describe(dq->set_output(true), kDq, s.heads(), width);
  s.describe(dk->set_output(true), kDk, s.part.kv_heads, width);
  s.describe(dv->set_output(true), kDv, s.part.kv_heads, width);
  return finish(g, handle);
}

// `pointer` moved by a number of elements.
template <class T>
T* at(const void* pointer, index_t elements) {
  return const_cast<T*>(static_cast<const T*>(pointer)) + elements;
}

using Half = std::uint16_t;  // the bits of a bf16

// q, k and v of the slice that starts at a sequence and a kv head, inside packed rows.
struct Parts {
  void *q, *k, *v;

  Parts(const AttentionShape& s, const void* packed, index_t sequence, index_t kv_head) {
    const index_t row = sequence * s.time * s.packed_width();
    q = at<Half>(packed, row + kv_head * (s.heads / s.kv_heads) * s.head_dim);
    k = at<Half>(packed, row + (s.heads + kv_head) * s.head_dim);
    v = at<Half>(packed, row + (s.heads + s.kv_heads + kv_head) * s.head_dim);
  }
};

class Cudnn final : public CudnnAttention {
 public:
  Cudnn() { check(fe::detail::create_handle(&handle_), "cudnnCreate"); }
  ~Cudnn() override { fe::detail::destroy_handle(handle_); }

  bool prepare(const AttentionShape& s, std::size_t workspace_bytes) override {
    const std::lock_guard lock(mutex_);
    const auto build = [&](graph::Graph& g) { return build_backward(g, {s, cudnn_slice(s)}, handle_); };
    return has_forward(s, workspace_bytes) && graphs_[key_of(s)].backward.prepare(build, workspace_bytes);
  }
  bool prepare_forward(const AttentionShape& s, std::size_t workspace_bytes) override {
    const std::lock_guard lock(mutex_);
    return has_forward(s, workspace_bytes);
  }

  void forward(const AttentionShape& s, const void* qkv, void* out, float* lse, void* workspace,
               cudaStream_t stream) override {
    const std::lock_guard lock(mutex_);
    const Parts in(s, qkv, 0, 0);
    std::unordered_map<std::int64_t, void*> pointers = {{kQ, in.q}, {kK, in.k}, {kV, in.v}, {kOut, out}, {kLse, lse}};
    run(graphs_.at(key_of(s)).forward.graph, pointers, workspace, stream);
  }

  void backward(const AttentionShape& s, const void* dout, const void* qkv, const void* out, const float* lse,
                void* dqkv, void* workspace, cudaStream_t stream) override {
    const std::lock_guard lock(mutex_);
    graph::Graph& g = graphs_.at(key_of(s)).backward.graph;
    const AttentionSlice slice = cudnn_slice(s);
    for (index_t sequence = 0; sequence < s.batch; sequence += slice.batch) {
      for (index_t kv_head = 0; kv_head < s.kv_heads; kv_head += slice.kv_heads) {
        const index_t head = kv_head * (s.heads / s.kv_heads);
        const index_t row = sequence * s.time * s.query_width() + head * s.head_dim;
        const Parts in(s, qkv, sequence, kv_head), gradient(s, dqkv, sequence, kv_head);
        std::unordered_map<std::int64_t, void*> pointers = {
            {kQ, in.q},        {kK, in.k},        {kV, in.v},       {kOut, at<Half>(out, row)}, {kDout, at<Half>(dout, row)},
            {kDq, gradient.q}, {kDk, gradient.k}, {kDv, gradient.v}, {kLse, at<float>(lse, (sequence * s.heads + head) * s.time)}};
        run(g, pointers, workspace, stream);
      }
    }
  }

 private:
  using Key = std::tuple<index_t, index_t, index_t, index_t, index_t, double>;
  static Key key_of(const AttentionShape& s) { return {s.batch, s.time, s.heads, s.kv_heads, s.head_dim, s.scale}; }

  bool has_forward(const AttentionShape& s, std::size_t workspace_bytes) {
    if (!cudnn_takes(s)) return false;
    const auto build = [&](graph::Graph& g) { return build_forward(g, {s, {s.batch, s.kv_heads}}, handle_); };
    return graphs_[key_of(s)].forward.prepare(build, workspace_bytes);
  }

  void run(graph::Graph& g, std::unordered_map<std::int64_t, void*>& pointers, void* workspace, cudaStream_t stream) {
    check(fe::detail::set_stream(handle_, stream), "cudnnSetStream");
    check(g.execute(handle_, pointers, workspace), "execute");
  }

  std::mutex mutex_;
  cudnnHandle_t handle_ = nullptr;
  std::map<Key, Graphs> graphs_;
};

}  // namespace

std::shared_ptr<CudnnAttention> CudnnAttention::open(std::string* reason) {
  static std::mutex mutex;
  // Never destroyed: when the process ends, the driver may be gone first.
  static auto& opened = *new std::map<int, std::shared_ptr<CudnnAttention>>;
  const std::lock_guard lock(mutex);
  const auto found = opened.find(current_device());
  if (found != opened.end()) return found->second;
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
    return opened[current_device()] = std::make_shared<Cudnn>();
  } catch (const std::exception& error) {
    *reason = error.what();
    return nullptr;
  }
}

}  // namespace lmx::cuda
