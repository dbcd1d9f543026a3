// The SSD scan's kernels, forward and every gradient, against the fp64 oracle on fresh random data: head dims
// 32 to 256, states 8 to 256, groups 1 to heads, lengths around the chunk, decays from none to total, states
// carried in and out, heads split over blocks, errors at most twice those of a plain bf16 scan; and three properties that hold to the last bit: repeatability,
// causality, cutting a sequence at a chunk. Prints one line of relative Frobenius errors per case, ours and that of plain bf16. Exits 77
// (skipped) where there is no device. Usage: test_cuda_ssd_scan [cases]      cases: only that many, without
// the properties (for slow tools)
#include <algorithm>
#include <cstdlib>

#include "check.h"
#include "cpu/bf16_call.h"
#include "cpu/bf16_ssd_scan.h"
#include "cpu/ssd_scan.h"
#include "cuda/ssd_scan.cuh"
#include "cuda_arrays.h"
#include "operation.h"

using namespace lmx;
using namespace lmx::test;
using cuda::bf16;

namespace {

struct Case {
  const char* name;
  SsdShape shape;
  double dt_scale = 1, dt_offset = -3;  // raw dt + bias ~ normal; softplus(-3) = 0.05
  double a_log_most = 2.77;             // A in [-e^this, -1]
  bool boundary = true;                 // states in and out
  index_t dt_gap = 5;
};

// All arrays of one run.
struct Scan {
  SsdShape s;
  DeviceArray<bf16> xbc, dt, y, dy, dxbc, ddt;
  DeviceArray<float> a_log, d, dt_bias, initial, final_state, dfinal, dinitial, da_log, dd, ddt_bias;
  DeviceArray<unsigned char> states, workspace;

  explicit Scan(const Case& c)
      : s(c.shape),
        xbc(rows(), s.channels()),
        dt(rows(), s.heads, c.dt_gap),
        y(rows(), s.inner()),
        dy(rows(), s.inner()),
        dxbc(rows(), s.channels()),
        ddt(rows(), s.heads, c.dt_gap),
        a_log(1, s.heads),
        d(1, s.heads),
        dt_bias(1, s.heads),
        initial(s.batch, cells()),
        final_state(s.batch, cells()),
        dfinal(s.batch, cells()),
        dinitial(s.batch, cells()),
        da_log(1, s.heads),
        dd(1, s.heads),
        ddt_bias(1, s.heads),
        states(1, static_cast<index_t>(cuda::ssd_scan_states_bytes(s))),
        workspace(1, static_cast<index_t>(cuda::ssd_scan_workspace(s))) {
    const index_t inner = s.inner(), channels = s.channels();
    // B and C small enough for C·B of order one
    const double bc = std::pow(static_cast<double>(s.state), -0.25);
    xbc.fill([&](index_t i) { return random_normal(1, 0, i) * (i % channels < inner ? 1 : bc); });
    dt.normal(2, c.dt_scale);
    dt_bias.normal(3, 0.5, c.dt_offset);
    a_log.fill([&](index_t i) { return c.a_log_most * random_uniform(4, 0, i); });
    d.normal(5, 0.5, 1);
    dy.normal(6);
    initial.normal(7, 0.5);
    dfinal.normal(8, 0.5);
    da_log.normal(9);
    dd.normal(10);
    ddt_bias.normal(11);
  }
  index_t rows() const { return s.batch * s.time; }
  index_t cells() const { return s.heads * s.head_dim * s.state; }

  void forward(bool boundary) {
    cuda::ssd_scan_forward(s, xbc, dt.view(), a_log, d, dt_bias, boundary ? initial.data() : nullptr, y,
                           reinterpret_cast<bf16*>(states.data()), boundary ? final_state.data() : nullptr,
                           workspace.data(), nullptr);
  }
  void backward(bool boundary) {
    cuda::ColumnSums sums;
    sums.bind(workspace.data(), cuda::ssd_scan_workspace(s));
    cuda::ssd_scan_backward(s, dy, xbc, dt.view(), a_log, d, dt_bias, reinterpret_cast<bf16*>(states.data()),
                            boundary ? dfinal.data() : nullptr, dxbc, ddt.strided(), da_log, dd, ddt_bias,
                            boundary ? dinitial.data() : nullptr, workspace.data(), sums, nullptr);
    sums.flush(nullptr);
  }
  void oracle(bool boundary) {
    SsdShape chunked = s;
    chunked.chunk = 32;
    std::vector<double> saved(chunked.state_elements());
    cpu::ssd_scan_forward<double>({}, chunked, xbc.oracle(), dt.oracle_view(), a_log.oracle(), d.oracle(),
                                  dt_bias.oracle(), boundary ? initial.oracle() : nullptr, y.oracle(),
                                  saved.data(), boundary ? final_state.oracle() : nullptr);
    cpu::ssd_scan_backward<double>({}, chunked, dy.oracle(), xbc.oracle(), dt.oracle_view(), a_log.oracle(),
                                   d.oracle(), dt_bias.oracle(), saved.data(),
                                   boundary ? dfinal.oracle() : nullptr, dxbc.oracle(), ddt.oracle_strided(),
                                   da_log.oracle(), dd.oracle(), ddt_bias.oracle(),
                                   boundary ? dinitial.oracle() : nullptr);
  }
};

// The same scan by a plain implementation in bf16: all results, made before the oracle adds to the parameters' gradients.
struct PlainScan {
  std::vector<double> y, dxbc, ddt, da_log, dd, ddt_bias, final_state, dinitial;

  PlainScan(Scan& scan, bool boundary)
      : y(scan.y.count()),
        dxbc(scan.dxbc.count()),
        ddt(scan.ddt.count()),
        da_log(scan.da_log.values()),
        dd(scan.dd.values()),
        ddt_bias(scan.ddt_bias.values()),
        final_state(scan.final_state.count()),
        dinitial(scan.dinitial.count()) {
    SsdShape s = scan.s;
    s.chunk = cuda::kSsdChunk;
    std::vector<double> states(s.state_elements());
    cpu::bf16_ssd_scan_forward(s, scan.xbc.oracle(), scan.dt.oracle_view(), scan.a_log.oracle(), scan.d.oracle(),
                               scan.dt_bias.oracle(), boundary ? scan.initial.oracle() : nullptr, y.data(),
                               states.data(), boundary ? final_state.data() : nullptr);
    cpu::bf16_ssd_scan_backward(s, scan.dy.oracle(), scan.xbc.oracle(), scan.dt.oracle_view(), scan.a_log.oracle(),
                                scan.d.oracle(), scan.dt_bias.oracle(), states.data(),
                                boundary ? scan.dfinal.oracle() : nullptr, dxbc.data(),
                                StridedOf<double*>{ddt.data(), s.heads}, da_log.data(), dd.data(), ddt_bias.data(),
                                boundary ? dinitial.data() : nullptr);
    for (auto* stored : {&y, &dxbc, &ddt}) cpu::round_to_bf16(stored->data(), static_cast<index_t>(stored->size()));
  }
};

// Columns [first, first + count) of rows of `width`.
std::vector<double> columns(const std::vector<double>& rows, index_t width, index_t first, index_t count) {
  std::vector<double> part;
  for (index_t i = 0; i < static_cast<index_t>(rows.size()); ++i) {
    if (i % width >= first && i % width < first + count) part.push_back(rows[i]);
  }
  return part;
}

struct Comparison {
  const char* what;
  bool intact;
  bool few;  // one number per head: chance makes its error large or small
  double error, plain;
};

void check_case(const Case& c) {
  Scan scan(c);
  const PlainScan plain(scan, c.boundary);
  scan.oracle(c.boundary);  // accumulates into the parameter gradients' copies, as the device does
  scan.forward(c.boundary);
  scan.workspace.poison();  // nothing may survive from the forward pass
  scan.backward(c.boundary);
  cuda::check(cudaDeviceSynchronize(), c.name);
  const SsdShape& s = c.shape;
  std::vector<Comparison> all;
  const auto compare = [&](const char* what, auto& array, const std::vector<double>& of_plain, bool few = false) {
    std::vector<double> got;
    const bool intact = array.fetch(got);
    all.push_back({what, intact, few, relative_error(got, array.values()), relative_error(of_plain, array.values())});
  };
  std::vector<double> dxbc;
  const bool intact = scan.dxbc.fetch(dxbc);
  const auto compare_columns = [&](const char* what, index_t first, index_t count) {
    const auto part = [&](const std::vector<double>& rows) { return columns(rows, s.channels(), first, count); };
    const std::vector<double> expected = part(scan.dxbc.values());
    all.push_back({what, intact, false, relative_error(part(dxbc), expected), relative_error(part(plain.dxbc), expected)});
  };
  const index_t bc = s.groups * s.state;
  compare("y", scan.y, plain.y);
  compare_columns("dx", 0, s.inner());
  compare_columns("dB", s.inner(), bc);
  compare_columns("dC", s.inner() + bc, bc);
  compare("ddt", scan.ddt, plain.ddt);
  compare("dA_log", scan.da_log, plain.da_log, true);
  compare("dD", scan.dd, plain.dd, true);
  compare("ddt_bias", scan.ddt_bias, plain.ddt_bias, true);
  if (c.boundary) {
    compare("final", scan.final_state, plain.final_state);
    compare("dinitial", scan.dinitial, plain.dinitial);
  }
  std::vector<double> errors;
  for (const Comparison& one : all) errors.push_back(one.plain);
  std::nth_element(errors.begin(), errors.begin() + errors.size() / 2, errors.end());
  const double median = errors[errors.size() / 2];
  std::printf("%-28s", c.name);
  for (const Comparison& one : all) {
    std::printf(" %s %.1e/%.1e", one.what, one.error, one.plain);
    // A tensor of few numbers is judged by the median too; one of a single number is one draw, beyond 2 sigma once in twenty.
    const double few = one.few ? (s.heads == 1 ? 2 : 1) * median : 0;
    const double limit = std::max(1e-5, 2 * std::max(one.plain, few));
    CHECK(one.intact, "%s: wrote outside %s", c.name, one.what);
    CHECK(one.error <= limit, "%s: %s has relative error %.3g, plain bf16 %.3g, limit %.3g", c.name, one.what, one.error,
          one.plain, limit);
  }
  std::printf("\n");
}

template <class T>
std::vector<double> fetched(DeviceArray<T>& array) {
  std::vector<double> values;
  array.fetch(values);
  return values;
}

// The same inputs twice: the same bits in every gradient.
void check_repeatable(const Case& c) {
  std::vector<double> first;
  for (int round = 0; round < 2; ++round) {
    Scan scan(c);
    scan.forward(true);
    scan.backward(true);
    std::vector<double> all = fetched(scan.y);
    for (const auto& part : {fetched(scan.dxbc), fetched(scan.ddt)})
      all.insert(all.end(), part.begin(), part.end());
    for (auto* vector : {&scan.da_log, &scan.dd, &scan.ddt_bias, &scan.dinitial}) {
      const auto part = fetched(*vector);
      all.insert(all.end(), part.begin(), part.end());
    }
    if (round == 0) first = all;
    CHECK(all == first, "%s: two runs differ", c.name);
  }
}

// What happens at step t leaves outputs before t as they were, bit by bit.
void check_causal(const Case& c) {
  Scan before(c), after(c);
  const index_t t = c.shape.time * 2 / 3;
  for (index_t b = 0; b < c.shape.batch; ++b) {
    for (index_t i = 0; i < c.shape.channels(); ++i) {
      after.xbc.values()[(b * c.shape.time + t) * c.shape.channels() + i] += 1;
    }
  }
  const std::vector<double> changed = after.xbc.values();
  after.xbc.fill([&](index_t i) { return changed[i]; });
  before.forward(true);
  after.forward(true);
  const auto y0 = fetched(before.y), y1 = fetched(after.y);
  bool same = true, differs = false;
  for (std::size_t i = 0; i < y0.size(); ++i) {
    const index_t step = static_cast<index_t>(i) / c.shape.inner() % c.shape.time;
    if (step < t) same = same && y0[i] == y1[i];
    if (step == t) differs = differs || y0[i] != y1[i];
  }
  CHECK(same, "%s: step %ld changes earlier outputs", c.name, static_cast<long>(t));
  CHECK(differs, "%s: step %ld changes nothing", c.name, static_cast<long>(t));
}

// A sequence cut at a chunk's edge, the state carried over in fp32, gives the outputs of the whole, bit by
// bit.
void check_split(const SsdShape& shape) {
  Case whole{"cut in two", shape};
  whole.shape.batch = 1;
  Case head = whole, tail = whole;
  head.shape.time = cuda::kSsdChunk;
  tail.shape.time = shape.time - cuda::kSsdChunk;
  Scan all(whole), first(head), second(tail);
  all.forward(true);
  const auto rows_from = [&](DeviceArray<bf16>& to, DeviceArray<bf16>& from, index_t row, index_t cols) {
    to.fill([&](index_t i) { return from.values()[row * cols + i]; });
  };
  rows_from(first.xbc, all.xbc, 0, shape.channels());
  rows_from(first.dt, all.dt, 0, shape.heads);
  rows_from(second.xbc, all.xbc, cuda::kSsdChunk, shape.channels());
  rows_from(second.dt, all.dt, cuda::kSsdChunk, shape.heads);
  first.forward(true);
  const auto carried = fetched(first.final_state);
  second.initial.fill([&](index_t i) { return carried[i]; });
  second.forward(true);
  auto joined = fetched(first.y);
  const auto rest = fetched(second.y);
  joined.insert(joined.end(), rest.begin(), rest.end());
  CHECK(joined == fetched(all.y), "cutting a sequence changes its outputs");
  CHECK(fetched(second.final_state) == fetched(all.final_state), "cutting a sequence changes its last state");
}

SsdShape shape(index_t batch, index_t time, index_t heads, index_t head_dim, index_t groups, index_t state,
               double dt_min = 0) {
  return {batch, time, heads, head_dim, groups, state, 128, dt_min};
}

}  // namespace

int main(int count, char** arguments) {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) return 77;
  const Case cases[] = {
      {"P64 N128 T300", shape(2, 300, 4, 64, 1, 128)},
      {"P64 N128 T128 no boundary", shape(3, 128, 3, 64, 3, 128), 1, -3, 2.77, false, 0},
      {"P64 N64 T1", shape(5, 1, 4, 64, 2, 64)},
      {"P32 N16 T63", shape(2, 63, 4, 32, 2, 16)},
      {"P32 N8 T129", shape(1, 129, 2, 32, 1, 8)},
      {"P32 N128 T257", shape(1, 257, 6, 32, 2, 128)},
      {"P32 N256 T200", shape(1, 200, 2, 32, 1, 256)},
      {"P64 N32 T500", shape(1, 500, 6, 64, 6, 32)},
      {"P64 N40 T513", shape(1, 513, 4, 64, 2, 40)},
      {"P64 N96 T127", shape(2, 127, 5, 64, 5, 96)},
      {"P64 N256 T260", shape(1, 260, 4, 64, 2, 256)},
      {"P128 N64 T130", shape(2, 130, 3, 128, 1, 64)},
      {"P128 N256 T385", shape(1, 385, 2, 128, 2, 256)},
      {"P256 N200 T150", shape(1, 150, 2, 256, 1, 200)},
      {"P64 N128 many heads, split", shape(1, 256, 24, 64, 1, 128)},
      {"P64 N64 tiny proxy", shape(4, 512, 8, 64, 1, 64)},
      {"P64 N128 large pieces of states", shape(25, 150, 8, 64, 1, 128)},
      {"P64 N64 large pieces of states", shape(25, 130, 8, 64, 2, 64)},
      {"P32 N128 large pieces of states", shape(25, 129, 8, 32, 1, 128)},
      {"P64 N128 walks of three heads", shape(40, 130, 6, 64, 2, 128)},
      {"P64 N64 walks of three heads", shape(45, 130, 6, 64, 2, 64)},
      {"P64 N128 walks of one head", shape(100, 130, 1, 64, 1, 128)},
      {"P64 N104 three walks a block", shape(140, 130, 1, 64, 1, 104)},
      {"P64 N160 large pieces of states", shape(20, 130, 4, 64, 2, 160)},
      {"P64 N104 one chunk", shape(40, 100, 4, 64, 4, 104)},
      {"P64 N128 clamped dt", shape(1, 300, 4, 64, 1, 128, 0.05)},
      {"P64 N128 slow decay", shape(1, 300, 4, 64, 1, 128), 0.5, -7, 0.1},
      {"P64 N128 strong decay", shape(1, 300, 4, 64, 1, 128), 2, 8, 2.77},
      {"P32 N64 no carry-over", shape(2, 200, 2, 32, 1, 64), 1, -1, 2.77},
  };
  index_t left = count > 1 ? std::atoi(arguments[1]) : 1000;
  CHECK(left > 0, "Expected a number of cases, got '%s'", arguments[1]);
  for (const Case& c : cases) {
    if (left-- > 0) check_case(c);
  }
  if (count > 1) return TEST_RESULT();
  for (const Case& c : {cases[0], cases[5], cases[10], cases[14]}) {
    check_repeatable(c);
    check_causal(c);
  }
  check_split(shape(1, 300, 4, 64, 1, 128));
  check_split(shape(1, 256, 2, 128, 2, 256));
  CHECK_THROWS(cuda::ssd_scan_workspace(shape(1, 8, 2, 48, 1, 64)), InvalidArgument);
  CHECK_THROWS(cuda::ssd_scan_workspace(shape(1, 8, 2, 64, 1, 264)), InvalidArgument);
  CHECK_THROWS(cuda::ssd_scan_workspace(shape(1, 8, 3, 64, 2, 64)), InvalidArgument);
  return TEST_RESULT();
}
