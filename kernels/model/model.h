// A language model as a list of layers: embedding, layers on a residual stream, head. Owns no memory and no
// device: it declares parameters, plans buffers in an Arena, and enqueues operations on the Backend it is
// given.
#pragma once

#include <memory>
#include <vector>

#include "model/head.h"
#include "model/layer.h"
#include "model/mixer.h"
#include "model/parameters.h"

namespace lmx {

class Model {
 public:
  explicit Model(ModelConfig config);

  // Takes parameters, gradients and every buffer of a pass of at most `batch` sequences of `time` tokens.
  void plan(Arena& arena, const Precision& precision, index_t batch, index_t time);
  std::size_t workspace_bytes(const Backend& backend, index_t batch, index_t time) const;

  // Losses of the sequences; tokens and targets (rows) lie in backend memory. With `train`, also the
  // gradients of all parameters (+=): d (sum of row losses * scalars.inverse_target_count).
  void run(const Pass& pass, const std::int32_t* tokens, const std::int32_t* targets, const LossBuffers& loss,
           bool train, const LogitsSink& sink = {});

  // Hidden states of the last run (rows, hidden): 0 is the embedding, i the output of layer i - 1, layers + 1
  // that of the final norm.
  const void* hidden(std::size_t index) const;

  const ModelConfig& config() const { return config_; }
  ParameterTable& parameters() { return parameters_; }
  const ParameterTable& parameters() const { return parameters_; }

 private:
  friend class ModelDecoder;

  ModelConfig config_;
  ParameterTable parameters_;
  ParameterId embeddings_{};
  std::vector<Layer> layers_;
  std::unique_ptr<Head> head_;
  std::vector<void*> residual_;  // layers + 1 times (rows, hidden)
  void *dresidual_ = nullptr, *dnormed_ = nullptr;
};

}  // namespace lmx
