// Persistent blocks in clusters of two: a cluster owns a tile of 256 x 256, a block 128 rows of it. One warp copies (TMA, four stages of
// 64 along the sum; each block fetches its rows of A and half of B, which goes to both), two warpgroups multiply (wgmma) 64 rows
// each and finish them: accumulators -> bf16 -> shared memory -> bulk store, 64 columns at a time.
//
// The second warpgroup starts three stages behind the first and stays there: while one finishes a tile, the tensor cores work for the
// other. The sums run in one fixed order, without split K.
//
// The halves of an MLP, 65536 x 768 x 3072: 309 GFLOP, 391 us at 790 TFLOP/s. Forward 101 + 805 MB, backward 101 + 805 MB: 216 us at
// 4.2 TB/s, behind the product. As product and pass it is 805 MB (192 us) and 1208 MB (288 us) more.
#include "activation.cuh"
#include "check.h"
#include "hopper.cuh"
#include "hopper_device.h"
#include "hopper_product.cuh"
#include "launch.h"
#include "tensor_map.h"

namespace lmx::cuda {
namespace {

constexpr int kTileRows = 128, kTileCols = 256, kTileK = 64, kStages = 4;
constexpr int kGroup = 128, kThreads = 3 * kGroup;  // a producer's warpgroup, two consumers'
constexpr int kBoxCols = 64, kBoxElements = 64 * kBoxCols;

struct Shared {
  bf16 a[kStages][kTileRows * kTileK];
  bf16 b[kStages][kTileCols * kTileK];
  bf16 out[2][2][kBoxElements];  // two boxes for each consumer
  std::uint64_t full[kStages], empty[kStages];
  std::uint64_t other[2][2];  // a box of the other matrix has arrived in `out`
};

struct Tiles {
  int k_steps, cols, count;  // tiles of the clusters: in a row, in all
};

// What becomes of a tile of sums: stored; added to the other matrix; stored as u together with act(u); multiplied by act'(other).
enum class Finish { store, add, activate, slope };

#if !defined(__CUDA_ARCH__) || defined(__CUDA_ARCH_FEAT_SM90_ALL)

constexpr int kStageBytes = (kTileRows + kTileCols) * kTileK * 2;
__host__ __device__ constexpr bool reads_other(Finish finish) { return finish == Finish::add || finish == Finish::slope; }

// One thread's work.
template <bool kTransposeB>
__device__ void produce(Shared& shared, const CUtensorMap* a_map, const CUtensorMap* b_map, const Tiles& p, int rank) {
  using namespace hopper;
  int step = 0;
  for (int tile = blockIdx.x / 2; tile < p.count; tile += gridDim.x / 2) {
    const int row = (tile / p.cols * 2 + rank) * kTileRows, column = tile % p.cols * kTileCols;
    for (int k = 0; k < p.k_steps; ++k, ++step) {
      const int stage = step % kStages;
      barrier_wait(&shared.empty[stage], step / kStages % 2 ^ 1);
      barrier_expect(&shared.full[stage], kStageBytes);
      copy_in(shared.a[stage], a_map, k * kTileK, row, &shared.full[stage]);
      if (kTransposeB) {  // B lies [k][n]: boxes of 64 k x 64 n
        for (int box = rank * 2; box < rank * 2 + 2; ++box) {
          copy_in_all(shared.b[stage] + box * kBoxElements, b_map, column + box * kBoxCols, k * kTileK, &shared.full[stage], 3);
        }
      } else {  // [n][k]: one box of 128 n
        copy_in_all(shared.b[stage] + rank * 128 * kTileK, b_map, k * kTileK, column + rank * 128, &shared.full[stage], 3);
      }
    }
  }
}

// Where a lane's row of four 8 x 8 matrices lies in a box: rows 16 warp .., columns 16 pair ...
__device__ __forceinline__ std::uint32_t matrix_row(const bf16* box, int pair) {
  const int lane = threadIdx.x % 32, row = threadIdx.x % kGroup / 32 * 16 + lane % 16, unit = pair * 2 + lane / 16;
  return hopper::shared_address(box) + row * 128 + ((unit ^ (row & 7)) << 4);
}

template <Finish kFinish, Activation kActivation, bool kTransposeB>
__device__ void consume(Shared& shared, const CUtensorMap* other_map, const CUtensorMap* out_map, const Tiles& p, int rank) {
  using namespace hopper;
  const int group = threadIdx.x / kGroup - 1;
  const bool leads = threadIdx.x % kGroup == 0;
  bf16* const boxes[2] = {shared.out[group][0], shared.out[group][1]};
  int step = 0, turn = 0;
  const auto release = [&](int stage) {
    if (threadIdx.x % kGroup < 2) barrier_arrive(&shared.empty[stage], threadIdx.x % kGroup);
  };
  const auto load_other = [&](int quarter, int column, int row) {
    std::uint64_t* const arrived = &shared.other[group][quarter % 2];
    barrier_expect(arrived, kBoxElements * 2);
    copy_in(boxes[quarter % 2], other_map, column + quarter * kBoxCols, row, arrived);
  };
  const int lag = min(3, p.k_steps);
  if (group == 1) named_sync(3, 2 * kGroup);
  for (int tile = blockIdx.x / 2; tile < p.count; tile += gridDim.x / 2, ++turn) {
    const int row = (tile / p.cols * 2 + rank) * kTileRows + group * 64, column = tile % p.cols * kTileCols;
    float sum[128];
    for (int k = 0; k < p.k_steps; ++k, ++step) {
      const int stage = step % kStages;
      barrier_wait(&shared.full[stage], step / kStages % 2);
      const std::uint64_t a = operand(shared.a[stage] + group * 64 * kTileK),
                          b = operand(shared.b[stage], kTransposeB ? kBoxElements * 2 : 16);
      wgmma_fence();
#pragma unroll
      for (int i = 0; i < kTileK / 16; ++i) {
        wgmma_64x256<kTransposeB>(sum, a + i * (32 >> 4), b + i * ((kTransposeB ? 2048 : 32) >> 4), k > 0 || i > 0);
      }
      wgmma_commit();
      if (k > 0) {
        wgmma_wait<1>();
        release((step - 1) % kStages);
      }
      if (group == 0 && turn == 0 && k == lag - 1) named_arrive(3, 2 * kGroup);
      if (reads_other(kFinish) && k == 0 && leads) {
        wait_out_read<0>();
        load_other(0, column, row);
        load_other(1, column, row);
        prefetch(other_map, column + 2 * kBoxCols, row);
        prefetch(other_map, column + 3 * kBoxCols, row);
      }
    }
    wgmma_wait<0>();
    wgmma_done(sum);
    release((step - 1) % kStages);

#pragma unroll
    for (int quarter = 0; quarter < kTileCols / kBoxCols; ++quarter) {
      bf16* const box = boxes[kFinish == Finish::activate ? 0 : quarter % 2];
      if constexpr (reads_other(kFinish)) {
        barrier_wait(&shared.other[group][quarter % 2], (turn * 2 + quarter / 2) % 2);
      } else {
        if (leads) wait_out_read<kFinish == Finish::activate ? 0 : 1>();
        named_sync(1 + group, kGroup);
      }
#pragma unroll
      for (int pair = 0; pair < kBoxCols / 16; ++pair) {
        const float* const f = sum + (quarter * 4 + pair) * 8;
        const std::uint32_t at = matrix_row(box, pair);
        std::uint32_t bits[4];
        if constexpr (reads_other(kFinish)) ldmatrix(bits, at);
#pragma unroll
        for (int w = 0; w < 4; ++w) {
          const float low = f[w * 2], high = f[w * 2 + 1];
          if constexpr (kFinish == Finish::add) {
            bits[w] = to_pair(low + low_half(bits[w]), high + high_half(bits[w]));
          } else if constexpr (kFinish == Finish::slope) {
            bits[w] = to_pair(low * activate<kActivation>(low_half(bits[w])).slope,
                              high * activate<kActivation>(high_half(bits[w])).slope);
          } else {
            bits[w] = to_pair(low, high);
          }
        }
        stmatrix(at, bits);
        if constexpr (kFinish == Finish::activate) {
#pragma unroll
          for (int w = 0; w < 4; ++w) {
            bits[w] = to_pair(activate<kActivation>(low_half(bits[w])).value, activate<kActivation>(high_half(bits[w])).value);
          }
          stmatrix(matrix_row(boxes[1], pair), bits);
        }
      }
      fence_async();
      named_sync(1 + group, kGroup);
      if (!leads) continue;
      copy_out(out_map, box, column + quarter * kBoxCols, row);
      if (kFinish == Finish::activate) copy_out(other_map, boxes[1], column + quarter * kBoxCols, row);
      commit_out();
      if (reads_other(kFinish) && quarter == 1) {  // the boxes' next quarters
        wait_out_read<1>();
        load_other(2, column, row);
        wait_out_read<0>();
        load_other(3, column, row);
      }
    }
  }
  if (leads) wait_out_read<0>();
}

#endif

// Maps: A; B; the other matrix, or the activation's output; out.
template <Finish kFinish, Activation kActivation, bool kTransposeB>
__global__ void __launch_bounds__(kThreads, 1)
    hopper_product_kernel(const __grid_constant__ CUtensorMap a_map, const __grid_constant__ CUtensorMap b_map,
                          const __grid_constant__ CUtensorMap other_map, const __grid_constant__ CUtensorMap out_map,
                          const Tiles p) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  using namespace hopper;
  extern __shared__ unsigned char shared_bytes[];
  Shared& shared = *reinterpret_cast<Shared*>(shared_bytes + (1024 - shared_address(shared_bytes) % 1024) % 1024);
  const int rank = cluster_rank();
  if (threadIdx.x == 0) {
    for (int stage = 0; stage < kStages; ++stage) {
      barrier_init(&shared.full[stage], 1);
      barrier_init(&shared.empty[stage], 4);  // two consumers in each of two blocks
    }
    for (auto& group : shared.other) {
      for (std::uint64_t& barrier : group) barrier_init(&barrier, 1);
    }
    fence_barrier_init();
  }
  cluster_sync();
  if (threadIdx.x < kGroup) {
    fewer_registers<40>();
    if (threadIdx.x == 0) produce<kTransposeB>(shared, &a_map, &b_map, p, rank);
  } else {
    more_registers<232>();
    consume<kFinish, kActivation, kTransposeB>(shared, &other_map, &out_map, p, rank);
  }
  cluster_sync();  // the other block may still write here
#endif
}

int multiprocessors() {
  int device = 0, count = 0;
  check(cudaGetDevice(&device), "cudaGetDevice");
  check(cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device), "cudaDeviceGetAttribute");
  return count;
}

// `other`: the matrix that is read, or the second that is written.
template <Finish kFinish, Activation kActivation, bool kTransposeB>
void launch(const HopperProduct& p, const bf16* other, cudaStream_t stream) {
  const CUtensorMap a_map = tensor_map(p.a, p.rows, p.sum, p.a_stride, kTileRows);
  const CUtensorMap b_map = kTransposeB ? tensor_map(p.b, p.sum, p.cols, p.b_stride, kTileK)
                                        : tensor_map(p.b, p.cols, p.sum, p.b_stride, 128);
  const CUtensorMap out_map = tensor_map(p.out, p.rows, p.cols, p.out_stride, 64);
  const CUtensorMap other_map = other ? tensor_map(other, p.rows, p.cols, p.out_stride, 64) : out_map;
  const index_t cols = ceil_div(p.cols, kTileCols), count = ceil_div(p.rows, 2 * kTileRows) * cols;
  const Tiles tiles{static_cast<int>(ceil_div(p.sum, kTileK)), static_cast<int>(cols), static_cast<int>(count)};
  const index_t clusters = std::min<index_t>(count, multiprocessors() / 2);
  cudaLaunchAttribute cluster;
  cluster.id = cudaLaunchAttributeClusterDimension;
  cluster.val.clusterDim = {2, 1, 1};
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(static_cast<unsigned>(2 * clusters));
  config.blockDim = dim3(kThreads);
  config.dynamicSmemBytes = sizeof(Shared) + 1024;
  config.stream = stream;
  config.attrs = &cluster;
  config.numAttrs = 1;
  const auto kernel = hopper_product_kernel<kFinish, kActivation, kTransposeB>;
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(config.dynamicSmemBytes)),
        "cudaFuncSetAttribute");
  check(cudaLaunchKernelEx(&config, kernel, a_map, b_map, other_map, out_map, tiles), "hopper_product");
}

template <Finish kFinish, bool kTransposeB>
void launch(const HopperProduct& p, Activation activation, const bf16* other, cudaStream_t stream) {
  switch (activation) {
    case Activation::gelu_tanh: return launch<kFinish, Activation::gelu_tanh, kTransposeB>(p, other, stream);
    case Activation::gelu_erf: return launch<kFinish, Activation::gelu_erf, kTransposeB>(p, other, stream);
    case Activation::relu2: return launch<kFinish, Activation::relu2, kTransposeB>(p, other, stream);
    case Activation::silu: return launch<kFinish, Activation::silu, kTransposeB>(p, other, stream);
  }
}

}  // namespace

bool hopper_product_takes(const HopperProduct& p) {
  if (!uses_hopper_kernels()) return false;
  const auto aligned = [](const void* pointer) { return reinterpret_cast<std::uintptr_t>(pointer) % 16 == 0; };
  const auto fits = [](index_t size) { return size > 0 && size < index_t{1} << 31; };
  return fits(p.rows) && fits(p.cols) && fits(p.sum) && p.a_stride % 8 == 0 && p.b_stride % 8 == 0 && p.out_stride % 8 == 0 &&
         aligned(p.a) && aligned(p.b) && aligned(p.other) && aligned(p.out);
}

void hopper_product(const HopperProduct& p, cudaStream_t stream) {
  constexpr Activation none = Activation::relu2;
  if (p.other != nullptr) {
    p.b_transposed ? launch<Finish::add, none, true>(p, p.other, stream) : launch<Finish::add, none, false>(p, p.other, stream);
  } else {
    p.b_transposed ? launch<Finish::store, none, true>(p, nullptr, stream)
                   : launch<Finish::store, none, false>(p, nullptr, stream);
  }
}

void hopper_product_activation(const HopperProduct& p, Activation activation, bf16* a, cudaStream_t stream) {
  launch<Finish::activate, false>(p, activation, a, stream);
}

void hopper_product_slope(const HopperProduct& p, Activation activation, cudaStream_t stream) {
  launch<Finish::slope, true>(p, activation, p.other, stream);
}

}  // namespace lmx::cuda
