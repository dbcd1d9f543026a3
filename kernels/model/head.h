// The end of the model: final RMSNorm, output projection, cross-entropy - forward and, in the same pass over
// the logits, backward. Logits are made in chunks of rows, overwritten by their gradient and used up, so that
// a large vocabulary times a long sequence never exists at once: at most 512 MiB, in bf16 1 GiB
// (kernels/model/MEMORY.md). Few chunks, because each reads and writes the whole gradient of the output matrix.
#pragma once

#include <algorithm>
#include <functional>

#include "model/mixer.h"

namespace lmx {

// Sees the logits (rows, vocab) of one chunk, in backend memory, before they are overwritten.
using LogitsSink = std::function<void(index_t first_row, index_t rows, const void* logits)>;

struct LossBuffers {
  void* row_loss;             // (rows) stat
  std::uint8_t* row_correct;  // (rows)
  StepScalars* scalars;       // loss_sum accumulates here when training
};

class Head {
 public:
  // `embeddings` is the output matrix when it is tied.
  Head(const ModelConfig& model, ParameterTable& parameters, ParameterId embeddings)
      : parameters_(parameters),
        hidden_(model.hidden),
        vocab_(model.vocab),
        most_logit_bytes_(model.most_logit_bytes),
        eps_(model.norm_eps) {
    norm_ =
        parameters.add(Storage::vector, {{"backbone.norm_f.weight", {hidden_}, {Initializer::Kind::one}}});
    weight_ = model.tie_embeddings
                  ? embeddings
                  : parameters.add(
                        Storage::matrix,
                        {{"lm_head.weight", {vocab_, hidden_}, {Initializer::Kind::normal, model.init_std}}});
  }

  void plan_saved(Arena& arena, const Precision& precision, index_t rows) {
    act_ = precision.act;
    stat_ = precision.stat;
    normed_ = arena.take(Region::activations, rows * hidden_, precision.act);
    rstd_ = arena.take(Region::activations, rows, precision.stat);
  }

  void plan_transient(Arena& arena, const Precision& precision, index_t rows) {
    chunk_rows_ = chunk_rows(rows, precision.act);
    logits_ = arena.take(Region::activations, chunk_rows_ * vocab_, precision.act);
  }

  std::size_t workspace_bytes(const Backend& backend, index_t rows) const {
    const index_t chunk = chunk_rows(rows, backend.precision().act);
    return std::max({backend.workspace_bytes(norm_shape(rows)), backend.workspace_bytes(LinearShape{chunk, hidden_, vocab_}),
                     backend.workspace_bytes(CrossEntropyShape{chunk, vocab_})});
  }

  // Losses of x (rows, hidden). When training, also dx (overwritten) and the parameter gradients (+=);
  // dnormed is scratch.
  void run(const Pass& pass, const void* x, const std::int32_t* targets, const LossBuffers& loss, bool train,
           void* dx, void* dnormed, const LogitsSink& sink) {
    Backend& backend = pass.backend;
    const index_t rows = pass.rows();
    backend.rms_norm_forward(norm_shape(rows), x, parameters_.value(norm_), normed_, rstd_);
    for (index_t first = 0; first < rows; first += chunk_rows_) {
      const index_t count = std::min(chunk_rows_, rows - first);
      const LinearShape linear{count, hidden_, vocab_};
      const void* input = row(normed_, first, hidden_, act_);
      backend.linear_forward(linear, input, parameters_.value(weight_), nullptr, logits_);
      if (sink) sink(first, count, logits_);
      backend.cross_entropy({count, vocab_}, logits_, targets + first, row(loss.row_loss, first, 1, stat_),
                            loss.row_correct + first, loss.scalars, train);
      if (!train) continue;
      backend.linear_backward_weight(linear, input, logits_, parameters_.gradient(weight_));
      backend.linear_backward_input(linear, logits_, parameters_.value(weight_),
                                    row(dnormed, first, hidden_, act_));
    }
    if (!train) return;
    backend.add_loss(rows, loss.row_loss, loss.scalars);
    backend.rms_norm_backward(norm_shape(rows), dnormed, x, parameters_.value(norm_), rstd_, nullptr, dx,
                              parameters_.gradient(norm_));
  }

  // The final norm's output (rows, hidden) of the last run.
  const void* normed() const { return normed_; }

 private:
  friend class ModelDecoder;

  index_t chunk_rows(index_t rows, DType act) const {
    constexpr index_t granule = 64;
    const std::size_t bytes = act == DType::bf16 ? 2 * most_logit_bytes_ : most_logit_bytes_;
    const auto most = static_cast<index_t>(bytes / dtype_bytes(act)) / vocab_;
    return std::min(rows, std::max(granule, most / granule * granule));
  }
  static void* row(void* base, index_t first, index_t columns, DType type) {
    return static_cast<std::byte*>(base) + static_cast<std::size_t>(first * columns) * dtype_bytes(type);
  }
  NormShape norm_shape(index_t rows) const { return {rows, hidden_, eps_}; }

  ParameterTable& parameters_;
  index_t hidden_, vocab_;
  std::size_t most_logit_bytes_;
  double eps_;
  index_t chunk_rows_ = 0;
  DType act_ = DType::f32, stat_ = DType::f32;
  ParameterId norm_{}, weight_{};
  void *normed_ = nullptr, *rstd_ = nullptr, *logits_ = nullptr;
};

}  // namespace lmx
