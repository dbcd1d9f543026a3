// Gradients inside the chunks (ssd_gradient.cuh): blocks of 16 warps, one kind for the steps that read the
// state and one for those that write to it, per (sequence, chunk, group, split of the group's heads). Both
// kinds walk their heads with dy, x and a state double-buffered in shared memory; what is summed over heads
// stays in accumulators. A state dimension above 128 is cut into two pieces: a reader each,
// one writer of dx (all of the state), a writer of dB each. On Hopper the copy engine fills the stages (ssd_head_ring.cuh), out of L2,
// where it has asked for them a head before.
//
// 65536 tokens, 24 heads x 64, state 128: 106 GFLOP (causal halves counted as run); x, dy, dx, h, G 201 MB
// each, B, C, dB, dC and the fp32 parts of dB 170 MB = 1.18 GB, 280 us at 4.2 TB/s. On Hopper operands from
// shared memory are 0.36 MB per head and chunk for the steps that write (wgmma 0.13, ldmatrix and scores 0.23) and 0.20 for those that
// read (0.06, 0.14): 240 us at 128 bytes a clock. A warp's head takes some 700 instructions in either kind: 300 us of issue slots, which
// binds. Predicted 450 us, measured 541 us on an H200 (590 with one barrier for all of a head and without L2's help).
#include <string>

#include "../common/error.h"
#include "check.h"
#include "hopper_device.h"
#include "ssd_gradient_reader.cuh"
#include "ssd_gradient_writer.cuh"
#include "tensor_map.h"

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

// On Hopper: the same blocks, fed by the copy engine. In a build that is not for sm_90a the kernel is empty.
template <int kN>
__global__ void __launch_bounds__(kEngineThreads, 1)
    ssd_gradient_engine_kernel(const __grid_constant__ SsdGradient p, const __grid_constant__ GradientMaps maps) {
#if LMX_HOPPER
  constexpr int compute_registers = 112, helper_registers = 32;  // of 96 a thread, which 20 warps may have: 4 x 112 + 32 = 5 x 96
  extern __shared__ __align__(tile::kPanelAlignment) unsigned char shared_bytes[];
  const GradientWork work = gradient_work<2>(blockIdx.x, gridDim.x, p.g.groups * p.splits, p.g.chunks);
  using Reader = GradientReader<64, kN, 1>;
  using Writer = GradientWriter<64, kN, true, true>;
  const bool writes = work.role == 0;
  if (threadIdx.x == 0) writes ? Writer::begin(shared_bytes) : Reader::begin(shared_bytes);
  __syncthreads();
  if (threadIdx.x >= kGradientThreads) {
    hopper::give_registers<helper_registers>();
    writes ? Writer::help(p, maps, shared_bytes, work) : Reader::help(p, maps, shared_bytes, work);
  } else {
    hopper::take_registers<compute_registers>();
    writes ? Writer::compute(p, maps, shared_bytes, work) : Reader::compute(p, shared_bytes, work);
  }
#endif
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

template <int kN>
void launch_engine(const SsdGradient& p, cudaStream_t stream) {
  constexpr std::size_t reader = GradientReader<64, kN, 1>::engine_bytes(), writer = GradientWriter<64, kN, true, true>::engine_bytes();
  constexpr std::size_t bytes = reader > writer ? reader : writer;
  static_assert(bytes <= 227 * 1024, "shared memory of a block");
  const SsdGeometry& g = p.g;
  const GradientMaps maps{tensor_map(p.xbc, g.batch, g.time, g.channels, g.channels, kSsdChunk),
                          tensor_map(p.dy, g.batch, g.time, g.inner, g.inner, kSsdChunk),
                          tensor_map(p.states, g.state_rows(), g.state, 64), tensor_map(p.grads, g.state_rows(), g.state, 64),
                          tensor_map(p.dxbc, g.batch, g.time, g.channels, g.channels, 16, 32)};
  const auto kernel = ssd_gradient_engine_kernel<kN>;
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)), "cudaFuncSetAttribute");
  kernel<<<2 * g.groups * p.splits * g.chunks * g.batch, kEngineThreads, bytes, stream>>>(p, maps);
  check_launch("ssd_gradient");
}

// Whether the copy engine's kernel takes a shape: x, dy and states in panels of 64 columns.
bool engine_takes(const SsdGradient& p) { return p.g.width == 64 && p.pieces == 1 && p.g.state > 32; }

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
  if (engine_takes(p) && runs_on_hopper(ssd_gradient_engine_kernel<128>)) return p.g.state > 64 ? launch_engine<128>(p, stream) : launch_engine<64>(p, stream);
  with_kernel(p.g, p.pieces, [&](auto kernel) { launch<decltype(kernel)>(p, stream); });
}

}  // namespace lmx::cuda
