// The Mamba-2 mixer (arXiv 2405.21060, section 7): in_proj -> [z | x B C | dt]; causal conv and SiLU over x B
// C; SSD scan; gated grouped RMSNorm; out_proj. Rows of in_proj and the order gate-then-norm are those of
// NemotronH and Megatron.
#pragma once

#include <algorithm>
#include <cmath>

#include "model/mixer.h"

namespace lmx {

class Mamba2Mixer final : public Mixer {
 public:
  explicit Mamba2Mixer(const MixerContext& context)
      : parameters_(context.parameters),
        hidden_(context.model.hidden),
        eps_(context.model.norm_eps),
        conv_(context.layer.conv),
        scan_{0,
              0,
              context.layer.heads,
              context.layer.head_dim,
              context.layer.groups,
              context.layer.state,
              context.layer.chunk,
              context.layer.dt_min} {
    const index_t inner = scan_.inner(), channels = scan_.channels(), heads = scan_.heads;
    const auto name = [&](const char* tail) { return context.prefix + tail; };
    const Initializer one{Initializer::Kind::one};
    const Initializer taps{Initializer::Kind::uniform, 1 / std::sqrt(static_cast<double>(conv_))};
    in_proj_ = parameters_.add(Storage::matrix,
                               {{name("in_proj.weight"), {projected(), hidden_}, context.input_weights()}});
    out_proj_ = parameters_.add(Storage::matrix,
                                {{name("out_proj.weight"), {hidden_, inner}, context.output_weights()}});
    conv_weight_ =
        parameters_.add(Storage::convolution, {{name("conv1d.weight"), {channels, 1, conv_}, taps}});
    conv_bias_ = parameters_.add(Storage::vector, {{name("conv1d.bias"), {channels}, taps}});
    dt_bias_ =
        parameters_.add(Storage::vector, {{name("dt_bias"), {heads}, {Initializer::Kind::time_step_bias}}});
    a_log_ =
        parameters_.add(Storage::vector, {{name("A_log"), {heads}, {Initializer::Kind::log_uniform_decay}}});
    d_ = parameters_.add(Storage::vector, {{name("D"), {heads}, one}});
    norm_ = parameters_.add(Storage::vector, {{name("norm.weight"), {inner}, one}});
  }

  void plan_saved(Arena& arena, const Precision& precision, index_t batch, index_t time) override {
    act_ = precision.act;
    const index_t rows = batch * time;
    const auto take = [&](index_t count, DType type) { return arena.take(Region::activations, count, type); };
    projection_ = take(rows * widest_row(), precision.act);
    xbc_ = take(rows * scan_.channels(), precision.act);
    y_ = take(rows * scan_.inner(), precision.act);
    normed_ = take(rows * scan_.inner(), precision.act);
    SsdShape saved = scan(batch, time);
    saved.chunk = precision.scan_chunk(saved.chunk);
    states_ = take(saved.state_elements(), precision.act);
    rstd_ = take(rows * scan_.groups, precision.stat);
  }

  void plan_transient(Arena& arena, const Precision& precision, index_t batch, index_t time) override {
    const index_t rows = batch * time;
    const auto take = [&](index_t count) { return arena.take(Region::activations, count, precision.act); };
    dnormed_dxbc_ =
        take(rows * scan_.channels());  // channels >= inner: d(normed) is dead when d(xbc) is born
    dy_ = take(rows * scan_.inner());
    dprojection_ = take(rows * widest_row());
  }

  std::size_t workspace_bytes(const Backend& backend, index_t batch, index_t time) const override {
    const index_t rows = batch * time;
    return std::max({backend.workspace_bytes(in_shape(rows)), backend.workspace_bytes(out_shape(rows)),
                     backend.workspace_bytes(conv(batch, time)), backend.workspace_bytes(scan(batch, time)),
                     backend.workspace_bytes(norm_shape(rows))});
  }

  void forward(const Pass& pass, const void* x, const void* residual, void* y) override {
    Backend& backend = pass.backend;
    const index_t rows = pass.rows();
    backend.linear_forward(in_shape(rows), x, parameters_.value(in_proj_), nullptr, projection_);
    backend.causal_conv1d_forward(conv(pass.batch, pass.time), column(projection_, scan_.inner()),
                                  parameters_.value(conv_weight_), parameters_.value(conv_bias_), xbc_);
    backend.ssd_scan_forward(scan(pass.batch, pass.time), xbc_, column(projection_, dt_column()),
                             parameters_.value(a_log_), parameters_.value(d_), parameters_.value(dt_bias_),
                             nullptr, y_, states_, nullptr);
    backend.gated_rms_norm_forward(norm_shape(rows), y_, column(projection_, 0), parameters_.value(norm_),
                                   normed_, rstd_);
    backend.linear_forward(out_shape(rows), normed_, parameters_.value(out_proj_), residual, y);
  }

  void backward(const Pass& pass, const void* x, const void* dy, void* dx) override {
    Backend& backend = pass.backend;
    const index_t rows = pass.rows();
    backend.linear_backward_weight(out_shape(rows), normed_, dy, parameters_.gradient(out_proj_));
    backend.linear_backward_input(out_shape(rows), dy, parameters_.value(out_proj_), dnormed_dxbc_);
    backend.gated_rms_norm_backward(norm_shape(rows), dnormed_dxbc_, y_, column(projection_, 0),
                                    parameters_.value(norm_), rstd_, dy_, mutable_column(dprojection_, 0),
                                    parameters_.gradient(norm_));
    backend.ssd_scan_backward(scan(pass.batch, pass.time), dy_, xbc_, column(projection_, dt_column()),
                              parameters_.value(a_log_), parameters_.value(d_), parameters_.value(dt_bias_),
                              states_, nullptr, dnormed_dxbc_, mutable_column(dprojection_, dt_column()),
                              parameters_.gradient(a_log_), parameters_.gradient(d_),
                              parameters_.gradient(dt_bias_), nullptr);
    backend.causal_conv1d_backward(conv(pass.batch, pass.time), dnormed_dxbc_,
                                   column(projection_, scan_.inner()), parameters_.value(conv_weight_),
                                   parameters_.value(conv_bias_), mutable_column(dprojection_, scan_.inner()),
                                   parameters_.gradient(conv_weight_), parameters_.gradient(conv_bias_));
    backend.linear_backward_weight(in_shape(rows), x, dprojection_, parameters_.gradient(in_proj_));
    backend.linear_backward_input(in_shape(rows), dprojection_, parameters_.value(in_proj_), dx);
  }

  std::unique_ptr<MixerDecoder> decoder() const override;

 private:
  friend class Mamba2Decoder;

  // Columns of in_proj's output: [z (inner) | x B C (channels) | dt (heads)].
  index_t projected() const { return scan_.inner() + scan_.channels() + scan_.heads; }
  index_t dt_column() const { return scan_.inner() + scan_.channels(); }
  // In bf16 the product has a multiple of 8 columns, which matrix units want, and rows start on 128 bytes, as memory is moved. Other
  // types have no use for that and leave the end of the buffer alone.
  index_t product_width() const { return act_ == DType::bf16 ? (projected() + 7) / 8 * 8 : projected(); }
  index_t row_stride() const { return act_ == DType::bf16 ? widest_row() : projected(); }
  index_t widest_row() const { return (projected() + 63) / 64 * 64; }
  ConstStrided column(const void* projection, index_t first) const {
    return {static_cast<const std::byte*>(projection) + bytes_before(first), row_stride()};
  }
  Strided mutable_column(void* projection, index_t first) const {
    return {static_cast<std::byte*>(projection) + bytes_before(first), row_stride()};
  }
  std::size_t bytes_before(index_t first) const {
    return static_cast<std::size_t>(first) * dtype_bytes(act_);
  }

  // The columns beyond projected() are 0, being products with rows of 0, and so are their gradients.
  LinearShape in_shape(index_t rows) const { return {rows, hidden_, product_width(), row_stride()}; }
  LinearShape out_shape(index_t rows) const { return {rows, scan_.inner(), hidden_}; }
  GatedNormShape norm_shape(index_t rows) const { return {rows, scan_.inner(), scan_.groups, eps_}; }
  ConvShape conv(index_t batch, index_t time) const { return {batch, time, scan_.channels(), conv_}; }
  SsdShape scan(index_t batch, index_t time) const {
    SsdShape shape = scan_;
    shape.batch = batch;
    shape.time = time;
    shape.dt_padding = product_width() - projected();
    return shape;
  }

  ParameterTable& parameters_;
  index_t hidden_;
  double eps_;
  index_t conv_;
  SsdShape scan_;  // batch and time are those of the pass
  DType act_ = DType::f32;
  ParameterId in_proj_{}, out_proj_{}, conv_weight_{}, conv_bias_{}, dt_bias_{}, a_log_{}, d_{}, norm_{};
  void *projection_ = nullptr, *xbc_ = nullptr, *y_ = nullptr, *normed_ = nullptr, *states_ = nullptr,
       *rstd_ = nullptr;
  void *dnormed_dxbc_ = nullptr, *dy_ = nullptr, *dprojection_ = nullptr;
};

}  // namespace lmx
