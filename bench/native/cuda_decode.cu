// Times the operations of a decoding step at the shapes of 8B models through the Meter that `layermix calibrate` uses, then whole steps
// and prompts: microseconds, bytes and the share of this card's own copy bandwidth. Usage: bench_cuda_decode [seconds per operation]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "layermix.h"
#include "model_support.h"

using namespace lmx::test;

namespace {

lmx_meter* meter;
double copy_bytes_per_second, budget = 0.02;

lmx_measurement measure(const lmx_operation& o) {
  lmx_measurement m{};
  OK(lmx_meter_measure(meter, &o, budget, &m));
  return m;
}

void report(const std::string& name, const lmx_operation& o) {
  const lmx_measurement m = measure(o);
  std::printf("%-42s %9.2f us %8.1f MB %6.2f TB/s %5.1f%% %8.1f TF/s\n", name.c_str(), m.seconds * 1e6, m.bytes / 1e6,
              m.bytes / m.seconds / 1e12, 100 * m.bytes / m.seconds / copy_bytes_per_second, m.flops / m.seconds / 1e12);
}

lmx_operation matrix(int32_t kind, int64_t rows, int64_t in, int64_t out) {
  lmx_operation o{};
  o.kind = kind;
  o.rows = rows;
  o.in = in;
  o.out = out;
  return o;
}

void operations() {
  lmx_operation copy{};
  copy.kind = LMX_OP_COPY;
  copy.bytes = int64_t{1} << 30;
  copy_bytes_per_second = 2.0 * static_cast<double>(copy.bytes) / measure(copy).seconds;
  std::printf("copy %.2f TB/s\n", copy_bytes_per_second / 1e12);
  lmx_operation launch{};
  launch.kind = LMX_OP_LAUNCH;
  report("launch", launch);
  for (const int64_t rows : {1, 2, 4, 8, 9, 16, 24, 32, 64, 128}) {
    const std::string at = " rows " + std::to_string(rows);
    report("linear 4096 -> 4096" + at, matrix(LMX_OP_LINEAR, rows, 4096, 4096));
    report("linear 8192 -> 4096" + at, matrix(LMX_OP_LINEAR, rows, 8192, 4096));
    report("linear 16384 -> 4096" + at, matrix(LMX_OP_LINEAR, rows, 16384, 4096));
    report("norm_linear 4096 -> 18560" + at, matrix(LMX_OP_NORM_LINEAR, rows, 4096, 18560));
    report("norm_linear 4096 -> 6144" + at, matrix(LMX_OP_NORM_LINEAR, rows, 4096, 6144));
    lmx_operation head = matrix(LMX_OP_NORM_LINEAR, rows, 4096, 256000);
    head.logits = 1;
    report("head 4096 -> 256000" + at, head);
    lmx_operation up = matrix(LMX_OP_MLP_UP, rows, 4096, 16384);
    up.activation = LMX_GELU_TANH;
    report("mlp_up 4096 -> 16384 gelu" + at, up);
    up = matrix(LMX_OP_MLP_UP, rows, 4096, 14336);
    up.activation = LMX_SILU;
    up.gated = 1;
    report("mlp_up 4096 -> 14336 gated silu" + at, up);
  }
  for (const int64_t batch : {1, 8, 32, 128}) {
    const std::string at = " batch " + std::to_string(batch);
    lmx_operation o{};
    o.batch = batch;
    o.heads = 128;
    o.head_dim = 64;
    o.groups = 8;
    o.state = 128;
    o.kind = LMX_OP_SSD_UPDATE;
    report("ssd_update fp32" + at, o);
    o.state_type = LMX_STATE_BF16;
    report("ssd_update bf16" + at, o);
    o.kind = LMX_OP_CONV_STEP;
    o.in = 10240;
    o.width = 4;
    report("conv_step" + at, o);
    lmx_operation norm = matrix(LMX_OP_GATED_RMS_NORM, batch, 8192, 0);
    norm.groups = 8;
    report("gated_rms_norm" + at, norm);
    report("argmax 256000" + at, matrix(LMX_OP_ARGMAX, batch, 0, 256000));
    for (const int64_t context : {1024, 8192, 131072}) {
      if (batch * context > (int64_t{1} << 22)) continue;
      for (const int64_t kv_heads : {8, 32}) {
        lmx_operation a{};
        a.kind = LMX_OP_ATTENTION_DECODE;
        a.batch = batch;
        a.context = context;
        a.heads = 32;
        a.kv_heads = kv_heads;
        a.head_dim = 128;
        report("attention 32/" + std::to_string(kv_heads) + at + " context " + std::to_string(context), a);
      }
    }
  }
}

// The founding paper's 8B hybrid and Transformer, pure Mamba-2 of the same width.
Config model(const char* pattern) {
  Config config;
  config.layers.clear();
  for (const char* symbol = pattern; *symbol != 0; ++symbol) {
    config.layers.push_back(*symbol == 'M'   ? mamba2(128, 64, 8, 128, 128)
                            : *symbol == '*' ? attention(32, 8, 128, 0)
                                             : mlp(16384, LMX_GELU_TANH, false));
  }
  config.value.model.hidden = 4096;
  config.value.model.vocab = 256000;
  config.value.init_std = 0.02;
  return config;
}

void decoders() {
  std::string transformer, mamba;
  for (int i = 0; i < 32; ++i) transformer += "*-";
  for (int i = 0; i < 56; ++i) mamba += "M";
  const struct {
    const char* name;
    std::string pattern;
  } models[] = {{"hybrid-8b", "M-M-M--M-M*-M-M-M-M--M*-M-M-M-M-M*--M-M-M-M-M*-M--M-M-M-"},
                {"transformer-8b", transformer},
                {"mamba2-8b", mamba}};
  for (const auto& [name, pattern] : models) {
    for (const auto& [batch, context] : {std::pair<int64_t, int64_t>{1, 4096}, {1, 131072}, {8, 4096}, {32, 4096}}) {
      Config config = model(pattern.c_str());
      lmx_decoder_config decoder{config.get()->model, batch, context, 1024, LMX_BF16, LMX_STATE_FULL, "cuda:0", 0, 1, 0.02};
      lmx_decoder* handle = nullptr;
      if (lmx_decoder_create(&decoder, &handle) != LMX_OK) {
        std::printf("%s batch %ld context %ld: %s\n", name, long(batch), long(context), lmx_last_error());
        continue;
      }
      lmx_decoder_memory memory{};
      OK(lmx_decoder_memory_of(handle, &memory));
      OK(lmx_decoder_fill(handle, context - 40, 1));
      std::vector<double> seconds(30), prompt(3);
      OK(lmx_decoder_time_steps(handle, 8, seconds.data()));
      OK(lmx_decoder_time_steps(handle, 30, seconds.data()));
      std::sort(seconds.begin(), seconds.end());
      OK(lmx_decoder_time_prefills(handle, 1024, 3, prompt.data()));
      const double embedding = 2.0 * 4096 * 256000;
      const double bytes = static_cast<double>(memory.weights) - embedding + static_cast<double>(memory.cache) + 2.0 * static_cast<double>(memory.state);
      std::printf("%-15s batch %3ld context %6ld: step %8.1f us, %5.1f%% of copy bandwidth; prompt of 1024 %8.2f ms\n", name,
                  long(batch), long(context), seconds[15] * 1e6, 100 * bytes / seconds[15] / copy_bytes_per_second,
                  prompt[2] * 1e3);
      lmx_decoder_destroy(handle);
    }
  }
}

}  // namespace

int main(int count, char** arguments) {
  if (lmx_cuda_count() == 0) {
    std::printf("%s\n", lmx_cuda_description(0));
    return 77;
  }
  if (count > 1) budget = std::atof(arguments[1]);
  std::printf("%s\n", lmx_cuda_description(0));
  OK(lmx_meter_create("cuda:0", 0, &meter));
  operations();
  lmx_meter_destroy(meter);
  decoders();
  return 0;
}
