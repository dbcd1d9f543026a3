// plan(): every layer decided, with its options, and what is refused.

import assert from "node:assert/strict";
import { toNativeModel } from "../../src/plan/native_model.js";
import { plan, planModel } from "../../src/plan/plan.js";
import type { Placement } from "../../src/spec/spec.js";
import { mixModel, model, modelDefaults, patternModel, study } from "./example_models.js";
import { refusal } from "./refusal.js";

describe("plan", () => {
  it("decides every layer of the founding paper's hybrid", () => {
    const planned = plan(study(modelDefaults));
    assert.equal(planned.name, "example");
    assert.equal(planned.pattern, "M-M-M--M-M*-M-M-M-M--M*-M-M-M-M-M*--M-M-M-M-M*-M--M-M-M-");
    assert.deepEqual(planned.counts, { mamba2: 24, attention: 4, mlp: 28 });
    assert.deepEqual(planned.mix, { mamba2: 0.43, attention: 0.07, mlp: 0.5 });
    assert.equal(planned.layers.length, 56);
    for (const [i, layer] of planned.layers.entries()) {
      assert.equal(layer.index, i);
      assert.equal(layer.block.symbol, planned.pattern[i]);
    }
  });

  it("takes one layer and one kind alone, whatever the placement", () => {
    for (const [kind, symbol] of [
      ["mamba2", "M"],
      ["attention", "*"],
      ["mlp", "-"],
    ] as const) {
      const others = { mamba2: 0, attention: 0, mlp: 0 };
      for (const layers of [1, 2, 10_000]) {
        for (const placement of ["even", "halves"] as const) {
          const planned = planModel(mixModel(layers, { ...others, [kind]: 1 }, { kind: placement }), "x");
          assert.equal(planned.pattern, symbol.repeat(layers), `${layers} x ${kind}, ${placement}`);
          assert.deepEqual(planned.notes, []);
        }
      }
    }
    const each = (placement: Placement) => planModel(mixModel(1, { attention: 1 }, placement), "x").pattern;
    assert.equal(each({ kind: "alternate" }), "*");
    assert.equal(each({ kind: "every", every: 1 }), "*");
    assert.equal(each({ kind: "at", at: [0] }), "*");
  });

  it("keeps kinds without a layer in the counts, and needs no options for them", () => {
    const planned = planModel(
      patternModel("M-M-", { hidden: 100, blocks: { mamba2: { head_dim: 25 }, attention: { heads: 7 } } }),
      "x",
    );
    assert.deepEqual(planned.counts, { mamba2: 2, attention: 0, mlp: 2 });
  });

  it("says when a default had to be adapted: two heads cannot have eight groups", () => {
    const { notes } = planModel(patternModel("M", { hidden: 64, blocks: {} }), "x");
    assert.deepEqual(notes, [
      { code: "LMX2103", message: "mamba2: groups is 2 instead of the default 8, to divide the 2 heads" },
    ]);
  });

  it("gives all problems of a model at once, with their places", () => {
    const blocks = { mamba2: { heads: 10, groups: 4 }, attention: { heads: 6, kv_heads: 4, head_dim: 8 } };
    const refused = refusal(() => planModel(patternModel("M", { blocks }), "x"));
    assert.deepEqual(
      [refused.code, refused.exitCode, refused.message, refused.path],
      ["LMX2011", 4, "Expected groups to divide the 10 heads, got 4", "model.blocks.mamba2.groups"],
    );
    assert.equal(
      refusal(() => planModel(patternModel("*", { blocks }), "x")).path,
      "model.blocks.attention.kv_heads",
    );
  });

  it("fills a mix that an axis completes", () => {
    const declared = mixModel(12, { mlp: 0.5 });
    const sweep = { over: [{ path: "mix.attention", values: [0.25] }], fill: "mamba2" };
    assert.equal(plan(study(declared, sweep)).pattern, "M-M-M-M-M-M-");
  });
});

describe("the native model of a plan", () => {
  it("lists every layer as the library takes it", () => {
    const rope = { kind: "rope", theta: 500_000, fraction: 0.5 };
    const planned = planModel(
      patternModel("M*-", {
        hidden: 256,
        vocab: 300,
        tieEmbeddings: true,
        blocks: {
          mamba2: { state: 16, head_dim: 32, groups: 2, dt_min: 0.001 },
          attention: { heads: 4, kv_heads: 2, position: rope },
          mlp: { width: 640, activation: "silu", gated: true },
        },
      }),
      "x",
    );
    assert.deepEqual(toNativeModel(planned), {
      hidden: 256,
      vocab: 300,
      tieEmbeddings: true,
      normEps: 1e-5,
      layers: [
        { kind: "mamba2", heads: 16, headDim: 32, groups: 2, state: 16, conv: 4, chunk: 64, dtMin: 0.001 },
        { kind: "attention", heads: 4, kvHeads: 2, headDim: 64, rotaryDim: 32, ropeTheta: 500_000 },
        { kind: "mlp", width: 640, activation: "silu", gated: true },
      ],
    });
  });
});

describe("a plan's cost in objects", () => {
  it("shares layers between candidates of one resolver", () => {
    const spec = model({ layout: { kind: "pattern", pattern: "MM" } });
    const first = planModel(spec, "a");
    assert.equal(first.layers[0]?.options, first.layers[1]?.options);
  });
});
