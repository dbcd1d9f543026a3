// Times the SSD scan, whole and kernel by kernel, on one CUDA device, beside the bytes each must move at this card's own copy
// speed. Every figure is the median of replays of a graph of ten calls.
//   bench_cuda_ssd [reference]      reference: the first shape alone
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "cuda/check.h"
#include "cuda/full_copy.cuh"
#include "cuda/ssd_chunk_output.cuh"
#include "cuda/ssd_combine.cuh"
#include "cuda/ssd_scan.cuh"
#include "cuda/ssd_state_pass.cuh"
#include "replay_time.h"

using namespace lmx;
using namespace lmx::cuda;

namespace {

cudaStream_t stream;

__global__ void random_kernel(std::size_t count, bf16* values, float scale, float offset) {
  for (std::size_t i = blockIdx.x * std::size_t{blockDim.x} + threadIdx.x; i < count;
       i += gridDim.x * blockDim.x) {
    std::uint32_t x = static_cast<std::uint32_t>(i) * 2654435761u + 12345u;
    x = (x ^ (x >> 16)) * 0x7feb352du;
    x = (x ^ (x >> 15)) * 0x846ca68bu;
    values[i] = __float2bfloat16((static_cast<float>(x ^ (x >> 16)) * 0x1p-31f - 1) * 1.7f * scale + offset);
  }
}

template <class T>
struct Array {
  T* data = nullptr;
  explicit Array(index_t count) {
    check(cudaMalloc(&data, static_cast<std::size_t>(count) * sizeof(T)), "cudaMalloc");
  }
  Array(index_t count, T value) : Array(count) {
    const std::vector<T> host(static_cast<std::size_t>(count), value);
    check(cudaMemcpy(data, host.data(), host.size() * sizeof(T), cudaMemcpyHostToDevice), "cudaMemcpy");
  }
  ~Array() { cudaFree(data); }
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;
};

struct Random : Array<bf16> {
  explicit Random(index_t count, float scale = 1, float offset = 0) : Array(count) {
    random_kernel<<<1056, 256, 0, stream>>>(static_cast<std::size_t>(count), data, scale, offset);
  }
};

// Median milliseconds of one call.
double time_of(const std::function<void()>& call) { return bench::replay_milliseconds(stream, call); }

double copy_speed;  // bytes per second, read plus written

void report(const char* name, double ms, double bytes) {
  std::printf("  %-26s %8.4f ms   floor %8.4f ms   %3.0f%%\n", name, ms, bytes / copy_speed * 1e3,
              bytes / copy_speed * 1e5 / ms);
}

void bench_scan(const SsdShape& s) {
  const index_t rows = s.batch * s.time, bc = 2 * s.groups * s.state;
  std::printf("SSD scan B %ld, T %ld, %ld heads x %ld, state %ld, groups %ld\n", long(s.batch), long(s.time),
              long(s.heads), long(s.head_dim), long(s.state), long(s.groups));
  Random xbc(rows * s.channels(), 0.5f), dt(rows * s.heads, 1, -3), dy(rows * s.inner());
  Array<bf16> y(rows * s.inner()), dxbc(rows * s.channels()), ddt(rows * s.heads);
  Array<unsigned char> states(static_cast<index_t>(ssd_scan_states_bytes(s)));
  Array<unsigned char> workspace(static_cast<index_t>(ssd_scan_workspace(s)));
  ColumnSums waiting;
  waiting.bind(workspace.data, ssd_scan_workspace(s));
  Array<float> a_log(s.heads, 1.0f), d(s.heads, 1.0f), bias(s.heads, 0.0f), da(s.heads, 0.0f),
      dd(s.heads, 0.0f), db(s.heads, 0.0f);
  const StridedOf<const bf16*> dt_view{dt.data, s.heads};
  auto* const saved = reinterpret_cast<bf16*>(states.data);

  const double x = 2.0 * rows * s.inner(), b = 2.0 * rows * bc,
               h = static_cast<double>(ssd_scan_states_bytes(s));
  const double forward = time_of([&] {
    ssd_scan_forward(s, xbc.data, dt_view, a_log.data, d.data, bias.data, nullptr, y.data, saved, nullptr,
                     workspace.data, stream);
  });
  const double backward = time_of([&] {
    ssd_scan_backward(s, dy.data, xbc.data, dt_view, a_log.data, d.data, bias.data, saved, nullptr, dxbc.data,
                      {ddt.data, s.heads}, da.data, dd.data, db.data, nullptr, workspace.data, waiting, stream);
    waiting.flush(stream);
  });
  report("forward", forward, 2 * x + b + h);
  report("backward", backward, 3 * x + 2 * b + h);

  // Every kernel alone.
  const SsdGeometry g(s);
  auto* const steps = reinterpret_cast<float*>(workspace.data);
  const index_t count = g.step_count();
  Array<bf16> other(static_cast<index_t>(ssd_scan_states_bytes(s) / 2));
  const SsdSteps vectors{steps, steps + count, steps + 2 * count};
  const double pass = time_of([&] {
    ssd_state_pass_forward({g, xbc.data, g.channels, xbc.data + g.inner, dt_view, a_log.data, bias.data,
                            nullptr, other.data, nullptr, vectors},
                           stream);
  });
  const double outputs =
      time_of([&] { ssd_chunk_output({g, xbc.data, saved, d.data, vectors, y.data}, stream); });
  const double reverse = time_of([&] {
    ssd_state_pass_backward({g, dy.data, g.inner, xbc.data + g.inner + bc / 2, dt_view, a_log.data, bias.data,
                             nullptr, other.data, nullptr, vectors},
                            stream);
  });
  report("  state pass", pass, x + b / 2 + h);
  report("  outputs", outputs, 2 * x + b + h);
  report("  state pass, reverse", reverse, x + b / 2 + h);
  const int splits = ssd_gradient_splits(g), pieces = ssd_gradient_pieces(g, shared_memory_limit());
  const index_t blocks = index_t{g.batch} * g.chunks, part = blocks * kSsdChunk * s.groups * s.state;
  Array<float> db_parts(2 * splits * part), dc_parts(splits * part), decay(kMaxStatePieces * g.virtual_step_count()),
      write(g.virtual_step_count()), direct(g.virtual_step_count()), carry(blocks * g.virtual_heads),
      skip(blocks * g.virtual_heads), partials(3 * blocks * g.heads);
  const SsdGradient gradient{g,     dy.data, xbc.data,      saved,         other.data, d.data,     vectors,     dxbc.data,  splits,
                             pieces, db_parts.data, dc_parts.data, decay.data, write.data, direct.data, carry.data, skip.data};
  const double inside = time_of([&] { ssd_gradient(gradient, stream); });
  const double sums = time_of([&] {
    ssd_combine({gradient, a_log.data, {ddt.data, s.heads}, partials.data}, stream);
  });
  report("  gradients", inside, 3 * x + b + 2 * h + 4.0 * splits * (splits > 1 ? 3 : 2) * part);
  report("  sums", sums, 4.0 * splits * (splits > 1 ? 3 : 2) * part + b + 16.0 * g.virtual_step_count());
  std::fflush(stdout);
}

}  // namespace

int main(int count, char** arguments) {
  const bool reference = count > 1 && std::string(arguments[1]) == "reference";
  check(cudaStreamCreate(&stream), "cudaStreamCreate");
  {
    constexpr std::size_t bytes = std::size_t{1} << 31;
    Random from(bytes / 2);
    Array<bf16> to(bytes / 2);
    const double ms = time_of([&] { full_copy(to.data, from.data, bytes, stream); });
    copy_speed = 2 * bytes / ms * 1e3;
    std::printf("copy %.2f TB/s\n", copy_speed * 1e-12);
  }
  bench_scan({16, 4096, 24, 64, 1, 128, 128, 0});
  if (reference) return 0;
  bench_scan({16, 4096, 24, 64, 8, 128, 128, 0});
  bench_scan({4, 16384, 24, 64, 1, 128, 128, 0});
  bench_scan({1, 4096, 24, 64, 1, 128, 128, 0});
  bench_scan({64, 1024, 16, 64, 1, 128, 128, 0});
  bench_scan({32, 512, 8, 64, 1, 64, 128, 0});
  bench_scan({32, 256, 4, 64, 1, 64, 128, 0});
  bench_scan({8, 4096, 32, 64, 1, 128, 128, 0});
  return 0;
}
