// Projections against independent oracles: times and bytes counted by hand, the founding paper's claim, published KV
// caches, and what must hold whatever the model - more bandwidth is never slower, a longer context never faster.

import assert from "node:assert/strict";
import fc from "fast-check";
import { LayermixError } from "../../src/diag/diagnostic.js";
import { plan } from "../../src/plan/plan.js";
import type { Plan } from "../../src/plan/plan_types.js";
import type { Hardware } from "../../src/project/hardware.js";
import { type ProjectOptions, project } from "../../src/project/project.js";
import { loadStudy } from "../../src/spec/load_study.js";
import { model, patternModel, study } from "../plan/example_models.js";
import { calibrated, device, figure } from "./devices.js";

const hybrid = plan(study(model()));
const attentionMlp = (kvHeads: number): Plan =>
  plan(
    study(
      patternModel("*-".repeat(32), {
        blocks: {
          attention: { heads: 32, kv_heads: kvHeads, head_dim: 128, position: "none" },
          mlp: { width: 16_384 },
        },
      }),
    ),
  );

const ideal = calibrated(
  device({ bandwidth: figure(1e12), peak: { fp32: figure(1e18), bf16: figure(1e18) } }),
);

const at = (one: Plan, options: Partial<ProjectOptions> = {}) =>
  project(one, { hardware: ideal, contexts: [4096], batch: 32, ...options });

const close = (got: number, expected: number, tolerance: number, what = "") =>
  assert.ok(Math.abs(got / expected - 1) <= tolerance, `${what} ${got} is not ${expected}`);

describe("memory of a served model", () => {
  it("of the 8B hybrid: 16 KiB of KV cache per token, 48 MiB of bf16 state beside the windows", () => {
    const projection = at(hybrid, { types: { state: "bf16" } });
    assert.equal(projection.kvBytesPerToken, 16 * 1024);
    // 24 layers of 128 heads x 64 x 128 states, and 10,240 channels x 3 inputs
    assert.equal(projection.stateBytesPerSequence, 24 * (128 * 64 * 128 + 10_240 * 3) * 2);
    assert.equal(projection.weightBytes, 2 * 8_654_517_248);
    const [point] = projection.points;
    assert.equal(point!.kvBytes, 32 * 4096 * 16 * 1024);
    assert.equal(point!.totalBytes, point!.weightBytes + point!.kvBytes + point!.stateBytes);
  });

  it("keeps recurrent state in fp32 unless told otherwise", () => {
    const { stateBytesPerSequence } = at(hybrid);
    assert.equal(stateBytesPerSequence, 24 * (128 * 64 * 128 * 4 + 10_240 * 3 * 2));
  });

  it("of published models at 256K, 16 bits, as their reports say", async () => {
    // Mistral 7B: 32 layers, 8 key heads of 128: 32 GiB (arXiv 2403.19887, table 1).
    const mistral = attentionMlp(8);
    const { points } = at(mistral, { batch: 1, contexts: [256 * 1024] });
    assert.equal(points[0]!.kvBytes, 32 * 1024 ** 3);
    const { spec } = await loadStudy("preset:nemotron-h-8b");
    // 4 attention layers of 52, 8 key heads of 128
    assert.equal(at(plan(spec)).kvBytesPerToken, 4 * 2 * 8 * 128 * 2);
  });

  it("quantises the matrices of the layers alone", () => {
    const bytes = (weights: "bf16" | "fp8" | "int4") => at(hybrid, { types: { weights } }).weightBytes;
    const rest = 2 * (2 * 256_000 * 4096); // embedding and head
    const vectors = 2 * (4096 * 57 + 24 * (10_240 * 5 + 3 * 128 + 8192));
    const matrices = bytes("bf16") - rest - vectors;
    assert.equal(bytes("fp8"), rest + vectors + matrices / 2);
    assert.equal(bytes("int4"), rest + vectors + (matrices / 2) * (0.5 + 2 / 128));
  });

  it("finds the largest batch: one more does not fit", () => {
    for (const context of [1024, 65_536, 1 << 20]) {
      const batch = at(hybrid, { contexts: [context] }).points[0]!.maxBatch;
      const fits = (size: number) => at(hybrid, { contexts: [context], batch: size }).points[0]!.fits;
      if (batch > 0) assert.ok(fits(batch), `${batch} at ${context}`);
      assert.ok(!fits(batch + 1), `${batch + 1} at ${context}`);
    }
  });

  it("fits nothing where the weights alone are too large", () => {
    const [point] = at(hybrid, { hardware: { ...ideal, memory: figure(16e9) } }).points;
    assert.equal(point!.maxBatch, 0);
    assert.equal(point!.fits, false);
  });
});

describe("time on a device that reaches its roofline", () => {
  it("of one token: bytes over bandwidth, counted by hand", () => {
    const small = plan(study(patternModel("M*-", { hidden: 4096 })));
    const [point] = at(small, { batch: 8, contexts: [10_000] }).points;
    const weights = 2 * ((18_560 + 8192) * 4096 + (6144 + 4096) * 4096 + 2 * 16_384 * 4096 + 256_000 * 4096);
    const cache = 2 * 8 * 10_000 * 2 * 8 * 128;
    const state = 2 * 4 * 8 * 128 * 64 * 128;
    const rest = 4e7; // activations, windows, logits: a few MB
    close(point!.decodeTokenSeconds, (weights + cache + state + rest / 4) / 1e12, 0.05);
    close(point!.tokensPerSecond, 8 / point!.decodeTokenSeconds, 1e-12);
  });

  it("of a prompt: FLOPs over peak where compute is what binds", () => {
    const bound = calibrated(
      device({ bandwidth: figure(1e15), peak: { fp32: figure(1e15), bf16: figure(1e15) } }),
    );
    const [point] = project(attentionMlp(8), { hardware: bound, batch: 1, contexts: [8192] }).points;
    const tokens = 8192;
    const perToken = 2 * (6144 * 4096 + 4096 * 4096 + 2 * 16_384 * 4096);
    const pairs = (tokens * (tokens + 1)) / 2;
    const flops = 32 * (tokens * perToken + 4 * pairs * 4096) + 2 * 4096 * 256_000;
    close(point!.prefillSeconds, flops / 1e15, 0.05);
  });

  it("says that it is calibrated, with a narrow band", () => {
    const [point] = at(hybrid).points;
    assert.equal(point!.provenance.decode, "calibrated");
    const [low, high] = point!.decodeBand;
    assert.ok(low < point!.decodeTokenSeconds && point!.decodeTokenSeconds < high);
    assert.ok(high / low < 1.25, `${low} to ${high}`);
  });

  it("marks shapes outside of what was measured, and widens their band", () => {
    const tiny = plan(
      study(
        patternModel("*-", {
          hidden: 256,
          blocks: { attention: { heads: 2, kv_heads: 1, head_dim: 16 }, mlp: { width: 512 } },
        }),
      ),
    );
    const [point] = at(tiny, { batch: 1, contexts: [100_000] }).points;
    assert.equal(point!.provenance.decode, "extrapolated");
    const [known] = at(hybrid).points;
    const width = (p: typeof point) => p!.decodeBand[1] / p!.decodeTokenSeconds;
    assert.ok(width(point) > width(known));
  });
});

describe("the founding paper's claim", () => {
  const speedups = (kvHeads: number, contexts: readonly number[]) =>
    at(hybrid, { contexts, baseline: attentionMlp(kvHeads), types: { state: "bf16" } }).points.map(
      ({ speedup }) => speedup!,
    );

  // facts: t = (weights + batch * (KV + state)) / bandwidth, by hand; batch 32, both models with 8 key heads.
  it("with eight key heads in both: 1.1x at 2K to 6.5x at 128K", () => {
    const contexts = [2, 4, 8, 16, 32, 64, 128].map((k) => k * 1024);
    const expected = [1.1, 1.5, 2.1, 3.0, 4.2, 5.4, 6.5];
    speedups(8, contexts).forEach((speedup, i) => {
      assert.ok(Math.abs(speedup - expected[i]!) <= 0.1 + 0.02 * expected[i]!, `${contexts[i]}: ${speedup}`);
    });
  });

  it("tends to 8x, the ratio of 32 attention layers to 4, and to 32x against full-width keys", () => {
    const far = [2 ** 24, 2 ** 26];
    for (const speedup of speedups(8, far)) assert.ok(speedup > 7.9 && speedup < 8.1, String(speedup));
    for (const speedup of speedups(32, far)) assert.ok(speedup > 31 && speedup < 32.5, String(speedup));
  });

  it("against full-width keys: 4x at 4K, 10.7x at 16K, 25x at 128K", () => {
    const got = speedups(32, [4096, 16_384, 131_072]);
    [4.0, 10.7, 25].forEach((expected, i) => {
      close(got[i]!, expected, 0.06);
    });
  });

  it("finds the context from which the hybrid is faster", () => {
    const projection = at(hybrid, { baseline: attentionMlp(8), batch: 1 });
    const crossover = projection.crossoverContext!;
    const speedup = (context: number) =>
      at(hybrid, { baseline: attentionMlp(8), batch: 1, contexts: [context] }).points[0]!.speedup!;
    assert.ok(crossover > 1000, String(crossover));
    assert.ok(speedup(crossover) > 1 && speedup(crossover - 1) <= 1);
  });

  it("says so where there is none", () => {
    const same = at(hybrid, { baseline: hybrid });
    assert.equal(same.crossoverContext, null);
    assert.equal(same.points[0]!.speedup, 1);
  });
});

describe("what holds for any model", () => {
  const plans = [hybrid, attentionMlp(8), attentionMlp(32), plan(study(patternModel("MM-M*-")))];
  const anyPlan = fc.constantFrom(...plans);
  const anyContext = fc.integer({ min: 4, max: 20 }).map((n) => 2 ** n);
  const anyBatch = fc.constantFrom(1, 2, 8, 32, 100, 256);
  const uncalibrated = device();
  const point = (
    one: Plan,
    hardware: Hardware,
    context: number,
    batch: number,
    more: Partial<ProjectOptions> = {},
  ) => project(one, { hardware, contexts: [context], batch, ...more }).points[0]!;
  const faster = (a: ReturnType<typeof point>, b: ReturnType<typeof point>) => {
    assert.ok(a.decodeTokenSeconds <= b.decodeTokenSeconds * (1 + 1e-9));
    assert.ok(a.prefillSeconds <= b.prefillSeconds * (1 + 1e-9));
  };
  const check = (property: (one: Plan, context: number, batch: number, hardware: Hardware) => void) =>
    fc.assert(fc.property(anyPlan, anyContext, anyBatch, fc.constantFrom(uncalibrated, ideal), property), {
      numRuns: 25,
    });

  it("more bandwidth and a higher peak are never slower", () => {
    check((one, context, batch, from) => {
      const base = point(one, uncalibrated, context, batch, from);
      faster(point(one, device({ bandwidth: figure(2e12) }), context, batch, from), base);
      const peak = { fp32: figure(2e14), bf16: figure(2e15) };
      faster(point(one, device({ peak }), context, batch, from), base);
    });
  });

  it("a longer context and a larger batch are never faster, per step", () => {
    check((one, context, batch) => {
      const base = point(one, uncalibrated, context, batch);
      faster(base, point(one, uncalibrated, context + 1000, batch));
      faster(base, point(one, uncalibrated, context, batch + 5));
    });
  });

  it("smaller types take less memory and are never slower", () => {
    check((one, context, batch, from) => {
      const base = point(one, uncalibrated, context, batch, from);
      const small = point(one, uncalibrated, context, batch, {
        ...from,
        types: { weights: "fp8", cache: "fp8", state: "bf16" },
      });
      faster(small, base);
      assert.ok(small.totalBytes < base.totalBytes);
      assert.ok(small.maxBatch >= base.maxBatch);
    });
  });

  it("tensor parallelism divides weights and cache among devices, and fits at least as large a batch", () => {
    check((one, context, batch) => {
      const base = point(one, uncalibrated, context, batch);
      const shared = point(one, uncalibrated, context, batch, { ranks: 4 });
      assert.equal(shared.kvBytes * 4, base.kvBytes);
      assert.ok(shared.weightBytes > base.weightBytes / 4 && shared.weightBytes < base.weightBytes / 3.9);
      assert.ok(shared.maxBatch >= base.maxBatch);
      assert.ok(shared.operations.decode.some(({ kind }) => kind === "all_reduce"));
    });
  });

  it("the parts of a step add up to it, and no operation beats its roofline by much on default curves", () => {
    check((one, context, batch) => {
      const base = point(one, uncalibrated, context, batch);
      const sum = base.operations.decode.reduce((total, { seconds }) => total + seconds, 0);
      close(sum, base.decodeTokenSeconds, 1e-9);
      for (const { kind, utilization } of base.operations.decode) assert.ok(utilization <= 1, kind);
    });
  });
});

describe("where utilisation comes from", () => {
  it("is carried over from a calibrated device, in proportion, with a wider band", () => {
    const half = calibrated(device(), 2);
    const other = device({ bandwidth: figure(2e12), peak: { fp32: figure(2e14), bf16: figure(2e15) } });
    const from = project(hybrid, { hardware: half, contexts: [8192], batch: 16 }).points[0]!;
    const to = project(hybrid, { hardware: other, reference: half, contexts: [8192], batch: 16 }).points[0]!;
    assert.equal(to.provenance.decode, "carried");
    close(to.decodeTokenSeconds, from.decodeTokenSeconds / 2, 0.02);
    assert.ok(to.decodeBand[1] / to.decodeTokenSeconds > from.decodeBand[1] / from.decodeTokenSeconds);
  });

  it("is not carried over to a device that computes in another type", () => {
    const cpu = device({ arithmetic: "fp32", peak: { fp32: figure(1e12) } });
    const [point] = project(hybrid, {
      hardware: cpu,
      reference: calibrated(device()),
      contexts: [64],
      batch: 1,
    }).points;
    assert.equal(point!.provenance.decode, "assumed");
  });

  it("is said in the assumptions", () => {
    assert.match(
      at(hybrid).assumptions[0]!,
      /^utilisation as measured on Example device, 2026-01-01: \d+ shapes/,
    );
    const [assumed] = project(hybrid, { hardware: device(), contexts: [64], batch: 1 }).assumptions;
    assert.match(assumed!, /^nobody has calibrated Example device/);
    const lent = (pattern: string) =>
      at(plan(study(patternModel(pattern)))).assumptions.filter((sentence) => sentence.includes("lent by"));
    assert.deepEqual(lent("M-*-"), []);
    assert.match(lent("K-*EK-*E")[0]!, /^kda, moe: not measured on any device, utilisation lent/);
  });
});

describe("what cannot be projected", () => {
  const code = (action: () => unknown): string => {
    try {
      action();
    } catch (error) {
      if (error instanceof LayermixError) return `${error.diagnostics[0]!.code} ${error.exitCode}`;
      throw error;
    }
    return "nothing thrown";
  };

  it("is refused with a code: layers that cannot be divided, devices that are not joined", () => {
    assert.equal(
      code(() => at(hybrid, { ranks: 3 })),
      "LMX2401 4",
    );
    assert.equal(
      code(() => at(hybrid, { ranks: 16 })),
      "LMX2402 4",
    );
    const { interconnect: _, ...alone } = ideal;
    assert.equal(
      code(() => at(hybrid, { hardware: alone, ranks: 2 })),
      "LMX2402 4",
    );
  });
});
