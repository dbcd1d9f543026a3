// The kinds of published hybrids, each from several sides that were written apart: parameters, exact FLOPs, state, and
// the operations of inference have to agree; recurrences are counted by loops that carry them out. (Parameters against
// transformers: test/interop/import_huggingface.test.ts.)

import assert from "node:assert/strict";
import fc from "fast-check";
import type { Block, BlockContext, InferencePass } from "../../src/block/block.js";
import { gatedDeltaNet } from "../../src/block/gated_deltanet.js";
import { kda } from "../../src/block/kda.js";
import { lightning } from "../../src/block/lightning.js";
import { mamba1 } from "../../src/block/mamba1.js";
import { mla } from "../../src/block/mla.js";
import { moe, visitedExperts } from "../../src/block/moe.js";
import { operationCost, type TrafficClass } from "../../src/block/operations.js";
import { blockByKind, blocks } from "../../src/block/registry.js";
import { rgLru } from "../../src/block/rg_lru.js";

const context: BlockContext = { hidden: 2048, layers: 8 };

/** Options that differ from the defaults, several for kinds with variants; every kind has at least one. */
const raws: readonly (readonly [string, Readonly<Record<string, unknown>>])[] = [
  ["mamba2", { heads: 32, groups: 4, gated_norm: false, bias: true }],
  ["mamba1", { state: 16, dt_rank: 128, parameter_norm: "weighted" }],
  ["mamba1", { width: 3072, state: 8, conv: 3, bias: true }],
  ["gated_deltanet", { key_heads: 16, value_heads: 32, key_dim: 128, value_dim: 64 }],
  ["kda", { heads: 16, head_dim: 64 }],
  ["rg_lru", { width: 2560, heads: 8 }],
  ["short_conv", { conv: 3, bias: true }],
  ["lightning", { heads: 16, head_dim: 96 }],
  ["attention", { heads: 16, kv_heads: 4, head_dim: 128, gated: true, qk_norm: "head", window: 100 }],
  ["sliding_attention", { heads: 16, kv_heads: 4, window: 64, output_bias: true }],
  ["mla", { heads: 16, kv_rank: 512, nope_dim: 96, rope_dim: 32, value_dim: 64 }],
  ["mla", { heads: 16, q_rank: 768, bias: true }],
  ["parallel", { mamba2: { heads: 24, groups: 2 }, attention: { heads: 16, kv_heads: 2 } }],
  ["parallel", { mamba1: {}, sliding_attention: { heads: 16, window: 50 } }],
  [
    "shared_transformer",
    { copies: 2, adapter_rank: 64, attention_adapters: true, attention: { heads: 32 }, mlp: { width: 8192 } },
  ],
  ["mlp", { width: 6144, gated: true, bias: true }],
  ["moe", { experts: 16, top_k: 4, width: 1024, gated: true, shared_width: 2048, shared_gate: true }],
  ["moe", { experts: 32, top_k: 3, width: 1536, latent: 512, activation: "relu2", router_bias: true }],
];
const kinds = raws.map(([kind, raw]) => [blockByKind(kind)!, raw] as const);
const anyKind = fc.constantFrom(...kinds);

function totals(block: Block, options: unknown, pass: InferencePass) {
  const sum: Record<TrafficClass | "flops", number> = {
    ...{ flops: 0, weights: 0, parameters: 0, kv: 0, state: 0, window: 0, activations: 0, statistics: 0 },
  };
  for (const { operation, times = 1 } of block.inference(options, context, pass)) {
    const { flops, traffic } = operationCost(operation);
    sum.flops += times * flops;
    for (const [name, elements] of Object.entries(traffic)) sum[name as TrafficClass] += times * elements;
  }
  return sum;
}

const near = (got: number, expected: number, what: string) =>
  assert.ok(Math.abs(got - expected) <= 1e-9 * Math.abs(expected), `${what}: ${got} instead of ${expected}`);

/** Matrices that one token is multiplied with, the layer's shared ones included. */
function visitedMatrixElements(block: Block, options: unknown): number {
  const tensors = [
    ...block.parameters(options, context),
    ...(block.sharedParameters?.(options, context, 1) ?? []),
  ];
  return tensors
    .filter(({ name, decayed }) => decayed && !name.includes("conv1d"))
    .reduce((sum, { shape, visited }) => {
      const elements = shape.reduce((a, b) => a * b, 1);
      return sum + (visited === undefined ? elements : (elements / shape[0]!) * visited);
    }, 0);
}

describe("the kinds of published hybrids", () => {
  it("are all tried here", () =>
    assert.deepEqual([...new Set(raws.map(([kind]) => kind))].sort(), blocks.map(({ kind }) => kind).sort()));

  it("are built without a complaint, from options and from none", () => {
    for (const [block, raw] of kinds) {
      assert.deepEqual(block.check(block.resolve(raw, context), context), [], block.kind);
      assert.deepEqual(block.check(block.resolve({}, context), context), [], block.kind);
    }
  });

  it("do in prefill the FLOPs of their forward pass", () => {
    fc.assert(
      fc.property(
        anyKind,
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 300 }),
        (kind, batch, time) => {
          const [block, raw] = kind;
          const options = block.resolve(raw, context);
          const { flops } = totals(block, options, { phase: "prefill", batch, time });
          near(flops, block.flops(options, context, { batch, sequence: time }).forward, block.kind);
        },
      ),
    );
  });

  it("read for one token the matrices that it visits, once each", () => {
    for (const [block, raw] of kinds) {
      const options = block.resolve(raw, context);
      const { weights } = totals(block, options, { phase: "decode", batch: 1, context: 9 });
      near(weights, visitedMatrixElements(block, options), block.kind);
    }
  });

  it("read and write their state and the inputs of their convolutions", () => {
    for (const [block, raw] of kinds) {
      const options = block.resolve(raw, context);
      const recurrent = block.recurrentElementsPerSequence(options);
      const { state, window } = totals(block, options, { phase: "decode", batch: 3, context: 9 });
      assert.equal(state, 2 * 3 * recurrent, block.kind);
      assert.equal(window, 2 * 3 * (block.stateElementsPerSequence(options) - recurrent), block.kind);
    }
  });

  it("read from the cache what a context leaves in it", () => {
    for (const [block, raw] of kinds) {
      const options = block.resolve(raw, context);
      for (const tokens of [10, 1000]) {
        const { kv } = totals(block, options, { phase: "decode", batch: 1, context: tokens });
        const kept = block.cachedTokens?.(options, tokens) ?? tokens;
        near(kv, block.kvElementsPerToken(options) * (kept + 1), block.kind); // and append one token's
      }
    }
  });

  it("keep at most a window in the cache", () => {
    const [block, raw] = kinds.find(([{ kind }]) => kind === "sliding_attention")!;
    const options = block.resolve(raw, context);
    assert.deepEqual(
      [1, 63, 64, 65, 10_000].map((tokens) => block.cachedTokens!(options, tokens)),
      [1, 63, 64, 64, 64],
    );
  });

  it("can be divided among devices, each with its share of what a token is multiplied with", () => {
    for (const [block, raw] of kinds) {
      const options = block.resolve(raw, context);
      const slice = block.shard(options, 2);
      assert.notEqual(typeof slice, "string", `${block.kind}: ${slice}`);
      const whole = visitedMatrixElements(block, options);
      const half = visitedMatrixElements(block, slice);
      // What projects to or from a width that is not divided is held by every device.
      assert.ok(half >= whole / 2 && half < whole * 0.8, `${block.kind}: ${half} of ${whole}`);
    }
  });

  it("can be rescaled to any width that is a multiple of 8 and still be built, about as large per width²", () => {
    fc.assert(
      fc.property(anyKind, fc.integer({ min: 8, max: 1000 }), ([block, raw], eighth) => {
        const to = { hidden: 8 * eighth, layers: 8 };
        const options = block.resolve(block.rescale(raw, context, to), to);
        assert.deepEqual(block.check(options, to), [], `${block.kind} at ${to.hidden}`);
        if (to.hidden < 1024) return; // few heads: rounding dominates
        const perWidth = (o: unknown, at: BlockContext) =>
          [...block.parameters(o, at), ...(block.sharedParameters?.(o, at, 1) ?? [])]
            .filter(({ shape }) => shape.length > 1)
            .reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0) /
          at.hidden ** 2;
        const ratio = perWidth(options, to) / perWidth(block.resolve(raw, context), context);
        assert.ok(ratio > 0.6 && ratio < 1.6, `${block.kind} at ${to.hidden}: ${ratio}`);
      }),
      { numRuns: 300 },
    );
  });

  it("keep their options when rescaled to the width they have", () => {
    for (const [block, raw] of kinds) {
      const same = block.resolve(block.rescale(raw, context, context), context);
      assert.deepEqual(same, block.resolve(raw, context), block.kind);
    }
  });

  it("name their tensors once each", () => {
    for (const [block, raw] of kinds) {
      const options = block.resolve(raw, context);
      const tensors = [
        ...block.parameters(options, context),
        ...(block.sharedParameters?.(options, context, 3) ?? []),
      ];
      assert.equal(new Set(tensors.map(({ name }) => name)).size, tensors.length, block.kind);
      for (const { shape } of tensors)
        assert.ok(
          shape.every((n) => Number.isSafeInteger(n) && n > 0),
          block.kind,
        );
    }
  });
});

describe("options that contradict each other", () => {
  const first = (kind: string, raw: Record<string, unknown>) => {
    const block = blockByKind(kind)!;
    const [issue] = block.check(block.resolve(raw, context), context);
    return issue && [issue.option, issue.message];
  };
  const refused: [string, Record<string, unknown>, string, string][] = [
    [
      "gated_deltanet",
      { key_heads: 3, value_heads: 8 },
      "key_heads",
      "Expected key_heads to divide the 8 value heads, got 3",
    ],
    [
      "rg_lru",
      { width: 100, heads: 3 },
      "heads",
      "Expected heads to divide the 100 channels of the recurrence, got 3",
    ],
    [
      "mamba1",
      { expand: 1.0001 },
      "expand",
      "Expected expand * hidden to be a whole number of channels, got 2048.2048",
    ],
    [
      "moe",
      { experts: 4, top_k: 5 },
      "top_k",
      "Expected a token to visit at most the 4 experts there are, got 5",
    ],
    ["moe", { shared_gate: true }, "shared_gate", "Expected shared experts for the gate on them, got none"],
    ["parallel", { attention: {} }, "", "Expected at least two mixers side by side, got attention alone"],
    [
      "parallel",
      { mamba2: {}, attention: { heads: 16, kv_heads: 3 } },
      "attention.kv_heads",
      "Expected kv_heads to divide the 16 heads, got 3",
    ],
    [
      "shared_transformer",
      { attention_adapters: true },
      "attention_adapters",
      "Expected a rank for the adapters of attention, got none",
    ],
  ];
  for (const [kind, raw, option, message] of refused) {
    it(`${kind} ${JSON.stringify(raw)}`, () => assert.deepEqual(first(kind, raw), [option, message]));
  }
});

describe("exact FLOPs of recurrences, by loops that carry them out", () => {
  const small: BlockContext = { hidden: 8, layers: 1 };
  /** What is left of a block's FLOPs for one token without its projections and convolution of one tap. */
  const scan = (block: Block, options: unknown, perToken: number, convChannels: number) => {
    const { forward, backward } = block.flops(options, small, { batch: 1, sequence: 1 });
    const products = 2 * perToken + 2 * convChannels;
    return [forward - products, backward - 2 * products];
  };

  it("of Mamba-1: a decay per channel and state", () => {
    const [d, n] = [12, 5];
    let [forward, backward] = [0, 0];
    for (let c = 0; c < d; c += 1) {
      forward += 1 + 2; // dt x; D x added
      backward += 3 + 2 + 2; // dx = dt du + D dy; dD; d(dt) of dt x
      for (let s = 0; s < n; s += 1) {
        forward += 1 + 1 + 2 + 2; // dt A; a h; (dt x) B added; h C added
        backward += 2 + 2 + 2 + 2; // dh of y; dC; du; dB
        backward += 1 + 1 + 2 + 2 + 1; // da = dh h; d(dt A) = da a; d(dt); dA; dh before
      }
    }
    const options = mamba1.resolve({ width: d, state: n, dt_rank: 3, conv: 1 }, small);
    assert.deepEqual(scan(mamba1 as Block, options, d * (3 * 8 + 3 + 2 * n + 3), d), [forward, backward]);
  });

  it("of the delta rule: gated DeltaNet and KDA", () => {
    const [heads, keys, values] = [3, 4, 5];
    const count = (h: number, k: number, v: number) => {
      let [forward, backward] = [0, 0];
      for (let head = 0; head < h; head += 1) {
        for (let j = 0; j < v; j += 1) {
          forward += 2; // v - S' k; times the strength
          backward += 2 + 1; // d(strength); de
          for (let i = 0; i < k; i += 1) {
            forward += 1 + 2 + 2 + 2; // a S; S' k; + k e'; S' q
            backward += 2 + 2; // dS += q do'; dq += S do
            backward += 2 + 2; // dk += dS e; de += dS' k
            backward += 2 + 2; // dk -= S de; dS -= k de'
            backward += 2 + 1; // da; a dS
          }
        }
      }
      return [forward, backward];
    };
    const g = gatedDeltaNet.resolve(
      { key_heads: 3, value_heads: heads, key_dim: keys, value_dim: values, conv: 1 },
      small,
    );
    const projected = 2 * heads * keys + 2 * heads * values + 2 * heads + heads * values;
    assert.deepEqual(
      scan(gatedDeltaNet as Block, g, 8 * projected, 2 * heads * keys + heads * values),
      count(heads, keys, values),
    );
    const k = kda.resolve({ heads, head_dim: keys, conv: 1 }, small);
    const d = heads * keys;
    const products = 8 * (4 * d + 2 * keys + heads) + 2 * keys * d;
    assert.deepEqual(scan(kda as Block, k, products, 3 * d), count(heads, keys, keys));
  });

  it("of lightning attention: a fixed decay", () => {
    const [heads, dim] = [3, 4];
    let [forward, backward] = [0, 0];
    for (let element = 0; element < heads * dim * dim; element += 1) {
      forward += 1 + 2 + 2; // a S; k v' added; S' q
      backward += 2 + 2 + 2 + 2 + 1; // dq; dS; dk; dv; a dS
    }
    const options = lightning.resolve({ heads, head_dim: dim }, small);
    assert.deepEqual(scan(lightning as Block, options, 8 * 5 * heads * dim, 0), [forward, backward]);
  });

  it("of the RG-LRU, whose gates are block-diagonal", () => {
    const options = rgLru.resolve({ width: 12, heads: 3, conv: 1 }, small);
    let gates = 0;
    for (let gate = 0; gate < 2; gate += 1) for (let h = 0; h < 3; h += 1) gates += 4 * 4;
    assert.deepEqual(scan(rgLru as Block, options, 3 * 8 * 12 + gates, 12), [3 * 12, 5 * 12]);
  });

  it("of latent attention: scores over the channels with and without position, values apart", () => {
    const options = mla.resolve({ heads: 2, kv_rank: 6, nope_dim: 4, rope_dim: 2, value_dim: 3 }, small);
    const at = (sequence: number) => mla.flops(options, small, { batch: 1, sequence }).forward;
    let pairs = 0;
    for (let q = 0; q < 7; q += 1) for (let k = 0; k <= q; k += 1) pairs += 1;
    assert.equal(at(7) - 7 * (at(1) - 2 * 2 * (4 + 2 + 3)), pairs * 2 * 2 * (4 + 2 + 3));
  });

  it("of a mixture of experts: the experts that a token visits, and the router over all", () => {
    const options = moe.resolve({ experts: 6, top_k: 2, width: 10, shared_width: 4, gated: true }, small);
    let perToken = 8 * 6; // router
    for (let expert = 0; expert < 2; expert += 1) perToken += 3 * 8 * 10;
    perToken += 3 * 8 * 4;
    assert.equal(moe.flops(options, small, { batch: 2, sequence: 5 }).forward, 2 * 10 * perToken);
  });

  it("reads as many experts as tokens visit at random", () => {
    assert.equal(visitedExperts(8, 2, 1), 2);
    assert.ok(Math.abs(visitedExperts(8, 2, 2) - 3.5) < 1e-12); // the second token finds 6 of 8 unvisited
    assert.ok(Math.abs(visitedExperts(64, 4, 100_000) - 64) < 1e-9);
  });
});
