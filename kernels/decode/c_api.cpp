// The C ABI over Decoder and Meter.

#include <string>

#include "decode/decoder.h"
#include "decode/meter.h"
#include "layermix.h"
#include "train/boundary.h"

struct lmx_decoder {
  explicit lmx_decoder(const lmx_decoder_config& config) : decoder(config) {}
  lmx::Decoder decoder;
};

using lmx::boundary::guarded;
using lmx::boundary::require;

lmx_status lmx_decoder_memory_plan(const lmx_decoder_config* config, lmx_decoder_memory* out) {
  return guarded([&] {
    require(config, out);
    *out = lmx::plan_decoder_memory(*config);
  });
}

lmx_status lmx_decoder_create(const lmx_decoder_config* config, lmx_decoder** out) {
  return guarded([&] {
    require(config, out);
    *out = nullptr;
    *out = new lmx_decoder(*config);
  });
}

void lmx_decoder_destroy(lmx_decoder* decoder) { delete decoder; }

lmx_status lmx_decoder_memory_of(const lmx_decoder* decoder, lmx_decoder_memory* out) {
  return guarded([&] {
    require(decoder, out);
    *out = decoder->decoder.memory();
  });
}

int64_t lmx_decoder_tensor_count(const lmx_decoder* decoder) {
  return decoder == nullptr ? 0 : static_cast<int64_t>(decoder->decoder.tensors().size());
}

lmx_status lmx_decoder_tensor_info(const lmx_decoder* decoder, int64_t index, lmx_tensor_info* out) {
  return guarded([&] {
    require(decoder, out);
    *out = lmx::boundary::describe(lmx::boundary::numbered(decoder->decoder.tensors(), index));
  });
}

lmx_status lmx_decoder_write(lmx_decoder* decoder, const char* name, const void* data, int32_t bytes_per_element) {
  return guarded([&] {
    require(decoder, name, data);
    if (bytes_per_element == 8) return decoder->decoder.write(name, static_cast<const double*>(data));
    if (bytes_per_element == 4) return decoder->decoder.write(name, static_cast<const float*>(data));
    lmx::boundary::reject_element_bytes(bytes_per_element);
  });
}

int64_t lmx_decoder_position(const lmx_decoder* decoder) {
  return decoder == nullptr ? 0 : decoder->decoder.position();
}

lmx_status lmx_decoder_prefill(lmx_decoder* decoder, int64_t time, const int32_t* tokens, double* logits) {
  return guarded([&] {
    require(decoder, tokens);
    decoder->decoder.prefill(time, tokens, logits);
  });
}

lmx_status lmx_decoder_step(lmx_decoder* decoder, const int32_t* tokens, double* logits) {
  return guarded([&] {
    require(decoder, tokens);
    decoder->decoder.step(tokens, logits);
  });
}

lmx_status lmx_decoder_generate(lmx_decoder* decoder, int64_t count, int32_t* tokens) {
  return guarded([&] {
    require(decoder, tokens);
    decoder->decoder.generate(count, tokens);
  });
}

lmx_status lmx_decoder_reset(lmx_decoder* decoder) {
  return guarded([&] {
    require(decoder);
    decoder->decoder.reset();
  });
}

lmx_status lmx_decoder_fill(lmx_decoder* decoder, int64_t position, uint64_t seed) {
  return guarded([&] {
    require(decoder);
    decoder->decoder.fill(position, seed);
  });
}

lmx_status lmx_decoder_time_steps(lmx_decoder* decoder, int64_t count, double* seconds) {
  return guarded([&] {
    require(decoder, seconds);
    decoder->decoder.time_steps(count, seconds);
  });
}

lmx_status lmx_decoder_time_prefills(lmx_decoder* decoder, int64_t time, int64_t count, double* seconds) {
  return guarded([&] {
    require(decoder, seconds);
    decoder->decoder.time_prefills(time, count, seconds);
  });
}

struct lmx_meter {
  lmx_meter(const char* device, int32_t threads) : meter(device, threads) {}
  lmx::Meter meter;
};

lmx_status lmx_meter_create(const char* device, int32_t threads, lmx_meter** out) {
  return guarded([&] {
    require(device, out);
    *out = nullptr;
    if (threads < 0 || threads > 4096) {
      throw lmx::InvalidArgument("expected threads from 0 to 4096, got " + std::to_string(threads));
    }
    *out = new lmx_meter(device, threads);
  });
}

void lmx_meter_destroy(lmx_meter* meter) { delete meter; }

lmx_status lmx_meter_measure(lmx_meter* meter, const lmx_operation* operation, double seconds, lmx_measurement* out) {
  return guarded([&] {
    require(meter, operation, out);
    *out = meter->meter.measure(*operation, seconds);
  });
}
