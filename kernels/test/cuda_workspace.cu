// The rule that GPU memory is planned by (common/gpu_workspace.h, which needs no device) against what the operations ask for,
// to the byte, over many shapes. Needs the CUDA build, but no GPU.
#include <initializer_list>

#include "check.h"
#include "common/gpu_workspace.h"
#include "common/philox.h"
#include "cuda/attention.h"
#include "cuda/causal_conv1d.cuh"
#include "cuda/column_sums.cuh"
#include "cuda/embedding.cuh"
#include "cuda/gated_rms_norm.cuh"
#include "cuda/gemm.h"
#include "cuda/rms_norm.cuh"
#include "cuda/ssd_scan.cuh"
#include "cuda/ssd_scan_padded.cuh"

using namespace lmx;

namespace {

// One of the values, another one with every call.
index_t pick(std::initializer_list<index_t> values) {
  static std::uint64_t calls = 0;
  return values.begin()[random_block(1, 2, calls++)[0] % values.size()];
}

void same(const char* what, std::size_t rule, std::size_t asked) {
  CHECK(rule == asked, "%s: the rule says %zu bytes, the operation asks for %zu", what, rule, asked);
}

void check_once() {
  const index_t batch = pick({1, 2, 3, 16, 64}), time = pick({1, 63, 128, 300, 1024, 4096});
  const index_t rows = batch * time, cols = pick({8, 63, 256, 768, 1536, 4096}), vocab = pick({7, 256, 8192, 50304});
  const NormShape norm{rows, cols, 1e-5};
  same("rms_norm", gpu::workspace_bytes(norm), cuda::rms_norm_workspace(norm));
  const index_t groups = pick({1, 2, 8});
  const GatedNormShape gated{rows, cols * groups, groups, 1e-5};
  same("gated_rms_norm", gpu::workspace_bytes(gated), cuda::gated_rms_norm_workspace(gated));
  const ConvShape conv{batch, time, cols, pick({2, 3, 4})};
  same("causal_conv1d", gpu::workspace_bytes(conv), cuda::causal_conv1d_workspace(conv));
  same("embedding", gpu::workspace_bytes(EmbeddingShape{rows, cols, vocab}), cuda::embedding_workspace({rows, cols, vocab}));
  const index_t kv_heads = pick({1, 2, 12});
  const AttentionShape attention{batch, time, kv_heads * pick({1, 2, 8}), kv_heads, pick({8, 64, 80, 128}), 0.1};
  same("attention", gpu::workspace_bytes(attention), cuda::attention_workspace(attention));
  const SsdShape scan{batch, time,  groups * pick({1, 3, 24}), pick({8, 32, 48, 64, 128, 256}), groups, pick({2, 8, 16, 40, 128, 200, 256}),
                      64,    0.001};
  const bool padded = cuda::ssd_scan_needs_padding(scan);
  same("ssd_scan", gpu::workspace_bytes(scan), padded ? cuda::ssd_scan_padded_workspace(scan) : cuda::ssd_scan_workspace(scan));
  // An evaluation of fewer sequences runs forward in what was planned for all of them.
  SsdShape fewer = scan;
  for (fewer.batch = 1; fewer.batch <= scan.batch; ++fewer.batch) {
    const std::size_t asked = padded ? cuda::ssd_scan_padded_forward_workspace(fewer) : cuda::ssd_scan_forward_workspace(fewer);
    CHECK(asked <= gpu::workspace_bytes(scan), "ssd_scan of %ld sequences asks for %zu bytes, %ld had %zu", static_cast<long>(fewer.batch),
          asked, static_cast<long>(scan.batch), gpu::workspace_bytes(scan));
  }
}

}  // namespace

int main() {
  for (int i = 0; i < 3000; ++i) check_once();
  same("linear", gpu::workspace_bytes(LinearShape{8, 8, 8}), cuda::Gemm::workspace_bytes + cuda::ColumnSums::planned_bytes);
  CHECK(gpu::kScanChunk == cuda::kSsdChunk, "chunks of %ld, the kernels have %ld", static_cast<long>(gpu::kScanChunk),
        static_cast<long>(cuda::kSsdChunk));
  CHECK(bf16_precision().scan_chunk(64) == gpu::kScanChunk, "states are planned for another chunk");
  return TEST_RESULT();
}
