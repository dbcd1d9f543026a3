// Gradients inside the chunks (ssd_gradient.cuh): blocks of 16 warps, one kind for the steps that read the
// state and one for those that write to it, per (sequence, chunk, group, split of the group's heads). Both
// kinds walk their heads with dy, x and a state double-buffered in shared memory; what is summed over heads
// stays in accumulators. A state dimension above 128 is cut into two pieces: a reader each,
// one writer of dx (all of the state), a writer of dB each.
//
// 65536 tokens, 24 heads x 64, state 128: 106 GFLOP (causal halves counted as run); x, dy, dx, h, G 201 MB
// each, B, C, dB, dC and the fp32 parts of dB 170 MB = 1.18 GB, 280 us at 4.2 TB/s. Operands from shared
// memory: 1.05 MB per head and chunk at 128 bytes a clock, 430 us; that, and the ALU work between, is what
// binds. Predicted 420 us, measured 760 us on an H200.
#include <string>

#include "../common/error.h"
#include "check.h"
#include "ssd_gradient_reader.cuh"
#include "ssd_gradient_writer.cuh"

namespace lmx::cuda {
namespace {

template <int kPieces>
constexpr int kGradientRoles = kPieces == 1 ? 2 : 5;

// One block per (role, sequence, chunk, group, split); see gradient_work.
template <int kP, int kN, int kPieces>
__global__ void __launch_bounds__(kGradientThreads, 1)
    ssd_gradient_kernel(const SsdGradient p, int reader_stages, int writer_stages) {
  extern __shared__ __align__(tile::kPanelAlignment) unsigned char shared_bytes[];
  using Reader = GradientReader<kP, kN, kPieces>;
  const GradientWork work = gradient_work<kGradientRoles<kPieces>>(blockIdx.x, gridDim.x, p.g.groups * p.splits, p.g.chunks);
  if constexpr (kPieces == 1) {
    if (work.role == 0) {
      GradientWriter<kP, kN, true, true>::run(p, shared_bytes, work, 0, writer_stages);
    } else {
      Reader::run(p, shared_bytes, work, 0, reader_stages);
    }
  } else {
    if (work.role == 0) {
      GradientWriter<kP, 2 * kN, true, false>::run(p, shared_bytes, work, 0, writer_stages);
    } else if (work.role < 3) {
      Reader::run(p, shared_bytes, work, work.role - 1, reader_stages);
    } else {
      GradientWriter<kP, kN, false, true>::run(p, shared_bytes, work, (work.role - 3) * kN, 1);
    }
  }
}

template <int kP, int kN, int kPieces>
struct GradientBytes {
  using Reader = GradientReader<kP, kN, kPieces>;
  using Writer = GradientWriter<kP, kPieces * kN, true, kPieces == 1>;
  int reader_stages, writer_stages;
  std::size_t bytes;

  // Two stages where they fit.
  explicit GradientBytes(std::size_t limit)
      : reader_stages(Reader::bytes(2) <= limit ? 2 : 1), writer_stages(Writer::bytes(2) <= limit ? 2 : 1) {
    const std::size_t reader = Reader::bytes(reader_stages), writer = Writer::bytes(writer_stages);
    bytes = reader > writer ? reader : writer;
  }
};

// The kernel of a shape: channels of a virtual head, columns and number of the pieces of its state.
template <int kP, int kN, int kPieces>
struct Kernel {
  using Bytes = GradientBytes<kP, kN, kPieces>;
  static constexpr auto function = ssd_gradient_kernel<kP, kN, kPieces>;
  static constexpr int pieces = kPieces;
};

template <class Kernel>
void launch(const SsdGradient& p, cudaStream_t stream) {
  const typename Kernel::Bytes need(shared_memory_limit());
  const auto kernel = Kernel::function;
  check(
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(need.bytes)),
      "cudaFuncSetAttribute");
  const int grid = kGradientRoles<Kernel::pieces> * p.g.groups * p.splits * p.g.chunks * p.g.batch;
  kernel<<<grid, kGradientThreads, need.bytes, stream>>>(p, need.reader_stages, need.writer_stages);
  check_launch("ssd_gradient");
}

// Calls body with the kernel of a shape.
template <int kP, class Body>
auto with_kernel(int state, int pieces, const Body& body) {
  switch (padded_state(state)) {
    case 32: return body(Kernel<kP, 32, 1>());
    case 64: return body(Kernel<kP, 64, 1>());
    case 128: return pieces == 1 ? body(Kernel<kP, 128, 1>()) : body(Kernel<kP, 64, 2>());
    default: return body(Kernel<kP, 128, 2>());
  }
}
template <class Body>
auto with_kernel(const SsdGeometry& g, int pieces, const Body& body) {
  return g.width == 64 ? with_kernel<64>(g.state, pieces, body) : with_kernel<32>(g.state, pieces, body);
}

}  // namespace

int ssd_gradient_splits(const SsdGeometry& g) {
  const int roles = g.state > 128 ? 5 : 2;
  return best_split(index_t{g.batch} * g.chunks * g.groups * roles, g.group_virtual_heads, kMultiprocessors);
}

int ssd_gradient_pieces(const SsdGeometry& g, std::size_t shared_memory) {
  if (g.state > 128) return 2;
  if (g.state <= 64) return 1;
  return GradientBytes<64, 128, 1>(shared_memory).bytes <= shared_memory ? 1 : 2;
}

std::size_t ssd_gradient_shared_bytes(const SsdGeometry& g, std::size_t shared_memory) {
  return with_kernel(g, ssd_gradient_pieces(g, shared_memory),
                     [&](auto kernel) { return typename decltype(kernel)::Bytes(shared_memory).bytes; });
}

void ssd_gradient_require(const SsdShape& s, std::size_t shared_memory) {
  const std::size_t bytes = ssd_gradient_shared_bytes(SsdGeometry(s), shared_memory);
  if (bytes <= shared_memory) return;
  throw InvalidArgument("ssd_scan's gradients on a GPU with " + std::to_string(shared_memory) +
                        " bytes of shared memory per block: Expected a state of at most 128, or head_dim of at most 32, got state " +
                        std::to_string(s.state) + " and head_dim " + std::to_string(s.head_dim) + ", which take " +
                        std::to_string(bytes) + " bytes");
}

void ssd_gradient(const SsdGradient& p, cudaStream_t stream) {
  with_kernel(p.g, p.pieces, [&](auto kernel) { launch<decltype(kernel)>(p, stream); });
}

}  // namespace lmx::cuda
