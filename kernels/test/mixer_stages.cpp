// One whole Mamba-2 mixer composed of backend operations (in_proj, convolution, SSD scan, gated norm,
// out_proj) against every stage and every gradient that a float64 reference of the Megatron / Hugging Face
// NemotronH mixer recorded, with and without an initial state, for the double and the float backend and
// several chunk sizes. Fixture: test/fixtures/mamba2_mixer_stages.txt.
#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include "check.h"
#include "cpu/cpu_backend.h"
#include "operation.h"

using namespace lmx;
using namespace lmx::test;

using Arrays = std::map<std::string, std::vector<double>>;

static Arrays read_fixture() {
  std::ifstream file(LMX_FIXTURES "/mamba2_mixer_stages.txt");
  Arrays arrays;
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    std::string name;
    std::size_t count;
    fields >> name >> count;
    std::vector<double>& values = arrays[name];
    for (double value; fields >> value;) values.push_back(value);
    CHECK(values.size() == count, "%s: %zu values, expected %zu", name.c_str(), values.size(), count);
  }
  CHECK(arrays.size() > 20, "fixture missing or short: %zu arrays", arrays.size());
  return arrays;
}

static void run_case(const Arrays& fixture, const std::string& name, DType dtype, index_t chunk,
                     double tolerance) {
  const auto backend = make_cpu_backend(dtype, 2);
  const std::vector<double>& dims = fixture.at("dims");
  const index_t batch = index_t(dims[0]), time = index_t(dims[1]), model = index_t(dims[2]),
                heads = index_t(dims[3]), head_dim = index_t(dims[4]), groups = index_t(dims[5]),
                state = index_t(dims[6]), taps = index_t(dims[7]);
  const index_t rows = batch * time;
  const SsdShape ssd{batch, time, heads, head_dim, groups, state, chunk, 0};
  const index_t inner = ssd.inner(), channels = ssd.channels(), width = inner + channels + heads;
  const ConvShape conv{batch, time, channels, taps};
  const GatedNormShape norm{rows, inner, groups, 1e-5};
  const LinearShape in{rows, model, width}, out{rows, inner, model};
  const bool with_state = fixture.count(name + ".d_S0") > 0;

  const auto buffer = [&](index_t count, const std::vector<double>* values = nullptr) {
    Tensor tensor;
    tensor.cols = count;
    Buffer result(tensor, dtype);
    for (index_t i = 0; i < count; ++i) result.set(i, values ? values->at(i) : 0);
    return result;
  };
  const auto given = [&](const char* key) {
    return buffer(index_t(fixture.at(key).size()), &fixture.at(key));
  };
  const std::size_t element = dtype_bytes(dtype);
  const auto column = [&](Buffer& b, index_t offset) {
    return Strided{static_cast<char*>(b.data()) + offset * element, width};
  };
  const auto read_column = [](Strided s) { return ConstStrided{s.data, s.stride}; };
  const auto expect = [&](const char* stage, const std::vector<double>& got) {
    const double error = relative_error(got, fixture.at(name + "." + stage));
    CHECK(error <= tolerance, "%s, fp%zu, chunk %d: %s: relative error %g", name.c_str(), element * 8,
          int(chunk), stage, error);
  };
  const auto part = [&](const Buffer& b, index_t offset, index_t count) {
    std::vector<double> values;
    for (index_t r = 0; r < rows; ++r) {
      for (index_t c = 0; c < count; ++c) values.push_back(b.get(r * width + offset + c));
    }
    return values;
  };

  Buffer x = given("x"), w_in = given("in_proj"), w_conv = given("conv_w"), b_conv = given("conv_b"),
         dt_bias = given("dt_bias"), a_log = given("A_log"), d = given("D"), w_norm = given("norm_w"),
         w_out = given("out_proj"), s0 = given("S0");
  Buffer zxbcdt = buffer(rows * width), xbc = buffer(rows * channels), y = buffer(rows * inner),
         states = buffer(ssd.state_elements()), last = buffer(index_t(fixture.at("S0").size())),
         normed = buffer(rows * inner), rstd = buffer(rows * groups), result = buffer(rows * model);
  std::size_t workspace_bytes = 0;
  for (const std::size_t bytes :
       {backend->workspace_bytes(conv), backend->workspace_bytes(ssd), backend->workspace_bytes(norm)}) {
    workspace_bytes = std::max(workspace_bytes, bytes);
  }
  void* const workspace = backend->allocate(workspace_bytes);
  backend->bind_workspace(workspace, workspace_bytes);

  backend->linear_forward(in, x, w_in, nullptr, zxbcdt);
  backend->causal_conv1d_forward(conv, read_column(column(zxbcdt, inner)), w_conv, b_conv, xbc);
  backend->ssd_scan_forward(ssd, xbc, read_column(column(zxbcdt, inner + channels)), a_log, d, dt_bias,
                            with_state ? s0.data() : nullptr, y, states, last);
  backend->gated_rms_norm_forward(norm, y, read_column(column(zxbcdt, 0)), w_norm, normed, rstd);
  backend->linear_forward(out, normed, w_out, nullptr, result);

  expect("z", part(zxbcdt, 0, inner));
  expect("xBC_pre", part(zxbcdt, inner, channels));
  expect("dt_raw", part(zxbcdt, inner + channels, heads));
  expect("xBC_post", xbc.values());
  expect("y_scan", y.values());
  expect("final_state", last.values());
  expect("normed", normed.values());
  expect("out", result.values());

  Buffer dresult = buffer(rows * model, &fixture.at(name + ".cotangent")),
         dlast = buffer(index_t(last.values().size()));
  double loss = 0;
  for (index_t i = 0; i < rows * model; ++i) loss += dresult.get(i) * result.get(i);
  for (std::size_t i = 0; i < last.values().size(); ++i) {
    loss += 0.3 * last.get(i) * last.get(i);
    dlast.set(i, 0.6 * last.get(i));
  }
  expect("loss", {loss});

  Buffer dnormed = buffer(rows * inner), dy = buffer(rows * inner), dxbc = buffer(rows * channels),
         dzxbcdt = buffer(rows * width), dx = buffer(rows * model), dw_in = buffer(width * model),
         dw_conv = buffer(channels * taps), db_conv = buffer(channels), ddt_bias = buffer(heads),
         da_log = buffer(heads), dd = buffer(heads), dw_norm = buffer(inner), dw_out = buffer(model * inner),
         ds0 = buffer(index_t(last.values().size()));
  backend->linear_backward_input(out, dresult, w_out, dnormed);
  backend->linear_backward_weight(out, normed, dresult, dw_out);
  backend->gated_rms_norm_backward(norm, dnormed, y, read_column(column(zxbcdt, 0)), w_norm, rstd, dy,
                                   column(dzxbcdt, 0), dw_norm);
  backend->ssd_scan_backward(ssd, dy, xbc, read_column(column(zxbcdt, inner + channels)), a_log, d, dt_bias,
                             states, dlast, dxbc, column(dzxbcdt, inner + channels), da_log, dd, ddt_bias,
                             with_state ? ds0.data() : nullptr);
  backend->causal_conv1d_backward(conv, dxbc, read_column(column(zxbcdt, inner)), w_conv, b_conv,
                                  column(dzxbcdt, inner), dw_conv, db_conv);
  backend->linear_backward_weight(in, x, dzxbcdt, dw_in);
  backend->linear_backward_input(in, dzxbcdt, w_in, dx);

  expect("d_in_proj", dw_in.values());
  expect("d_conv_w", dw_conv.values());
  expect("d_conv_b", db_conv.values());
  expect("d_dt_bias", ddt_bias.values());
  expect("d_A_log", da_log.values());
  expect("d_D", dd.values());
  expect("d_norm_w", dw_norm.values());
  expect("d_out_proj", dw_out.values());
  expect("d_x", dx.values());
  if (with_state) expect("d_S0", ds0.values());
  backend->release(workspace);
}

int main() {
  const Arrays fixture = read_fixture();
  for (const char* name : {"zero_init_state", "with_init_state"}) {
    for (const index_t chunk : {1, 3, 7, 64}) {
      run_case(fixture, name, DType::f64, chunk, 1e-10);
      run_case(fixture, name, DType::f32, chunk, 2e-5);
    }
  }
  return TEST_RESULT();
}
