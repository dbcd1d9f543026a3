// A model that generates on one device: weights, caches, states, and the loop over tokens. A step is one recording (a CUDA graph)
// that takes its tokens and position from device memory and chooses the next tokens itself, so that greedy generation never waits
// for the host.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "layermix.h"
#include "model/model_decoder.h"
#include "train/memory.h"

namespace lmx {

// The memory a decoder of this configuration would allocate; needs no device. Throws InvalidArgument.
lmx_decoder_memory plan_decoder_memory(const lmx_decoder_config& config);

class Decoder {
 public:
  // Throws InvalidArgument, NoDevice, OutOfMemory.
  explicit Decoder(const lmx_decoder_config& config);

  // See the functions of the same names in layermix.h.
  void prefill(int64_t time, const int32_t* tokens, double* logits);
  void step(const int32_t* tokens, double* logits);
  void generate(int64_t count, int32_t* tokens);
  void reset();
  void fill(int64_t position, uint64_t seed);
  void time_steps(int64_t count, double* seconds);
  void time_prefills(int64_t time, int64_t count, double* seconds);
  template <class Real>
  void write(const std::string& name, const Real* data);

  const std::vector<Parameter>& tensors() const { return model_.parameters().all(); }
  lmx_decoder_memory memory() const { return memory_; }
  int64_t position() const { return position_; }

 private:
  void initialize(uint64_t seed);
  void read_prompt(int64_t time, const int32_t* tokens);
  void run_step();
  void set_position(int64_t position);
  void require_room(int64_t tokens) const;
  void fetch_logits(double* logits) const;

  Precision precision_;
  DecodeExtent extent_;
  Model model_;
  ModelDecoder decoder_;
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Allocation> allocation_;
  TokenBuffers next_{};
  std::int32_t* prompt_ = nullptr;
  const void* logits_ = nullptr;
  lmx_decoder_memory memory_{};
  int64_t position_ = 0;
};

}  // namespace lmx
