// What a layer kind provides for generating: the mixer of mixer.h with a memory of what came before (a KV cache, a recurrent state)
// instead of activations kept for backward. Composed of Backend and Inference operations only, so it is written once for all
// backends, and for prompts and single tokens alike.
#pragma once

#include <algorithm>
#include <memory>

#include "inference.h"
#include "model/mixer.h"

namespace lmx {

// What a decoder has room for.
struct DecodeExtent {
  index_t batch;    // sequences
  index_t context;  // tokens of a sequence
  index_t prompt;   // tokens of a sequence that are read at once
  index_t prompt_batch;  // sequences whose prompts are read at once
  StateType state_type;
  index_t rows() const { return std::max(batch, prompt_batch * prompt); }  // of the largest pass
};

// New tokens of the sequences [first, first + batch).
struct DecodePass {
  Backend& backend;
  Inference& inference;
  index_t first, batch, time;
  const std::int32_t* position;  // tokens that came before, in backend memory
  bool starts;                   // there were none
  index_t rows() const { return batch * time; }
};

class MixerDecoder {
 public:
  virtual ~MixerDecoder() = default;

  // Buffers kept from token to token; then buffers used within one call of forward, which all layers share.
  virtual void plan_kept(Arena& arena, const Precision& precision, const DecodeExtent& extent) = 0;
  virtual void plan_scratch(Arena& arena, const Precision& precision, const DecodeExtent& extent) = 0;
  // For a pass of `batch` sequences of `time` tokens.
  virtual std::size_t workspace_bytes(const Inference& inference, const DecodeExtent& extent, index_t batch,
                                      index_t time) const = 0;

  // y (rows, hidden) = x + mixer(RMSNorm(x)); y may be x.
  virtual void forward(const DecodePass& pass, const PreNorm& norm, const void* x, void* y) = 0;

  // Forgets everything; or pretends to remember, with random values.
  virtual void reset(Backend& backend) = 0;
  virtual void fill(Inference& inference, std::uint64_t seed, std::uint64_t stream) = 0;
};

// `base` moved by a number of elements.
inline void* offset(void* base, index_t elements, DType type) {
  return static_cast<std::byte*>(base) + static_cast<std::size_t>(elements) * dtype_bytes(type);
}

}  // namespace lmx
