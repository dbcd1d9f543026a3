// Times the operations of the CUDA backend at the shapes of the reference proxy (24 layers, d 768, V 50304, 16 x 4096 tokens):
// milliseconds, bytes or FLOPs, and the share of this card's own ceilings, which are measured first. Each operation is captured
// several times into one graph, so that launches do not count; the figure is the median over replays.
//   bench_cuda_operations [GROUP...]    groups of operations (below) in whose names one of the words occurs; memory: all but matrix products and attention
#include <algorithm>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "cuda/adamw.cuh"
#include "cuda/attention.h"
#include "cuda/attention_mma.cuh"
#include "cuda/attention_wgmma.cuh"
#include "cuda/causal_conv1d.cuh"
#include "cuda/check.h"
#include "cuda/column_sums.cuh"
#include "cuda/cross_entropy.cuh"
#include "cuda/cuda_backend.h"
#include "cuda/embedding.cuh"
#include "cuda/embedding_product.cuh"
#include "cuda/full_copy.cuh"
#include "cuda/gated_rms_norm.cuh"
#include "cuda/linear.h"
#include "cuda/mlp.h"
#include "cuda/mlp_activation.cuh"
#include "cuda/rms_norm.cuh"
#include "cuda/rope.cuh"
#include "needs_device.h"
#include "replay_time.h"

using namespace lmx;
using namespace lmx::cuda;

namespace {

cudaStream_t stream;

__device__ std::uint32_t scramble(std::uint32_t x) {
  x = (x ^ (x >> 16)) * 0x7feb352du;
  x = (x ^ (x >> 15)) * 0x846ca68bu;
  return x ^ (x >> 16);
}

__global__ void fill_kernel(std::size_t count, bf16* values, float scale, std::uint32_t seed) {
  for (std::size_t i = blockIdx.x * std::size_t{blockDim.x} + threadIdx.x; i < count; i += gridDim.x * blockDim.x) {
    const float uniform = static_cast<float>(scramble(static_cast<std::uint32_t>(i) + seed)) * 0x1p-31f - 1;
    values[i] = __float2bfloat16(uniform * scale);
  }
}

// How tokens are drawn: all equally often, or token k as often as 1 / (k + 1), much as in text (Zipf's law).
enum class Draw { even, zipf };

__global__ void tokens_kernel(std::size_t count, std::int32_t* tokens, std::uint32_t vocab, Draw draw) {
  const std::size_t i = blockIdx.x * std::size_t{blockDim.x} + threadIdx.x;
  if (i >= count) return;
  const std::uint32_t bits = scramble(static_cast<std::uint32_t>(i) + 77);
  const float rank = expf((static_cast<float>(bits) + 0.5f) * 0x1p-32f * logf(static_cast<float>(vocab)));
  const std::uint32_t token = draw == Draw::even ? bits % vocab : min(static_cast<std::uint32_t>(rank) - 1, vocab - 1);
  tokens[i] = static_cast<std::int32_t>(token);
}

// sums[0] += |a - b|², sums[1] += |b|²; a measurement, so the order does not matter.
__global__ void difference_kernel(std::size_t count, const bf16* a, const bf16* b, double* sums) {
  double difference = 0, norm = 0;
  for (std::size_t i = blockIdx.x * std::size_t{blockDim.x} + threadIdx.x; i < count; i += gridDim.x * blockDim.x) {
    const double x = __bfloat162float(a[i]), y = __bfloat162float(b[i]);
    difference += (x - y) * (x - y);
    norm += y * y;
  }
  atomicAdd(sums, difference);
  atomicAdd(sums + 1, norm);
}

void* allocate(std::size_t bytes) {
  void* pointer = nullptr;
  check(cudaMalloc(&pointer, bytes), "cudaMalloc");
  check(cudaMemset(pointer, 0, bytes), "cudaMemset");
  return pointer;
}

template <class T>
struct Array {
  T* data;
  explicit Array(index_t count) : data(static_cast<T*>(allocate(static_cast<std::size_t>(count) * sizeof(T)))) {}
  ~Array() { cudaFree(data); }
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;
  operator T*() const { return data; }
};

struct Tokens : Array<std::int32_t> {
  Tokens(index_t count, index_t vocab, Draw draw = Draw::even) : Array(count) {
    tokens_kernel<<<static_cast<unsigned>(count / 256 + 1), 256, 0, stream>>>(static_cast<std::size_t>(count), data,
                                                                              static_cast<std::uint32_t>(vocab), draw);
  }
};

index_t distinct(const Tokens& tokens, index_t count) {
  std::vector<std::int32_t> host(static_cast<std::size_t>(count));
  check(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
  check(cudaMemcpy(host.data(), tokens, host.size() * sizeof(std::int32_t), cudaMemcpyDeviceToHost), "cudaMemcpy");
  std::sort(host.begin(), host.end());
  return std::unique(host.begin(), host.end()) - host.begin();
}

struct Random : Array<bf16> {
  explicit Random(index_t count, float scale = 1) : Array(count) {
    fill_kernel<<<1024, 256, 0, stream>>>(static_cast<std::size_t>(count), data, scale, 17);
  }
};

// A workspace for sums over rows. An operation's time includes that of adding its own.
class BoundSums {
 public:
  explicit BoundSums(std::size_t bytes) : workspace_(static_cast<index_t>(bytes)) { sums_.bind(workspace_, bytes); }
  char* workspace() const { return workspace_; }
  void after(const std::function<void(ColumnSums&)>& call) {
    call(sums_);
    sums_.flush(stream);
  }

 private:
  Array<char> workspace_;
  ColumnSums sums_;
};

// |a - b| / |b| in the Frobenius norm.
double relative_difference(index_t count, const bf16* a, const bf16* b) {
  const Array<double> sums(2);
  double host[2];
  difference_kernel<<<1024, 256, 0, stream>>>(static_cast<std::size_t>(count), a, b, sums);
  check(cudaMemcpyAsync(host, sums, sizeof host, cudaMemcpyDeviceToHost, stream), "cudaMemcpyAsync");
  check(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
  return std::sqrt(host[0] / host[1]);
}

// Median milliseconds of one call.
double time_of(const std::function<void()>& call, int calls_per_graph = 10) { return bench::replay_milliseconds(stream, call, calls_per_graph); }

// A plain copy, which nothing that reads and writes memory is expected to beat: a large one for the card's rate, and one of as many bytes as an
// operation moves, because a small operation is bound by how a launch begins and ends, and finds its data in L2.
class Copy {
 public:
  Copy() : from_(kMost / 2), to_(kMost), bytes_per_ms_(2.0 * kMost / milliseconds(2.0 * kMost, 5)) {}
  double bytes_per_ms() const { return bytes_per_ms_; }
  double milliseconds(double bytes, int calls) const {
    const auto half = static_cast<std::size_t>(bytes / 32) * 16;
    if (half > kMost) return bytes / bytes_per_ms_;
    return time_of([&] { full_copy(to_, from_, half, stream); }, calls);
  }

 private:
  static constexpr std::size_t kMost = std::size_t{1} << 30;  // read, and as many written
  Random from_;
  Array<char> to_;
  double bytes_per_ms_;
};
const Copy* copy = nullptr;

void report_memory(const char* name, double bytes, const std::function<void()>& call, int calls = 10) {
  const double ms = time_of(call, calls);
  std::printf("%-44s %9.2f us %8.1f MB %6.2f TB/s %5.0f%% of copy %5.0f%% of a copy of its size\n", name, 1e3 * ms, bytes / 1e6, bytes / ms / 1e9,
              100 * bytes / ms / copy->bytes_per_ms(), 100 * copy->milliseconds(bytes, calls) / ms);
  std::fflush(stdout);
}

void report_math(const char* name, double flops, const std::function<void()>& call, int calls = 10) {
  const double ms = time_of(call, calls);
  std::printf("%-44s %9.4f ms %8.1f GF %6.0f TFLOP/s\n", name, ms, flops / 1e9, flops / ms / 1e9);
  std::fflush(stdout);
}

void norms(index_t rows, index_t cols) {
  const NormShape s{rows, cols, 1e-5};
  const double n = static_cast<double>(rows) * cols;
  const Random x(rows * cols), dy(rows * cols), residual(rows * cols);
  const Array<bf16> y(rows * cols);
  const Array<float> weight(cols), rstd(rows), dweight(cols);
  BoundSums sums(rms_norm_workspace(s));
  const std::string shape = std::to_string(rows) + "x" + std::to_string(cols);
  report_memory(("rms_norm forward " + shape).c_str(), 4 * n, [&] { rms_norm_forward(s, x, weight, y, rstd, stream); });
  report_memory(("rms_norm backward " + shape).c_str(), 8 * n,
                [&] { sums.after([&](ColumnSums& to) { rms_norm_backward(s, dy, x, weight, rstd, residual, y, dweight, to, stream); }); });
}

// What surrounds an SSD scan, as views of in_proj's `projected` columns: z first, then what the convolution reads.
void scan_neighbours(index_t batch, index_t time, index_t inner, index_t channels, index_t projected) {
  const index_t rows = batch * time;
  const ConvShape conv{batch, time, channels, 4};
  const GatedNormShape norm{rows, inner, 1, 1e-5};
  const Random projection(rows * projected), y(rows * inner), dy(rows * channels);
  const Array<bf16> out(rows * channels), dprojection(rows * projected), dy_out(rows * inner);
  const Array<float> w(channels * 4), bias(channels), dw(channels * 4), dbias(channels), weight(inner), dweight(inner), rstd(rows);
  BoundSums conv_sums(causal_conv1d_workspace(conv)), norm_sums(gated_rms_norm_workspace(norm));
  const StridedOf<const bf16*> z{projection.data, projected}, x{projection.data + inner, projected};
  const StridedOf<bf16*> dz{dprojection.data, projected}, dx{dprojection.data + inner, projected};
  const auto shape = [&](index_t cols) { return std::to_string(batch) + "x" + std::to_string(time) + "x" + std::to_string(cols); };
  const double c = 2.0 * rows * channels, n = 2.0 * rows * inner;
  report_memory(("conv1d forward " + shape(channels)).c_str(), 2 * c,
                [&] { causal_conv1d_forward(conv, x, w, bias, out, stream); });
  report_memory(("conv1d backward " + shape(channels)).c_str(), 3 * c,
                [&] { conv_sums.after([&](ColumnSums& to) { causal_conv1d_backward(conv, dy, x, w, bias, dx, dw, dbias, to, stream); }); });
  report_memory(("gated norm forward " + shape(inner)).c_str(), 3 * n,
                [&] { gated_rms_norm_forward(norm, y, z, weight, out, rstd, stream); });
  report_memory(("gated norm backward " + shape(inner)).c_str(), 5 * n,
                [&] { norm_sums.after([&](ColumnSums& to) { gated_rms_norm_backward(norm, dy, y, z, weight, rstd, dy_out, dz, dweight, to, stream); }); });
}

void activations(index_t rows, index_t width, Activation activation, bool gated, const char* name) {
  const MlpShape s{rows, 0, width, activation, gated};
  const double n = static_cast<double>(rows) * width;
  const Random u(rows * s.up_width()), du(rows * s.up_width());
  const Array<bf16> a(rows * width);
  report_memory((std::string(name) + " forward").c_str(), (gated ? 6 : 4) * n,
                [&] { mlp_activation_forward(s, u, a, stream); });
  report_memory((std::string(name) + " backward").c_str(), (gated ? 10 : 6) * n,
                [&] { mlp_activation_backward(s, s.keeps_input() ? u.data : a.data, du, stream); });
}

void rotary(index_t batch, index_t time, index_t heads, index_t head_dim) {
  const RopeShape s{batch, time, heads, heads, head_dim, head_dim, 10000};
  const Random qkv(batch * time * 3 * heads * head_dim);
  report_memory("rope", 4.0 * batch * time * 2 * heads * head_dim, [&] { rope(s, qkv, 1, stream); });
}

// Each call works on what the last one left in place of the logits: with a weight of about the vocabulary's size they keep their spread
// (one over it would make them all alike, and zeros draw less power).
void losses(index_t rows, index_t vocab) {
  const Random logits(rows * vocab);
  const Tokens targets(rows, vocab);
  const Array<float> loss(rows);
  const Array<std::uint8_t> correct(rows);
  const Array<StepScalars> scalars(1);
  StepScalars host{};
  host.inverse_target_count = 0.9 * static_cast<double>(vocab);
  check(cudaMemcpy(scalars, &host, sizeof host, cudaMemcpyHostToDevice), "cudaMemcpy");
  const std::string name = "cross_entropy " + std::to_string(rows) + "x" + std::to_string(vocab);
  report_memory(name.c_str(), 4.0 * rows * vocab,
                [&] { cross_entropy({rows, vocab}, logits, targets, loss, correct, scalars, true, stream); }, 3);
}

void embeddings(index_t rows, index_t cols, index_t vocab, Draw draw = Draw::even) {
  const Random weight(vocab * cols), dx(rows * cols);
  const Array<bf16> x(rows * cols);
  const Array<float> dweight(vocab * cols);
  const Tokens tokens(rows, vocab, draw);
  const EmbeddingShape s{rows, cols, vocab};
  const Array<char> workspace(static_cast<index_t>(embedding_workspace(s)) + 256);
  BoundSums sums(embedding_workspace(s));
  const std::string shape = std::to_string(rows) + "x" + std::to_string(cols) + " of " + std::to_string(vocab) + (draw == Draw::zipf ? ", zipf" : "");
  report_memory(("embedding forward " + shape).c_str(), 4.0 * rows * cols,
                [&] { embedding_forward(rows, cols, tokens, weight, x, stream); });
  report_memory(("embedding backward " + shape).c_str(), 2.0 * rows * cols + 8.0 * distinct(tokens, rows) * cols,
                [&] {
                  if (embedding_product_takes(s)) {
                    sums.after([&](ColumnSums& to) { embedding_product(s, tokens, dx, dweight, to, stream); });
                  } else {
                    embedding_backward(rows, cols, vocab, tokens, dx, dweight, workspace, stream);
                  }
                });
  if (!embedding_product_takes(s)) return;
  // In a training step its sums wait for others.
  report_memory("    without its sums", 2.0 * rows * cols + embedding_workspace(s), [&] {
    ColumnSums waiting;
    waiting.bind(sums.workspace(), embedding_workspace(s));
    embedding_product(s, tokens, dx, dweight, waiting, stream);
  });
}

void optimizer(index_t count) {
  const Array<float> master(count), gradients(count), m(count), v(count);
  const Array<bf16> working(count);
  const Array<StepScalars> scalars(1);
  const Array<double> sums(static_cast<index_t>(block_sums_bytes() / 8));
  report_memory("adamw", 30.0 * count, [&] { adamw({count, count, count}, master, working, gradients, m, v, scalars, stream); });
  report_memory("gradient_norm", 4.0 * count, [&] { gradient_norm(count, gradients, scalars, sums, stream); });
}

void products(Gemm& gemm, BoundSums& sums, index_t rows, index_t in, index_t out) {
  const LinearShape s{rows, in, out};
  const Random x(rows * in), w(out * in, 0.05f), y(rows * out);
  const Array<float> dw(out * in);
  const double flops = 2.0 * rows * in * out;
  const std::string shape = std::to_string(rows) + "x" + std::to_string(in) + "x" + std::to_string(out);
  report_math(("linear y " + shape).c_str(), flops, [&] { linear_forward(gemm, s, x, w, nullptr, y, stream); }, 5);
  report_math(("linear dx " + shape).c_str(), flops, [&] { linear_backward_input(gemm, s, y, w, x, in, stream); }, 5);
  report_math(("linear dw " + shape).c_str(), flops, 
              [&] { sums.after([&](ColumnSums& to) { linear_backward_weight(gemm, s, x, y, dw, to, stream); }); }, 5);
}

void mlp_halves(Gemm& gemm, index_t rows, index_t hidden, index_t width) {
  const MlpShape s{rows, hidden, width, Activation::relu2, false};
  const Random x(rows * hidden), w(width * hidden, 0.05f), a(rows * width), other(rows * width);
  mlp_activation_forward(s, a, a, stream);
  const double flops = 2.0 * rows * hidden * width;
  const std::string shape = std::to_string(rows) + "x" + std::to_string(hidden) + "x" + std::to_string(width);
  Mlp mlp(gemm);
  report_math(("mlp relu2 forward " + shape).c_str(), flops, [&] { mlp.forward(s, x, w, nullptr, other, stream); }, 5);
  report_math(("mlp relu2 backward " + shape).c_str(), flops, [&] { mlp.backward_input(s, x, w, a, other, stream); }, 5);
  for (const MlpHalf half : {MlpHalf::forward, MlpHalf::backward}) {
    const char* name = half == MlpHalf::forward ? "forward" : "backward";
    report_math((std::string("    as a pair, ") + name).c_str(), flops,
                [&] { mlp_pair(gemm, half, s, {x, w, a, other}, stream); }, 5);
  }
}

void attentions(Attention& attention, index_t batch, index_t time, index_t heads, index_t kv_heads, index_t head_dim) {
  const AttentionShape s{batch, time, heads, kv_heads, head_dim, 1 / std::sqrt(static_cast<double>(head_dim))};
  const index_t rows = batch * time;
  const Random qkv(rows * s.packed_width()), dout(rows * s.query_width());
  const Array<bf16> out(rows * s.query_width()), dqkv(rows * s.packed_width());
  const Array<bf16> other_out(rows * s.query_width()), other_dqkv(rows * s.packed_width());
  const Array<float> lse(rows * heads), other_lse(rows * heads);
  const std::size_t bytes = attention_workspace(s);
  const Array<char> workspace(static_cast<index_t>(bytes));
  const double flops = 2.0 * rows * (time + 1) * s.query_width();
  const std::string shape = std::to_string(batch) + "x" + std::to_string(time) + " " + std::to_string(heads) + "/" +
                            std::to_string(kv_heads) + "x" + std::to_string(head_dim);
  const auto both = [&](const std::string& name, const auto& forward, const auto& backward) {
    report_math((name + " forward " + shape).c_str(), flops, forward, 5);
    report_math((name + " backward " + shape).c_str(), 2.5 * flops, backward, 5);
  };
  if (attention.cudnn() != nullptr && attention.cudnn()->prepare(s, bytes)) {
    both("cudnn", [&] { attention.cudnn()->forward(s, qkv, out, lse, workspace, stream); },
         [&] { attention.cudnn()->backward(s, dout, qkv, out, lse, dqkv, workspace, stream); });
  } else {
    std::printf("    not for cudnn: %s\n", attention.why_not_cudnn().c_str());
  }
  both("own", [&] { attention_mma_forward(s, qkv, other_out, other_lse, stream); },
       [&] { attention_mma_backward(s, dout, qkv, other_out, other_lse, other_dqkv, workspace, stream); });
  if (attention.cudnn() != nullptr && attention.cudnn()->prepare(s, bytes)) {
    std::printf("    own against cudnn: out %.2g, dqkv %.2g relative\n",
                relative_difference(rows * s.query_width(), other_out, out),
                relative_difference(rows * s.packed_width(), other_dqkv, dqkv));
  }
  if (attention_wgmma_takes(s) && attention_wgmma_runs()) {
    report_math(("hopper backward " + shape).c_str(), 2.5 * flops,
                [&] { attention_wgmma_backward(s, dout, qkv, other_out, other_lse, dqkv, workspace, stream); }, 5);
    std::printf("    hopper against own: dqkv %.2g relative\n", relative_difference(rows * s.packed_width(), dqkv, other_dqkv));
  }
}

// Groups of operations that share their data.
struct Group {
  const char* name;
  bool is_memory;  // without matrix products
  void (*run)();
};

const Group groups[] = {
    {"rms_norm", true,
     [] {
       norms(65536, 768);
       norms(65536, 1024);
       norms(65536, 512);
       norms(16384, 256);
       norms(8192, 128);
     }},
    {"conv1d gated_norm", true,
     [] {
       scan_neighbours(16, 4096, 1536, 1792, 3352);  // reference
       scan_neighbours(4, 16384, 1536, 1792, 3352);  // long
       scan_neighbours(64, 1024, 1024, 1280, 2320);  // mid
       scan_neighbours(8, 4096, 2048, 2304, 4384);   // large
       scan_neighbours(32, 512, 512, 640, 1160);     // tiny
       scan_neighbours(32, 256, 256, 384, 648);      // tinier
     }},
    {"activation", true,
     [] {
       activations(65536, 3072, Activation::relu2, false, "relu2 65536x3072");
       activations(65536, 3072, Activation::gelu_tanh, false, "gelu_tanh 65536x3072");
       activations(65536, 2048, Activation::silu, true, "silu gated 65536x2048");
     }},
    {"rope", true, [] { rotary(16, 4096, 12, 64); }},
    {"cross_entropy", true,
     [] {
       losses(65536, 50304);
       losses(65536, 8192);
       losses(65536, 1024);
       losses(65536, 256);
       losses(16384, 256);
       losses(8192, 64);
     }},
    {"embedding", true,
     [] {
       embeddings(65536, 768, 50304);
       embeddings(65536, 768, 50304, Draw::zipf);
       embeddings(16384, 256, 256);
       embeddings(8192, 128, 64);
     }},
    {"optimizer", true, [] { optimizer(137500000); }},
    {"linear", false,
     [] {
       Gemm gemm;
       BoundSums sums(Gemm::workspace_bytes + ColumnSums::planned_bytes);
       gemm.bind_workspace(sums.workspace(), Gemm::workspace_bytes);
       products(gemm, sums, 65536, 768, 3352);
       products(gemm, sums, 65536, 1536, 768);
       products(gemm, sums, 65536, 768, 3072);
       products(gemm, sums, 65536, 3072, 768);
       products(gemm, sums, 65536, 768, 2304);
       products(gemm, sums, 65536, 768, 50304);
       products(gemm, sums, 16384, 768, 50304);
       products(gemm, sums, 2624, 768, 50304);
       products(gemm, sums, 16384, 256, 1024);
       products(gemm, sums, 16384, 256, 1160);
       products(gemm, sums, 8192, 128, 512);
       products(gemm, sums, 8192, 128, 648);
     }},
    {"mlp", false,
     [] {
       Gemm gemm;
       const Array<char> workspace(static_cast<index_t>(Gemm::workspace_bytes));
       gemm.bind_workspace(workspace, Gemm::workspace_bytes);
       mlp_halves(gemm, 65536, 768, 3072);
       mlp_halves(gemm, 65536, 512, 2048);
       mlp_halves(gemm, 32768, 1024, 4096);
       mlp_halves(gemm, 16384, 256, 1024);
       mlp_halves(gemm, 8192, 128, 512);
     }},
    {"attention", false,
     [] {
       Attention attention;
       attentions(attention, 16, 4096, 12, 12, 64);
       attentions(attention, 4, 16384, 12, 12, 64);
       attentions(attention, 8, 4096, 16, 16, 128);
       attentions(attention, 8, 4096, 16, 4, 128);
       attentions(attention, 32, 512, 4, 4, 64);
       attentions(attention, 3, 1000, 4, 2, 64);
     }},
};

}  // namespace

int main(int count, char** arguments) {
  if (lmx::test::lacks_device()) return lmx::test::skipped;
  const std::vector<std::string> words(arguments + 1, arguments + count);
  const auto wanted = [&](const Group& group) {
    const auto names = [&](const std::string& word) {
      return word == "memory" ? group.is_memory : std::string(group.name).find(word) != std::string::npos;
    };
    return words.empty() || std::any_of(words.begin(), words.end(), names);
  };
  std::printf("%s\n", cuda_device_description(0).c_str());
  check(cudaStreamCreate(&stream), "cudaStreamCreate");
  const Copy measured;
  copy = &measured;
  std::printf("%-44s %6.2f TB/s\n", "copy", copy->bytes_per_ms() / 1e9);
  for (const Group& group : groups) {
    if (wanted(group)) group.run();
  }
  return 0;
}
