// Gradients inside the chunks (ssd_gradient.cuh): blocks of 16 warps, one kind for the steps that read the
// state and one for those that write to it, per (sequence, chunk, group, split of the group's heads). Both
// kinds walk their heads with dy, x and a state double-buffered in shared memory; what is summed over heads
// stays in accumulators. The two kinds of one chunk are neighbours in the grid, so that dy and x come from
// memory once and from L2 the second time. A state dimension above 128 is cut into two pieces: a reader each,
// one writer of dx (all of the state), a writer of dB each.
//
// 65536 tokens, 24 heads x 64, state 128: 106 GFLOP (causal halves counted as run); x, dy, dx, h, G 201 MB
// each, B, C, dB, dC and the fp32 parts of dB 170 MB = 1.18 GB, 280 us at 4.2 TB/s. Operands from shared
// memory: 1.05 MB per head and chunk at 128 bytes a clock, 430 us; that, and the ALU work between, is what
// binds. Predicted 420 us, measured 760 us on an H200.
#include "check.h"
#include "ssd_gradient_reader.cuh"
#include "ssd_gradient_writer.cuh"

namespace lmx::cuda {
namespace {

// grid (groups * splits * roles, chunks, batch), the role fastest
template <int kP, int kN, int kPieces>
__global__ void __launch_bounds__(kGradientThreads, 1)
    ssd_gradient_kernel(const SsdGradient p, int reader_stages, int writer_stages) {
  extern __shared__ __align__(128) unsigned char shared_bytes[];
  using Reader = GradientReader<kP, kN, kPieces>;
  if constexpr (kPieces == 1) {
    const int owner = blockIdx.x / 2;
    if (blockIdx.x % 2 == 0) {
      GradientWriter<kP, kN, true, true>::run(p, shared_bytes, owner, 0, writer_stages);
    } else {
      Reader::run(p, shared_bytes, owner, 0, reader_stages);
    }
  } else {
    const int owner = blockIdx.x / 5, role = blockIdx.x % 5;
    if (role == 0) {
      GradientWriter<kP, 2 * kN, true, false>::run(p, shared_bytes, owner, 0, writer_stages);
    } else if (role < 3) {
      Reader::run(p, shared_bytes, owner, role - 1, reader_stages);
    } else {
      GradientWriter<kP, kN, false, true>::run(p, shared_bytes, owner, (role - 3) * kN, 1);
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

template <int kP, int kN, int kPieces>
void launch(const SsdGradient& p, cudaStream_t stream) {
  const GradientBytes<kP, kN, kPieces> need(shared_memory_limit());
  const auto kernel = ssd_gradient_kernel<kP, kN, kPieces>;
  check(
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(need.bytes)),
      "cudaFuncSetAttribute");
  const dim3 grid(p.g.groups * p.splits * (kPieces == 1 ? 2 : 5), p.g.chunks, p.g.batch);
  kernel<<<grid, kGradientThreads, need.bytes, stream>>>(p, need.reader_stages, need.writer_stages);
  check_launch("ssd_gradient");
}

template <int kP>
void dispatch(const SsdGradient& p, cudaStream_t stream) {
  switch (padded_state(p.g.state)) {
    case 32: return launch<kP, 32, 1>(p, stream);
    case 64: return launch<kP, 64, 1>(p, stream);
    case 128: return p.pieces == 1 ? launch<kP, 128, 1>(p, stream) : launch<kP, 64, 2>(p, stream);
    default: return launch<kP, 128, 2>(p, stream);
  }
}

}  // namespace

int ssd_gradient_splits(const SsdGeometry& g) {
  const int roles = g.state > 128 ? 5 : 2;
  return best_split(index_t{g.batch} * g.chunks * g.groups * roles, g.group_virtual_heads, kMultiprocessors);
}

int ssd_gradient_pieces(const SsdGeometry& g) {
  if (g.state > 128) return 2;
  if (g.state <= 64) return 1;
  const std::size_t limit = shared_memory_limit();
  return GradientBytes<64, 128, 1>(limit).bytes <= limit ? 1 : 2;
}

void ssd_gradient(const SsdGradient& p, cudaStream_t stream) {
  p.g.width == 64 ? dispatch<64>(p, stream) : dispatch<32>(p, stream);
}

}  // namespace lmx::cuda
