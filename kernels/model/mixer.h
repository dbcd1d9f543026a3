// What a layer kind provides. A layer is pre-norm, mixer, residual add (layer.h); the mixer is everything
// between the norm and the add, composed of Backend operations only, so it is written once for all backends.
// A new kind is one file that implements this, and one line in make_mixer (model.cpp).
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "backend.h"
#include "model/config.h"
#include "model/parameters.h"
#include "train/arena.h"

namespace lmx {

// One forward or backward pass over `batch` sequences of `time` tokens; at most what was planned.
struct Pass {
  Backend& backend;
  index_t batch, time;
  index_t rows() const { return batch * time; }
};

class MixerDecoder;

class Mixer {
 public:
  virtual ~Mixer() = default;

  // Buffers kept from forward to backward, and buffers used during this layer's backward only. Called in this
  // order.
  virtual void plan_saved(Arena& arena, const Precision& precision, index_t batch, index_t time) = 0;
  virtual void plan_transient(Arena& arena, const Precision& precision, index_t batch, index_t time) = 0;
  virtual std::size_t workspace_bytes(const Backend& backend, index_t batch, index_t time) const = 0;

  // y (rows, hidden) = residual + mixer(x);  x (rows, hidden) is the normed input.
  virtual void forward(const Pass& pass, const void* x, const void* residual, void* y) = 0;
  // dx (rows, hidden) overwritten; parameter gradients +=. Reads what forward saved.
  virtual void backward(const Pass& pass, const void* x, const void* dy, void* dx) = 0;

  // The same function for generating (mixer_decoder.h). Reads this mixer's shapes and parameters: it must outlive the result.
  virtual std::unique_ptr<MixerDecoder> decoder() const = 0;
};

// What mixers are built from: the model's widths, this layer's options, and where to declare parameters.
struct MixerContext {
  const ModelConfig& model;
  const lmx_layer_config& layer;
  ParameterTable& parameters;
  std::string prefix;  // "backbone.layers.3.mixer."

  Initializer input_weights() const { return {Initializer::Kind::normal, model.init_std}; }
  Initializer output_weights() const { return {Initializer::Kind::normal, model.output_init_std()}; }
};

}  // namespace lmx
