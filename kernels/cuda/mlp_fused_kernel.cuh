// The kernels behind mlp_fused.h, on CUTLASS: its Hopper product (bulk copies, wgmma, two consumer warpgroups that take turns between
// product and epilogue) with an epilogue of ours. Types are spelled out: CUTLASS's builders would read the headers of every other
// architecture too. Sums run over k in the instruction's order, as in cuBLASLt's own kernels for Hopper.
#pragma once

#include <cute/tensor.hpp>
#include <cutlass/device_kernel.h>
#include <cutlass/epilogue/collective/collective_epilogue.hpp>
#include <cutlass/gemm/collective/collective_mma_decl.hpp>
#include <cutlass/gemm/collective/sm90_mma_tma_gmma_ss_warpspecialized.hpp>
#include <cutlass/gemm/kernel/sm90_gemm_tma_warpspecialized_pingpong.hpp>

#include "activation.cuh"
#include "check.h"
#include "mlp_fused.h"

namespace lmx::cuda {

using cute::Int;
using cute::Shape;
using cutlass::bfloat16_t;

// Elementwise functions as CUTLASS's epilogue tree wants them: of float, and of arrays of float.
template <class T>
struct Relu2 {
  CUTLASS_DEVICE T operator()(const T& u) const {
    T a;
    CUTLASS_PRAGMA_UNROLL
    for (int i = 0; i < T::kElements; ++i) a[i] = activate<Activation::relu2>(u[i]).value;
    return a;
  }
};

template <class T>
struct TimesRelu2Slope {
  CUTLASS_DEVICE T operator()(const T& da, const T& a) const {
    T du;
    CUTLASS_PRAGMA_UNROLL
    for (int i = 0; i < T::kElements; ++i) du[i] = da[i] * saved_slope<Activation::relu2>(a[i]);
    return du;
  }
};

// Rows and columns of a block's tile, blocks of neighbouring rows that share what they load of the weight, and the stages of
// 64 of the sum that shared memory has room for.
template <int kRows_, int kColumns_, int kBlocks_, int kStages_>
struct FusedMlpTile {
  static constexpr int kRows = kRows_, kColumns = kColumns_, kBlocks = kBlocks_, kStages = kStages_;
};

template <MlpHalf kHalf, class T>
struct FusedMlpKernel {
  static constexpr bool kForward = kHalf == MlpHalf::forward;
  static constexpr auto kRound = cutlass::FloatRoundStyle::round_to_nearest;
  using Tile = Shape<Int<T::kRows>, Int<T::kColumns>, Int<64>>;
  using Cluster = Shape<Int<T::kBlocks>, Int<1>, Int<1>>;
  using RowMajor = cute::Stride<std::int64_t, Int<1>, std::int64_t>;
  using ColumnMajor = cute::Stride<Int<1>, std::int64_t, std::int64_t>;
  using Swizzled = cute::GMMA::Layout_K_SW128_Atom<bfloat16_t>;
  using SwizzledAcross = cute::GMMA::Layout_MN_SW128_Atom<bfloat16_t>;

  // The product. CUTLASS calls the weight (columns, k): w_up is it, w_down is its transpose.
  static constexpr auto kWeightMajor = kForward ? cute::GMMA::Major::K : cute::GMMA::Major::MN;
  using Instruction = decltype(cute::GMMA::ss_op_selector<bfloat16_t, bfloat16_t, float, Tile, cute::GMMA::Major::K, kWeightMajor>());
  using Mainloop = cutlass::gemm::collective::CollectiveMma<
      cutlass::gemm::MainloopSm90TmaGmmaWarpSpecialized<T::kStages, Cluster, cutlass::gemm::KernelTmaWarpSpecializedPingpong>, Tile,
      bfloat16_t, RowMajor, bfloat16_t, std::conditional_t<kForward, RowMajor, ColumnMajor>,
      decltype(cute::make_tiled_mma(Instruction())), cute::SM90_TMA_LOAD, Swizzled, void, cute::identity,
      std::conditional_t<T::kBlocks == 1, cute::SM90_TMA_LOAD, cute::SM90_TMA_LOAD_MULTICAST>,
      std::conditional_t<kForward, Swizzled, SwizzledAcross>, void, cute::identity>;

  // What happens to 64 x 64 pieces of it, a tree. Forward: round, square what is positive. Backward: round, times the slope of a.
  template <class Node, class... Children>
  using Tree = cutlass::epilogue::fusion::Sm90EVT<Node, Children...>;
  template <template <class> class Function>
  using Compute = cutlass::epilogue::fusion::Sm90Compute<Function, bfloat16_t, float, kRound>;
  using Piece = Shape<Int<64>, Int<64>>;
  static constexpr int kStoreStages = 2, kLoadStages = kForward ? 1 : 4;
  using Rounded = Tree<Compute<cutlass::epilogue::thread::Identity>, cutlass::epilogue::fusion::Sm90AccFetch>;
  using Forward = Tree<Compute<Relu2>, Rounded>;
  using Backward = Tree<Compute<TimesRelu2Slope>, Rounded, cutlass::epilogue::fusion::Sm90SrcFetch<bfloat16_t>>;
  using Epilogue = cutlass::epilogue::collective::CollectiveEpilogue<
      cutlass::epilogue::Sm90TmaWarpSpecialized<kLoadStages, kStoreStages, 32, !kForward, false>, Tile, Piece,
      std::conditional_t<kForward, void, bfloat16_t>, RowMajor, bfloat16_t, RowMajor,
      std::conditional_t<kForward, Forward, Backward>, cute::SM90_TMA_LOAD, Swizzled, cute::SM75_U32x4_LDSM_N, cute::SM90_TMA_STORE,
      Swizzled, cute::SM90_U32x4_STSM_N, cute::Copy_Atom<cute::SM90_U32x4_STSM_N, cutlass::half_t>, void>;

  using Kernel = cutlass::gemm::kernel::GemmUniversal<Shape<int, int, int, int>, Mainloop, Epilogue, cutlass::gemm::PersistentScheduler>;
  static_assert(Kernel::SharedStorageSize <= 227 << 10, "more shared memory than a block can have");

  static void allow() {
    check(cudaFuncSetAttribute(cutlass::device_kernel<Kernel>, cudaFuncAttributeMaxDynamicSharedMemorySize, Kernel::SharedStorageSize),
          "cudaFuncSetAttribute");
  }

  // Tiles of a row of tiles one after the other, over kSwizzle rows at a time.
  template <int kSwizzle>
  static void launch(const MlpShape& s, const MlpOperands& o, cudaStream_t stream) {
    const auto elements = [](const bf16* pointer) { return reinterpret_cast<bfloat16_t*>(const_cast<bf16*>(pointer)); };
    const auto rows_of = [](index_t columns) { return RowMajor{columns, {}, 0}; };
    typename Kernel::Arguments arguments{};
    arguments.mode = cutlass::gemm::GemmUniversalMode::kGemm;
    arguments.problem_shape = {static_cast<int>(s.rows), static_cast<int>(s.width), static_cast<int>(s.hidden), 1};
    arguments.mainloop.ptr_A = elements(o.input);
    arguments.mainloop.dA = rows_of(s.hidden);
    arguments.mainloop.ptr_B = elements(o.weight);
    cute::get<kForward ? 0 : 1>(arguments.mainloop.dB) = kForward ? s.hidden : s.width;
    arguments.epilogue.ptr_D = elements(o.result);
    arguments.epilogue.dD = rows_of(s.width);
    if constexpr (!kForward) {
      arguments.epilogue.ptr_C = elements(o.saved);
      arguments.epilogue.dC = rows_of(s.width);
    }
    arguments.hw_info.device_id = current_device();
    arguments.hw_info.sm_count = device_attribute(cudaDevAttrMultiProcessorCount);
    arguments.scheduler.max_swizzle_size = kSwizzle;
    arguments.scheduler.raster_order = cutlass::gemm::kernel::detail::RasterOrderOptions::AlongN;
    const typename Kernel::Params parameters = Kernel::to_underlying_arguments(arguments, nullptr);

    cudaLaunchAttribute cluster{};
    cluster.id = cudaLaunchAttributeClusterDimension;
    cluster.val.clusterDim = {T::kBlocks, 1, 1};
    cudaLaunchConfig_t config{};
    config.gridDim = Kernel::get_grid_shape(parameters);
    config.blockDim = Kernel::get_block_shape();
    config.dynamicSmemBytes = Kernel::SharedStorageSize;
    config.stream = stream;
    config.attrs = &cluster;
    config.numAttrs = T::kBlocks > 1 ? 1 : 0;
    check(cudaLaunchKernelEx(&config, cutlass::device_kernel<Kernel>, parameters), "fused MLP");
  }
};

// Two tiles, each in two orders: what was fastest somewhere, of nine tiles in four orders (bench/RESULTS.md).
template <MlpHalf kHalf>
std::vector<FusedMlp> fused_mlp_candidates() {
  constexpr int kStages = kHalf == MlpHalf::forward ? 5 : 4;  // backward, pieces of a take the place of the fifth
  using Wide = FusedMlpKernel<kHalf, FusedMlpTile<128, 192, 1, kStages>>;
  using Square = FusedMlpKernel<kHalf, FusedMlpTile<128, 128, 2, 6>>;
  return {{"128x192", Wide::allow, Wide::template launch<1>},
          {"128x192, 4 rows at a time", Wide::allow, Wide::template launch<4>},
          {"128x128", Square::allow, Square::template launch<1>},
          {"128x128, 4 rows at a time", Square::allow, Square::template launch<4>}};
}

}  // namespace lmx::cuda
