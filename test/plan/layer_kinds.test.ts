// Shares, patterns and plans with kinds beyond Megatron's three, and with kinds that a study file names itself.

import assert from "node:assert/strict";
import fc from "fast-check";
import { builtInKinds, countLayers, layerKinds } from "../../src/block/layer_kinds.js";
import { planCandidates, proxyPlan } from "../../src/estimate/candidates.js";
import { estimate, kvBytes } from "../../src/estimate/estimate.js";
import { exactFlops, megatronTrainFlops } from "../../src/estimate/flops.js";
import { countParameters, layerParameters } from "../../src/estimate/parameters.js";
import { trainingMemory } from "../../src/estimate/training_memory.js";
import { allocate } from "../../src/plan/allocation.js";
import { layOut } from "../../src/plan/layout.js";
import { nativeGaps, toNativeModel } from "../../src/plan/native_model.js";
import { parsePattern } from "../../src/plan/parse_pattern.js";
import { patternFromRatios } from "../../src/plan/pattern_from_ratios.js";
import { plan, planModel } from "../../src/plan/plan.js";
import type { Plan } from "../../src/plan/plan_types.js";
import { mixModel, model, patternModel, proxy, study } from "./example_models.js";
import { refusal } from "./refusal.js";

const names = builtInKinds.map(({ name }) => name);
/** Shares of a few kinds that total 1. */
const anyMix = fc
  .uniqueArray(fc.tuple(fc.constantFrom(...names), fc.integer({ min: 1, max: 20 })), {
    minLength: 1,
    maxLength: 6,
    selector: ([name]) => name,
  })
  .map((parts) => {
    const total = parts.reduce((sum, [, weight]) => sum + weight, 0);
    return Object.fromEntries(parts.map(([name, weight]) => [name, weight / total]));
  });
const even = { kind: "even" } as const;
const lay = (layers: number, mix: Record<string, number>) =>
  layOut({ kind: "mix", mix, layers, placement: even });

describe("shares of any kinds", () => {
  it("become whole layers: as many as the depth, each kind within a layer of its share where there is room", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 130 }), anyMix, (layers, mix) => {
        const counts = allocate(layers, mix);
        const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
        assert.equal(total, layers);
        for (const count of Object.values(counts)) assert.ok(Number.isInteger(count) && count >= 0);
        const kinds = Object.keys(mix).length;
        for (const [kind, share] of Object.entries(mix)) {
          // The base kind takes the rounding of all others; where it runs out, the last kinds give way.
          assert.ok(
            Math.abs((counts[kind] ?? 0) - layers * share) <= kinds / 2 + 1e-9,
            `${kind} of ${layers}`,
          );
        }
      }),
    );
  });

  it("are laid out with exactly these counts", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 130 }), anyMix, (layers, mix) => {
        const { pattern, counts } = lay(layers, mix);
        assert.equal(pattern.length, layers);
        const classic = Object.keys(mix).every((kind) => ["mamba2", "attention", "mlp"].includes(kind));
        if (!classic) assert.deepEqual(counts, nonZero(allocate(layers, mix)));
      }),
    );
  });

  it("put kinds where Megatron's algorithm puts their roles", () => {
    assert.equal(
      lay(24, { gated_deltanet: 0.42, attention: 0.08, moe: 0.5 }).pattern,
      "G-G-G--*G-G-G-G-*G--G-G-".replaceAll("-", "E"),
    );
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100 }), fc.nat(100), fc.nat(100), (layers, a, m) => {
        fc.pre(a + m <= 100 && a + m < 100);
        const mix = { mamba1: (100 - a - m) / 100, mla: a / 100, moe: m / 100 };
        const counts = allocate(layers, mix);
        const roles = patternFromRatios(layers, (counts.mla ?? 0) / layers, (counts.moe ?? 0) / layers);
        const { pattern } = lay(layers, mix);
        assert.equal(pattern.replaceAll("1", "M").replaceAll("+", "*").replaceAll("E", "-"), roles);
      }),
    );
  });

  it("deal the places of a role out evenly among its kinds", () => {
    assert.equal(lay(12, { attention: 0.25, sliding_attention: 0.75 }).pattern, "W*WWW*WWW*WW".slice(0, 12));
    assert.equal(lay(8, { mamba2: 0.5, mlp: 0.25, moe: 0.25 }).pattern, "M-MEM-ME");
    const { pattern } = lay(64, { mamba2: 0.375, rg_lru: 0.125, mlp: 0.5 });
    for (let i = 0; i < 64; i += 8) assert.equal(pattern.slice(i, i + 8).split("R").length - 1, 1);
  });
});

function nonZero(counts: Readonly<Record<string, number>>): Record<string, number> {
  const always = ["mamba2", "attention", "mlp"];
  return Object.fromEntries(Object.entries(counts).filter(([kind, n]) => n > 0 || always.includes(kind)));
}

describe("patterns", () => {
  const symbols = builtInKinds.map(({ symbol }) => symbol).filter((symbol) => symbol !== "+");

  it("of any kinds survive parsing: symbols, counts, length", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...symbols), { minLength: 1, maxLength: 200 }), (layers) => {
        const text = layers.join("");
        const parsed = parsePattern(text);
        assert.deepEqual([parsed.main, parsed.layers, parsed.mtp], [text, layers.length, null]);
        const counted = Object.entries(parsed.counts).flatMap(([symbol, n]) => symbol.repeat(n).split(""));
        assert.deepEqual(counted.sort(), [...layers].sort());
        assert.equal(planModel(patternModel(text, { blocks: {} }), "x").pattern, text);
      }),
    );
  });

  it("count Megatron's symbols always and others where there are any", () => {
    assert.deepEqual(parsePattern("M1R").counts, {
      "*": 0,
      D: 0,
      G: 0,
      M: 1,
      "+": 0,
      "-": 0,
      E: 0,
      "1": 1,
      R: 1,
    });
  });
});

describe("a plan of any kinds", () => {
  const parts = builtInKinds.filter(({ symbol }) => symbol !== "+");

  it("adds up: parameters and FLOPs are those of its layers, the embedding, the head and the norm", () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(...parts), { minLength: 1, maxLength: 12 }),
        fc.boolean(),
        (layers, tied) => {
          const pattern = layers.map(({ symbol }) => symbol).join("");
          const planned = planModel(
            patternModel(pattern, { hidden: 512, vocab: 1000, tieEmbeddings: tied, blocks: {} }),
            "x",
          );
          const context = { hidden: 512, layers: layers.length };
          let total = 512 + 512_000 * (tied ? 1 : 2);
          let forward = 2 * 3 * 40 * 512 * 1000;
          for (const { block, options } of planned.layers) {
            total += layerParameters(block, options, context);
            forward += block.flops(options, context, { batch: 3, sequence: 40 }).forward;
          }
          // One set of shared weights, whatever the number of layers that use it.
          const shared = planned.layers.find(({ block }) => block.sharedParameters !== undefined);
          for (const { shape } of shared?.block.sharedParameters?.(shared.options, context, 1) ?? [])
            total += shape.reduce((a, b) => a * b, 1);
          assert.equal(countParameters(planned).total, total);
          const got = exactFlops(planned, { batch: 3, sequence: 40 }).forward;
          assert.ok(Math.abs(got - forward) <= 1e-9 * forward);
        },
      ),
      { numRuns: 60 },
    );
  });

  it("has active parameters below all of them where a token visits some experts only", () => {
    const planned = planModel(
      patternModel("ME", { blocks: { moe: { experts: 8, top_k: 2, width: 1024 } } }),
      "x",
    );
    const { total, active } = countParameters(planned);
    assert.equal(total - active, 6 * 2 * 4096 * 1024);
  });

  it("has no count of Megatron's where Megatron has no such layer, and nothing for latent attention", () => {
    const flops = (pattern: string) =>
      megatronTrainFlops(planModel(patternModel(pattern), "x"), { batch: 1, sequence: 64 });
    assert.equal(flops("MR"), null);
    assert.equal(flops("M+"), flops("M"));
    // moe: 4 T h f k, gdn: its published formula (docs/flops.md)
    const moe = flops("ME")! - flops("M")!;
    assert.equal(moe, 3 * 4 * 64 * 4096 * (4 * 4096 * 2));
    const [qk, v, heads, dv, taps] = [32 * 128, 64 * 128, 64, 128, 4];
    const gdn =
      2 * 64 * (4096 * (2 * qk + 2 * v + 2 * heads) + taps * (2 * qk + v) + 4 * heads * dv ** 2 + 4096 * v);
    assert.equal(flops("MG")! - flops("M")!, 3 * gdn);
  });

  it("keeps a sliding window and no more", () => {
    const planned = planModel(
      patternModel("*W", { blocks: { sliding_attention: { heads: 8, head_dim: 64, window: 100 } } }),
      "x",
    );
    const perToken = 2 * 2 * 32 * 128; // full attention: 32 heads of 128, 16 bits
    const { memory } = estimate(planned);
    assert.deepEqual(
      [memory.kvBytesPerToken, memory.windowBytesPerSequence],
      [perToken, 100 * 2 * 2 * 8 * 64],
    );
    assert.equal(kvBytes(planned, 50), 50 * (perToken + 2 * 2 * 8 * 64));
    assert.equal(kvBytes(planned, 1000), 1000 * perToken + 100 * 2 * 2 * 8 * 64);
  });

  it("counts a bias for every LayerNorm around the mixers, and for none inside them", () => {
    const more = (pattern: string, blocks = {}) => {
      const [plain, layerNorm] = (["rmsnorm", "layernorm"] as const).map((kind) =>
        planModel(patternModel(pattern, { blocks, norm: { kind, eps: 1e-5 } }), "x"),
      );
      const memory = (planned: Plan) => trainingMemory(planned, { batch: 1, sequence: 64 }, "fp32");
      // Parameters are fp32 in blocks of 64, and the hidden width is a multiple.
      const [before, after] = [memory(plain!), memory(layerNorm!)];
      const biases = countParameters(layerNorm!).total - countParameters(plain!).total;
      assert.equal(after.weights - before.weights, 4 * biases);
      assert.ok(after.activations > before.activations);
      return biases / 4096;
    };
    assert.equal(more("M-*-"), 5);
    assert.equal(more("MM", { mamba2: { gated_norm: false } }), 3);
    assert.equal(more("P"), 2); // one norm before all branches
    assert.equal(more("ZMZ"), 5); // shared: a norm of 2 x 4096 before the attention, one before the MLP
  });

  it("says that LayerNorm is planned only", () => {
    const planned = planModel(patternModel("M*-", { norm: { kind: "layernorm", eps: 1e-5 } }), "x");
    assert.throws(() => toNativeModel(planned), /got LayerNorm \(norm\.kind: layernorm\) in x/);
  });

  it("counts meta tokens and a bias of the head", () => {
    const plain = countParameters(planModel(patternModel("M"), "x")).total;
    const more = countParameters(
      planModel(patternModel("M", { metaTokens: 128, headBias: true }), "x"),
    ).total;
    assert.equal(more - plain, 128 * 4096 + 256_000);
  });
});

describe("kinds that a study file names", () => {
  const blocks = {
    attention: { heads: 32, kv_heads: 8, window: 1024 },
    global: { kind: "attention", symbol: "g", heads: 32, kv_heads: 4 },
  };

  it("have counts, parameters and a symbol of their own", () => {
    const planned = planModel(patternModel("M-g-M-*-", { blocks }), "x");
    assert.deepEqual(planned.counts, { mamba2: 2, attention: 1, global: 1, mlp: 4 });
    const { byKind } = countParameters(planned);
    assert.equal(byKind.attention! - byKind.global!, 4096 * 2 * 4 * 128); // four key-value heads less
    assert.deepEqual(layerKinds(blocks).find(({ name }) => name === "global")?.symbol, "g");
    assert.deepEqual(countLayers("gg*", layerKinds(blocks)), { mamba2: 0, attention: 1, global: 2, mlp: 0 });
  });

  it("can have shares, be swept, matched and scaled down for a proxy", () => {
    const mixed = { ...mixModel(16, { mamba2: 0.375, global: 0.125, mlp: 0.5 }), blocks };
    const swept = study(
      { ...mixed, hidden: 1024 },
      {
        over: [{ path: "mix.global", values: [0.125, 0.25] }],
        fill: "mamba2",
        match: { on: "params", tolerance: 0.02 },
      },
      { proxy: proxy({ hidden: 256, layers: 8 }) },
    );
    const { candidates } = planCandidates(swept);
    assert.deepEqual(
      candidates.map(({ plan: { counts } }) => counts.global),
      [2, 4],
    );
    const [small] = candidates.map((candidate) => proxyPlan(swept, candidate));
    assert.deepEqual([small!.hidden, small!.counts.global], [256, 1]);
  });

  it("are unknown to other models", () => {
    const refused = refusal(() => planModel(patternModel("Mg"), "x"));
    assert.equal(refused.code, "LMX2001");
    assert.equal(refusal(() => lay(8, { global: 1 })).code, "LMX2008");
  });
});

describe("what can be planned but not run", () => {
  it("is said by name", () => {
    const planned = planModel(
      patternModel("ME*-", {
        blocks: {
          attention: { window: 64 },
          mlp: { bias: true },
          moe: {},
          mamba2: { gated_norm: false },
        },
        scaling: { embedding: 12 },
      }),
      "x",
    );
    assert.deepEqual(nativeGaps(planned), [
      "mamba2 with a gate without a norm",
      "moe layers",
      "attention with a sliding window",
      "mlp with biases",
      "multipliers",
    ]);
    const { code, exitCode, message } = refusal(() => toNativeModel(planned));
    assert.deepEqual([code, exitCode], ["LMX2017", 4]);
    assert.match(message, /^Expected a model that the native library runs, got mamba2 with a gate/);
  });

  it("is nothing of Megatron's three kinds as they are by default", () => {
    assert.deepEqual(nativeGaps(plan(study(model()))), []);
    assert.equal(toNativeModel(planModel(patternModel("M*-"), "x")).layers.length, 3);
  });
});
