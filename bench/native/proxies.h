// The models whose training steps are measured (bench/RESULTS.md).
#pragma once

#include "model_support.h"

namespace lmx::test {

// Floors in milliseconds: the roofline model (copy 4.3 TB/s, bf16 790 TFLOP/s).
struct Proxy {
  const char* name;
  const char* pattern;
  int64_t hidden, ssm_head_dim, state, heads, vocab, batch, sequence;
  double floor_ms, best_other_ms;
};

inline constexpr const char* reference_pattern = "M-M-M-M*-M-M-M-M*-M-M-M-";
inline const Proxy proxies[] = {
    {"reference", reference_pattern, 768, 64, 128, 12, 50304, 16, 4096, 92.6, 179.7},
    {"long", reference_pattern, 768, 64, 128, 12, 50304, 4, 16384, 103.6, 199.6},
    {"mid", reference_pattern, 512, 64, 128, 4, 8192, 64, 1024, 36.8, 96.2},
    {"large", "M-M-M-M*-M-M-M-M*-M-M-M-M-M-M-M*-M-M-M-M*-M-M-M-", 1024, 64, 128, 8, 50304, 8, 4096, 130.8, 232.1},
    {"tiny", "M-M-M*-M-M-M", 256, 64, 64, 4, 256, 32, 512, 1.48, 7.34},
    {"tinier", "M-M-M*-M-M-M", 128, 64, 64, 4, 64, 32, 256, 0.37, 3.97},
};

inline Config config_of(const Proxy& proxy) {
  Config config;
  config.layers.clear();
  for (const char* symbol = proxy.pattern; *symbol != 0; ++symbol) {
    if (*symbol == 'M') {
      config.layers.push_back(mamba2(2 * proxy.hidden / proxy.ssm_head_dim, proxy.ssm_head_dim, 1, proxy.state, 128));
    }
    if (*symbol == '*') config.layers.push_back(attention(proxy.heads, proxy.heads, proxy.hidden / proxy.heads, 0));
    if (*symbol == '-') config.layers.push_back(mlp(4 * proxy.hidden, LMX_RELU2, false));
  }
  config.value.model.hidden = proxy.hidden;
  config.value.model.vocab = proxy.vocab;
  config.value.model.tie_embeddings = 1;
  config.value.optimizer = {1e-3, 0.9, 0.95, 1e-8, 0.1, 1.0, LMX_COSINE, 10000, 100, 0, 1e-4};
  config.value.batch = config.value.micro_batch = proxy.batch;
  config.value.sequence = proxy.sequence;
  config.value.precision = LMX_BF16;
  config.value.device = "cuda:0";
  config.value.init_std = 0.02;
  config.value.threads = 0;  // all there are, to draw weights
  return config;
}

}  // namespace lmx::test
