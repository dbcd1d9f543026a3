#include "check.h"
#include "launch.h"
#include "ssd_scan.cuh"
#include "ssd_scan_padded.cuh"

namespace lmx::cuda {
namespace {

// Blocks of `width` neighbouring elements inside rows of `stride`; a block is a head of x or a group of B or C.
template <class Pointer>
struct Blocks {
  Pointer data;
  index_t stride;
  int width;
};

// to[row][block] = from[row][block], cut or filled up with zeros to its own width.
__global__ void __launch_bounds__(256)
    resize_kernel(index_t rows, int count, Blocks<const bf16*> from, Blocks<bf16*> to) {
  const int per_row = count * to.width;
  const index_t index = blockIdx.x * index_t{256} + threadIdx.x;
  const index_t row = index / per_row;
  if (row >= rows) return;
  const int at = static_cast<int>(index % per_row), block = at / to.width, i = at % to.width;
  to.data[row * to.stride + at] =
      i < from.width ? from.data[row * from.stride + block * from.width + i] : __float2bfloat16(0.f);
}

void resize(index_t rows, index_t count, Blocks<const bf16*> from, Blocks<bf16*> to, cudaStream_t stream) {
  const index_t elements = rows * count * to.width;
  resize_kernel<<<static_cast<unsigned>(ceil_div(elements, 256)), 256, 0, stream>>>(rows, static_cast<int>(count), from,
                                                                                   to);
}

// y or dy: heads side by side.
void resize_heads(const SsdShape& from_shape, const bf16* from, const SsdShape& to_shape, bf16* to, cudaStream_t stream) {
  resize(from_shape.batch * from_shape.time, from_shape.heads,
         {from, from_shape.inner(), static_cast<int>(from_shape.head_dim)},
         {to, to_shape.inner(), static_cast<int>(to_shape.head_dim)}, stream);
}

// Packed rows [x | B | C].
void resize_packed(const SsdShape& from_shape, const bf16* from, const SsdShape& to_shape, bf16* to,
                   cudaStream_t stream) {
  const index_t rows = from_shape.batch * from_shape.time, from_row = from_shape.channels(), to_row = to_shape.channels();
  resize(rows, from_shape.heads, {from, from_row, static_cast<int>(from_shape.head_dim)},
         {to, to_row, static_cast<int>(to_shape.head_dim)}, stream);
  resize(rows, 2 * from_shape.groups, {from + from_shape.inner(), from_row, static_cast<int>(from_shape.state)},
         {to + to_shape.inner(), to_row, static_cast<int>(to_shape.state)}, stream);
}

index_t round_up(index_t value, index_t granule) { return ceil_div(value, granule) * granule; }

// The workspace of the padded scan: padded copies, its states, and the scan's own; less where no backward follows.
struct PaddedBuffers {
  enum class For { forward, backward };

  bf16 *xbc, *y, *states, *dxbc = nullptr;
  void* scan;
  std::size_t bytes;

  PaddedBuffers(void* workspace, const SsdShape& padded, For use) {
    auto* const base = static_cast<unsigned char*>(workspace);
    bytes = 0;
    const auto take = [&](std::size_t size) {
      unsigned char* const piece = base == nullptr ? nullptr : base + bytes;
      bytes += (size + 255) / 256 * 256;
      return piece;
    };
    const auto rows = static_cast<std::size_t>(padded.batch * padded.time);
    const std::size_t packed_bytes = rows * static_cast<std::size_t>(padded.channels()) * sizeof(bf16);
    xbc = reinterpret_cast<bf16*>(take(packed_bytes));
    y = reinterpret_cast<bf16*>(take(rows * static_cast<std::size_t>(padded.inner()) * sizeof(bf16)));
    states = reinterpret_cast<bf16*>(take(ssd_scan_states_bytes(padded)));
    if (use == For::backward) dxbc = reinterpret_cast<bf16*>(take(packed_bytes));
    scan = take(use == For::backward ? ssd_scan_workspace(padded) : ssd_scan_forward_workspace(padded));
  }
};

void padded_forward(const SsdShape& s, const SsdShape& padded, const PaddedBuffers& at, const bf16* xbc,
                    StridedOf<const bf16*> dt, const float* a_log, const float* d, const float* dt_bias,
                    cudaStream_t stream) {
  resize_packed(s, xbc, padded, at.xbc, stream);
  ssd_scan_forward(padded, at.xbc, dt, a_log, d, dt_bias, nullptr, at.y, at.states, nullptr, at.scan, stream);
}

}  // namespace

SsdShape ssd_scan_padded_shape(const SsdShape& s) {
  SsdShape padded = s;
  padded.head_dim = s.head_dim <= 32 ? 32 : s.head_dim <= 64 ? 64 : s.head_dim <= 128 ? 128 : round_up(s.head_dim, 256);
  padded.state = round_up(s.state, 16);
  return padded;
}

bool ssd_scan_needs_padding(const SsdShape& s) {
  const SsdShape padded = ssd_scan_padded_shape(s);
  return padded.head_dim != s.head_dim || s.state % 8 != 0;
}

std::size_t ssd_scan_padded_workspace(const SsdShape& s) {
  return PaddedBuffers(nullptr, ssd_scan_padded_shape(s), PaddedBuffers::For::backward).bytes;
}

std::size_t ssd_scan_padded_forward_workspace(const SsdShape& s) {
  return PaddedBuffers(nullptr, ssd_scan_padded_shape(s), PaddedBuffers::For::forward).bytes;
}

void ssd_scan_padded_forward(const SsdShape& s, const bf16* xbc, StridedOf<const bf16*> dt, const float* a_log,
                             const float* d, const float* dt_bias, bf16* y, void* workspace, cudaStream_t stream) {
  const SsdShape padded = ssd_scan_padded_shape(s);
  const PaddedBuffers at(workspace, padded, PaddedBuffers::For::forward);
  padded_forward(s, padded, at, xbc, dt, a_log, d, dt_bias, stream);
  resize_heads(padded, at.y, s, y, stream);
  check_launch("ssd_scan_forward");
}

void ssd_scan_padded_backward(const SsdShape& s, const bf16* dy, const bf16* xbc, StridedOf<const bf16*> dt,
                              const float* a_log, const float* d, const float* dt_bias, bf16* dxbc,
                              StridedOf<bf16*> ddt, float* da_log, float* dd, float* ddt_bias, void* workspace,
                              ColumnSums& sums, cudaStream_t stream) {
  const SsdShape padded = ssd_scan_padded_shape(s);
  const PaddedBuffers at(workspace, padded, PaddedBuffers::For::backward);
  padded_forward(s, padded, at, xbc, dt, a_log, d, dt_bias, stream);
  resize_heads(s, dy, padded, at.y, stream);
  ssd_scan_backward(padded, at.y, at.xbc, dt, a_log, d, dt_bias, at.states, nullptr, at.dxbc, ddt, da_log, dd, ddt_bias,
                    nullptr, at.scan, sums, stream);
  resize_packed(padded, at.dxbc, s, dxbc, stream);
  check_launch("ssd_scan_backward");
}

}  // namespace lmx::cuda
