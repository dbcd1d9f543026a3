// Sweeps: points and their names, fill, duplicates, size matching, constraints.

import assert from "node:assert/strict";
import fc from "fast-check";
import { planCandidates } from "../../src/estimate/candidates.js";
import { metricOf } from "../../src/estimate/metrics.js";
import { sweepPoints } from "../../src/plan/axes.js";
import { plan } from "../../src/plan/plan.js";
import type { SweepSpec } from "../../src/spec/spec.js";
import { mixModel, model, modelDefaults, patternModel, study } from "./example_models.js";
import { refusal } from "./refusal.js";

const shares = (values: number[]) => ({ path: "mix.attention", values });
const names = (spec: Parameters<typeof planCandidates>[0]) =>
  planCandidates(spec).candidates.map(({ name }) => name);

describe("the points of a sweep", () => {
  it("are the product of the axes, the last one fastest", () => {
    const points = sweepPoints([shares([0, 0.125]), { path: "blocks.mamba2.state", values: [64, 128] }]);
    assert.deepEqual(
      points.map(({ name }) => name),
      [
        "attention=0%,mamba2.state=64",
        "attention=0%,mamba2.state=128",
        "attention=12.5%,mamba2.state=64",
        "attention=12.5%,mamba2.state=128",
      ],
    );
    assert.deepEqual(points[2]?.values, { "mix.attention": 0.125, "blocks.mamba2.state": 64 });
  });

  it("are named by what tells them apart", () => {
    const mlp = { path: "mix.mlp", values: [0.5] };
    assert.deepEqual(
      sweepPoints([shares([0.04, 0.08]), mlp]).map(({ name }) => name),
      ["attention=4%", "attention=8%"],
    );
    assert.deepEqual(
      sweepPoints([mlp]).map(({ name }) => name),
      ["mlp=50%"],
    );
    const placement = { path: "placement", values: ["even", { every: 8 }, { at: [1, 2] }] };
    assert.deepEqual(
      sweepPoints([placement]).map(({ name }) => name),
      ["placement=even", "placement=every:8", "placement=at:1+2"],
    );
    const long = { path: "pattern", values: ["M-".repeat(20), "M*-"] };
    assert.deepEqual(
      sweepPoints([long]).map(({ name }) => name),
      ["pattern=#1", "pattern=M*-"],
    );
  });
});

describe("planCandidates", () => {
  it("is the model itself where there is no sweep", () => {
    const { candidates, dropped } = planCandidates(study(modelDefaults));
    assert.deepEqual([candidates.length, candidates[0]?.name, dropped], [1, "example", []]);
  });

  it("gives one kind what the others leave", () => {
    const over = [shares([0, 0.04, 0.08, 0.125, 0.25, 0.5]), { path: "mix.mlp", values: [0.5] }];
    const { candidates } = planCandidates(study(modelDefaults, { over, fill: "mamba2" }));
    assert.deepEqual(
      candidates.map(({ name, plan: { counts } }) => [name, counts.mamba2, counts.attention, counts.mlp]),
      [
        ["attention=0%", 28, 0, 28],
        ["attention=4%", 26, 2, 28],
        ["attention=8%", 24, 4, 28],
        ["attention=12.5%", 21, 7, 28],
        ["attention=25%", 14, 14, 28],
        ["attention=50%", 0, 28, 28],
      ],
    );
  });

  it("fills without the noise of doubles: what 35% and 50% leave of 30 layers is 4.5, rounded to 4", () => {
    const over = [{ path: "mix.mamba2", values: [0.35] }];
    const declared = mixModel(30, { mamba2: 0.4, attention: 0.1, mlp: 0.5 });
    const { candidates } = planCandidates(study(declared, { over, fill: "attention" }));
    assert.equal(Math.round(30 * (1 - 0.35 - 0.5)), 5); // 1 - 0.35 - 0.5 is 0.15000000000000002
    assert.equal(candidates[0]?.plan.mix?.attention, 0.15);
    assert.equal(candidates[0]?.plan.counts.attention, 4);
  });

  it("lists points with equal layers once, and names the first", () => {
    const over = [shares([0.07, 0.08, 0.25])];
    const { candidates, dropped } = planCandidates(study(modelDefaults, { over, fill: "mamba2" }));
    assert.deepEqual(
      candidates.map(({ name }) => name),
      ["attention=7%", "attention=25%"],
    );
    assert.deepEqual(dropped, [
      {
        name: "attention=8%",
        values: { "mix.attention": 0.08 },
        reason: "same layers and sizes as attention=7%",
      },
    ]);
  });

  it("drops what cannot be built, with the reason", () => {
    const over = [{ path: "blocks.attention.kv_heads", values: [8, 5] }];
    const { dropped } = planCandidates(study(modelDefaults, { over }));
    assert.deepEqual(
      dropped.map(({ reason }) => reason),
      ["Expected kv_heads to divide the 32 heads, got 5"],
    );
  });

  it("sweeps any place of the model", () => {
    assert.deepEqual(
      names(study(modelDefaults, { over: [{ path: "placement", values: ["even", { every: 14 }] }] })),
      ["placement=even", "placement=every:14"],
    );
    assert.deepEqual(names(study(modelDefaults, { over: [{ path: "layers", values: [28, 56] }] })), [
      "layers=28",
      "layers=56",
    ]);
    assert.deepEqual(
      names(study(patternModel("M*"), { over: [{ path: "pattern", values: ["M-", "M*-"] }] })),
      ["pattern=M-", "pattern=M*-"],
    );
    assert.deepEqual(
      names(study(modelDefaults, { over: [{ path: "tie_embeddings", values: [true, false] }] })),
      ["tie_embeddings=true", "tie_embeddings=false"],
    );
  });

  it("says what a path does not take", () => {
    const one = (path: string, value: unknown) =>
      refusal(() => planCandidates(study(modelDefaults, { over: [{ path, values: [value] }] })));
    assert.deepEqual(one("hidden", 0.5).help, [
      "hidden=0.5: Expected a whole number above 0 at model.hidden, got 0.5",
    ]);
    assert.deepEqual(one("widht", 3).help, ["widht=3: Expected a place of the model at model.widht, got 3"]);
    assert.equal(one("blocks.cross_attention.heads", 8).code, "LMX2014");
  });
});

describe("sweep.where", () => {
  it("drops what breaks a constraint, with the value", () => {
    const over = [shares([0, 0.25, 0.5])];
    const where = [{ metric: "kv_bytes_per_token", max: 60_000 }];
    const { candidates, dropped } = planCandidates(study(modelDefaults, { over, fill: "mamba2", where }));
    assert.deepEqual(
      candidates.map(({ name }) => name),
      ["attention=0%", "attention=25%"],
    );
    assert.deepEqual(
      dropped.map(({ reason }) => reason),
      ["kv_bytes_per_token is 112.0 KiB (114.7 KB), above the limit of 58.59 KiB (60.00 KB)"],
    );
  });

  it("refuses a sweep of which nothing is left, with the reasons", () => {
    const where = [{ metric: "params", max: 1e9 }];
    const refused = refusal(() =>
      planCandidates(study(modelDefaults, { over: [{ path: "hidden", values: [4096] }], where })),
    );
    assert.deepEqual([refused.code, refused.exitCode], ["LMX2014", 4]);
    assert.deepEqual(refused.help, ["hidden=4096: params is 8.655 B, above the limit of 1.000 B"]);
  });

  it("knows its metrics", () => {
    const refused = refusal(() => metricOf(plan(study(modelDefaults)), "speed"));
    assert.deepEqual([refused.code, refused.message], ["LMX2016", "Expected a metric, got speed"]);
    assert.equal(refusal(() => metricOf(plan(study(modelDefaults)), "toString")).code, "LMX2016");
  });
});

describe("sweep.match", () => {
  const match = (on: "params" | "active_params" | "flops", tolerance: number): Partial<SweepSpec> => ({
    match: { on, tolerance },
  });

  for (const on of ["params", "active_params", "flops"] as const) {
    it(`brings every candidate within 0.5% of the declared model's ${on}`, () => {
      const spec = study(modelDefaults, {
        over: [shares([0, 0.08, 0.25, 0.5])],
        fill: "mamba2",
        ...match(on, 0.005),
      });
      const target = metricOf(plan(spec), on);
      const { candidates } = planCandidates(spec);
      assert.equal(candidates.length, 4);
      for (const candidate of candidates) {
        const miss = Math.abs(metricOf(candidate.plan, on) / target - 1);
        assert.ok(miss <= 0.005, `${candidate.name} misses by ${miss}`);
        assert.equal(candidate.plan.hidden % 8, 0);
      }
      assert.equal(candidates[1]?.plan.hidden, 4096);
      assert.ok(
        !candidates[1]?.plan.notes.some(({ code }) => code === "LMX2104"),
        "the declared mix keeps its size",
      );
      assert.ok(
        candidates[3]?.plan.notes.some(
          ({ code, message }) => code === "LMX2104" && message.includes("hidden 4096 -> "),
        ),
      );
    });
  }

  it("meets 2% for small models too, by the MLP width where hidden steps are too coarse", () => {
    const small = model({
      hidden: 64,
      vocab: 256,
      blocks: {},
      layout: {
        kind: "mix",
        mix: { mamba2: 0.4, attention: 0.1, mlp: 0.5 },
        layers: 10,
        placement: { kind: "even" },
      },
    });
    const spec = study(small, {
      over: [shares([0, 0.1, 0.3, 0.5])],
      fill: "mamba2",
      ...match("params", 0.01),
    });
    const target = metricOf(plan(spec), "params");
    for (const { name, plan: planned } of planCandidates(spec).candidates) {
      const miss = Math.abs(metricOf(planned, "params") / target - 1);
      assert.ok(miss <= 0.01, `${name} misses by ${miss}: ${planned.notes.at(-1)?.message}`);
    }
  });

  it("takes the nearest and says so when the tolerance is out of reach", () => {
    const tiny = patternModel("MM", { hidden: 64, vocab: 16, blocks: {} });
    const spec = study(tiny, { over: [{ path: "pattern", values: ["M", "MMM"] }], ...match("params", 1e-9) });
    const { candidates } = planCandidates(spec);
    for (const { plan: planned } of candidates) {
      const [note] = planned.notes.filter(({ code }) => code === "LMX2105");
      assert.match(note?.message ?? "", /^not within 1e-7% of the target; nearest: hidden 64 -> \d+ \(/);
    }
  });

  it("never lands outside the tolerance without saying so", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 4, max: 40 }),
        fc.integer({ min: 8, max: 200 }).map((units) => units * 8),
        fc.nat(50),
        fc.constantFrom("params" as const, "flops" as const),
        (layers, hidden, share, on) => {
          const mix = { mamba2: 0.45, attention: 0.05, mlp: 0.5 };
          const declared = model({
            hidden,
            vocab: 1000,
            blocks: {},
            layout: { kind: "mix", mix, layers, placement: { kind: "even" } },
          });
          const spec = study(declared, { over: [shares([share / 100])], fill: "mamba2", ...match(on, 0.02) });
          const target = metricOf(plan(spec), on);
          const [candidate] = planCandidates(spec).candidates;
          assert.ok(candidate !== undefined);
          const miss = Math.abs(metricOf(candidate.plan, on) / target - 1);
          const told = candidate.plan.notes.some(({ code }) => code === "LMX2105");
          assert.equal(miss > 0.02, told, `misses by ${miss}`);
        },
      ),
      { numRuns: 200 },
    );
  });
});
