// Proxies: the candidate's mix at another depth and width, blocks rescaled unless the override decides their
// shape.

import assert from "node:assert/strict";
import { planCandidates, proxyPlan } from "../../src/estimate/candidates.js";
import { metricOf } from "../../src/estimate/metrics.js";
import { patternFromRatios } from "../../src/plan/pattern_from_ratios.js";
import type { ModelSpec, SweepSpec } from "../../src/spec/spec.js";
import { modelDefaults, patternModel, proxy, study } from "./example_models.js";
import { refusal } from "./refusal.js";

/** The proxies of a study's candidates. */
function proxies(model: ModelSpec, overrides: Record<string, unknown>, sweep?: Partial<SweepSpec>) {
  const spec = study(model, sweep, { proxy: proxy(overrides) });
  return planCandidates(spec).candidates.map((candidate) => proxyPlan(spec, candidate));
}

describe("proxyPlan", () => {
  it("places the candidate's mix anew at the proxy's depth", () => {
    const over = [{ path: "mix.attention", values: [0, 0.08, 0.5] }];
    const planned = proxies(modelDefaults, { layers: 24, hidden: 256, vocab: 512 }, { over, fill: "mamba2" });
    assert.deepEqual(
      planned.map(({ pattern }) => pattern),
      [0, 0.08, 0.5].map((share) => patternFromRatios(24, share, 0.5)),
    );
    for (const { hidden, vocab } of planned) assert.deepEqual([hidden, vocab], [256, 512]);
  });

  it("rescales blocks with the width: ratios kept, at least four heads", () => {
    const [planned] = proxies(modelDefaults, { hidden: 256 });
    const options = (kind: string) => planned?.layers.find(({ block }) => block.kind === kind)?.options;
    assert.deepEqual(options("mamba2"), {
      heads: 8,
      headDim: 64,
      groups: 1,
      state: 128,
      conv: 4,
      chunk: 128,
      dtMin: 0,
      gatedNorm: true,
      bias: false,
      outputBias: false,
      convBias: true,
    });
    assert.deepEqual(options("attention"), {
      heads: 4,
      kvHeads: 1,
      headDim: 64,
      rotaryDim: 0,
      ropeTheta: 10_000,
      window: 0,
      gated: false,
      qkNorm: "none",
      qkvBias: false,
      outputBias: false,
    });
    assert.deepEqual(options("mlp"), { width: 1024, activation: "gelu", gated: false, bias: false });
  });

  it("leaves the shape to an override that touches it, and keeps the other options", () => {
    const [planned] = proxies(modelDefaults, {
      hidden: 256,
      blocks: { mamba2: { head_dim: 32, state: 16 }, attention: { heads: 2 } },
    });
    const options = (kind: string) => planned?.layers.find(({ block }) => block.kind === kind)?.options;
    assert.deepEqual(options("mamba2"), {
      heads: 16,
      headDim: 32,
      groups: 8,
      state: 16,
      conv: 4,
      chunk: 64,
      dtMin: 0,
      gatedNorm: true,
      bias: false,
      outputBias: false,
      convBias: true,
    });
    assert.deepEqual(options("attention"), {
      heads: 2,
      kvHeads: 2,
      headDim: 128,
      rotaryDim: 0,
      ropeTheta: 10_000,
      window: 0,
      gated: false,
      qkNorm: "none",
      qkvBias: false,
      outputBias: false,
    });
  });

  it("is the candidate's own plan without a proxy section", () => {
    const spec = study(modelDefaults);
    const [candidate] = planCandidates(spec).candidates;
    assert.equal(proxyPlan(spec, candidate!), candidate?.plan);
  });

  it("matches proxies to each other where the sweep matches candidates", () => {
    const over = [{ path: "mix.attention", values: [0, 0.08, 0.25, 0.5] }];
    const sweep: Partial<SweepSpec> = { over, fill: "mamba2", match: { on: "params", tolerance: 0.02 } };
    const sizes = proxies(modelDefaults, { layers: 24, hidden: 256, vocab: 256 }, sweep).map((planned) =>
      metricOf(planned, "params"),
    );
    assert.ok(Math.max(...sizes) / Math.min(...sizes) < 1.02 / 0.98, `sizes ${sizes}`);
  });

  it("takes a pattern to depths that keep its shares, and names them", () => {
    const nemotron = patternModel("M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M-");
    const [planned] = proxies(nemotron, { layers: 26, hidden: 512 });
    assert.deepEqual(planned?.counts, { mamba2: 12, attention: 2, mlp: 12 });
    assert.equal(
      planned?.notes[0]?.message,
      "the pattern of 52 layers is placed anew, evenly, over 26 layers",
    );
    const refused = refusal(() => proxies(nemotron, { layers: 24 }));
    assert.deepEqual(
      [refused.code, refused.help[0]],
      ["LMX2015", "use a multiple of 13 layers, or give proxy.model.pattern"],
    );
    assert.equal(proxies(nemotron, { pattern: "M*-" })[0]?.pattern, "M*-");
  });
});
