// What inference consists of: the operations a layer lists for a prompt and for one token. The oracles are counts by
// hand for small layers, and the block's own parameters, FLOPs, cache and state, which are tested elsewhere against
// Megatron, Hugging Face and loops that count every multiplication.

import assert from "node:assert/strict";
import fc from "fast-check";
import { attention } from "../../src/block/attention.js";
import type { Block, BlockContext, InferencePass } from "../../src/block/block.js";
import { mamba2 } from "../../src/block/mamba2.js";
import { mlp } from "../../src/block/mlp.js";
import { causalPairs, type Operation, operationCost, type TrafficClass } from "../../src/block/operations.js";

const context: BlockContext = { hidden: 64, layers: 4 };

function totals(block: Block, options: unknown, pass: InferencePass, at = context) {
  const sum: Record<TrafficClass | "flops", number> = {
    ...{ flops: 0, weights: 0, parameters: 0, kv: 0, state: 0, window: 0, activations: 0, statistics: 0 },
  };
  for (const { operation, times = 1 } of block.inference(options, at, pass)) {
    const { flops, traffic } = operationCost(operation);
    sum.flops += times * flops;
    for (const [name, elements] of Object.entries(traffic)) sum[name as TrafficClass] += times * elements;
  }
  return sum;
}

const matrixElements = (block: Block, options: unknown, at: BlockContext) =>
  block
    .parameters(options, at)
    .filter(({ shape }) => shape.length === 2)
    .reduce((sum, { shape }) => sum + shape[0]! * shape[1]!, 0);

describe("causalPairs", () => {
  it("counts the pairs that a loop over the mask counts", () => {
    for (const [time, window] of [
      [1, 1],
      [7, 7],
      [7, 3],
      [5, 50],
      [64, 16],
    ] as const) {
      let pairs = 0;
      for (let q = 0; q < time; q += 1) for (let k = 0; k <= q; k += 1) if (q - k < window) pairs += 1;
      assert.equal(causalPairs(time, window), pairs, `${time} tokens, window ${window}`);
    }
    assert.equal(causalPairs(4), 10);
  });
});

describe("one decode step of a layer", () => {
  it("of attention: counted by hand", () => {
    const options = attention.resolve({ heads: 4, kv_heads: 2, head_dim: 16 }, context);
    // qkv: 64 -> (4 + 2 + 2) * 16 = 128; two tokens against 10 each; o: 64 -> 64.
    assert.deepEqual(totals(attention, options, { phase: "decode", batch: 2, context: 10 }), {
      flops: 2 * 2 * 64 * 128 + 4 * 2 * 10 * 64 + 2 * 2 * 64 * 64,
      weights: 64 * 128 + 64 * 64,
      parameters: 64, // the pre-norm
      kv: 2 * 2 * 10 * 2 * 16 + 2 * 2 * 2 * 16, // all keys and values read, one of each written
      state: 0,
      window: 0,
      // x in, qkv out; q, k, v in and q out; q in, o out; o in, residual in, y out
      activations: 2 * (64 + 128) + 2 * (128 + 64) + 2 * (64 + 64) + 2 * (64 + 64 + 64),
      statistics: 0,
    });
  });

  it("of Mamba-2: counted by hand", () => {
    const options = mamba2.resolve({ state: 8, head_dim: 16, heads: 4, groups: 2, conv: 4 }, context);
    // d = 64, c = 64 + 2 * 2 * 8 = 96, in_proj: 64 -> 64 + 96 + 4 = 164
    assert.deepEqual(totals(mamba2, options, { phase: "decode", batch: 3, context: 1000 }), {
      flops: 3 * (2 * 64 * 164 + 2 * 96 * 4 + 64 * (5 * 8 + 3) + 2 * 64 * 64),
      weights: 64 * 164 + 64 * 64,
      parameters: 64 + 96 * 5 + 64, // pre-norm, convolution and its bias, gated norm
      kv: 0,
      state: 3 * 2 * 64 * 8, // read and written
      window: 3 * 2 * 96 * 3,
      // in_proj; convolution; x, B, C, dt in and y out; y and z in, normed out; out_proj with residual
      activations: 3 * (64 + 164) + 3 * 2 * 96 + 3 * (2 * 64 + 32 + 4) + 3 * 3 * 64 + 3 * (64 + 2 * 64),
      statistics: 0,
    });
  });

  it("of a gated MLP: counted by hand", () => {
    const options = mlp.resolve({ width: 96, gated: true, activation: "silu" }, context);
    assert.deepEqual(totals(mlp, options, { phase: "decode", batch: 5, context: 7 }), {
      flops: 5 * 3 * 2 * 64 * 96,
      weights: 3 * 64 * 96,
      parameters: 64,
      kv: 0,
      state: 0,
      window: 0,
      activations: 5 * (64 + 96) + 5 * (96 + 2 * 64),
      statistics: 0,
    });
  });

  it("of Mamba-2 does not depend on the context; that of attention grows by one cached token per token", () => {
    const m = mamba2.resolve({}, context);
    const a = attention.resolve({}, context);
    const at = (tokens: number): InferencePass => ({ phase: "decode", batch: 4, context: tokens });
    assert.deepEqual(totals(mamba2, m, at(10)), totals(mamba2, m, at(1_000_000)));
    const growth = totals(attention, a, at(101)).kv - totals(attention, a, at(100)).kv;
    assert.equal(growth, 4 * attention.kvElementsPerToken(a));
  });
});

describe("every layer kind that runs", () => {
  const kinds: readonly (readonly [Block, Record<string, unknown>])[] = [
    [mamba2, { state: 128, head_dim: 64, groups: 8 }],
    [mamba2, { state: 16, head_dim: 32, groups: 4, conv: 3 }],
    [attention, { heads: 32, kv_heads: 8, head_dim: 128 }],
    [attention, { heads: 16 }],
    [mlp, { width: 12_288 }],
    [mlp, { gated: true }],
  ];
  const anyKind = fc.constantFrom(...kinds);
  const wide = { hidden: 2048, layers: 8 };

  it("does in prefill the FLOPs of its forward pass", () => {
    fc.assert(
      fc.property(anyKind, fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 500 }), (kind, b, t) => {
        const [block, raw] = kind;
        const options = block.resolve(raw, wide);
        const { flops } = totals(block, options, { phase: "prefill", batch: b, time: t }, wide);
        assert.equal(flops, block.flops(options, wide, { batch: b, sequence: t }).forward);
      }),
    );
  });

  it("reads every matrix once per step, whatever the batch", () => {
    for (const [block, raw] of kinds) {
      const options = block.resolve(raw, wide);
      for (const batch of [1, 7, 256]) {
        const { weights } = totals(block, options, { phase: "decode", batch, context: 9 }, wide);
        assert.equal(weights, matrixElements(block, options, wide), block.kind);
      }
    }
  });

  it("reads and writes its recurrent state, which is part of its state", () => {
    for (const [block, raw] of kinds) {
      const options = block.resolve(raw, wide);
      const recurrent = block.recurrentElementsPerSequence(options);
      const { state, window } = totals(block, options, { phase: "decode", batch: 3, context: 9 }, wide);
      assert.equal(state, 2 * 3 * recurrent);
      assert.equal(window, 2 * 3 * (block.stateElementsPerSequence(options) - recurrent));
    }
  });

  it("divides its matrices, cache and state among tensor-parallel devices without remainder", () => {
    for (const [block, raw] of kinds) {
      const options = block.resolve(raw, wide);
      for (const ranks of [2, 4]) {
        const slice = block.shard(options, ranks);
        assert.notEqual(typeof slice, "string", `${block.kind}: ${slice}`);
        assert.equal(
          ranks * matrixElements(block, slice, wide),
          matrixElements(block, options, wide),
          block.kind,
        );
        assert.equal(ranks * block.kvElementsPerToken(slice), block.kvElementsPerToken(options));
        assert.equal(ranks * block.stateElementsPerSequence(slice), block.stateElementsPerSequence(options));
      }
    }
  });

  it("ends with one partial product of the hidden width", () => {
    for (const [block, raw] of kinds) {
      const options = block.resolve(raw, wide);
      const listed = block.inference(options, wide, { phase: "decode", batch: 2, context: 5 });
      const partial = listed.filter((entry) => entry.partial === true);
      assert.deepEqual(partial, [listed.at(-1)]);
      const { operation } = partial[0]!;
      assert.equal(operation.kind === "linear" && operation.out, wide.hidden);
    }
  });
});

describe("dividing a layer", () => {
  it("says why where it cannot", () => {
    const a = attention.resolve({ heads: 12, kv_heads: 4, head_dim: 16 }, context);
    assert.equal(attention.shard(a, 8), "12 heads of attention cannot be divided among 8 devices");
    const m = mamba2.resolve({ heads: 8, head_dim: 16, groups: 1 }, context);
    assert.equal(mamba2.shard(m, 2), "1 groups of mamba2 cannot be divided among 2 devices");
    assert.equal(
      mlp.shard(mlp.resolve({ width: 100 }, context), 8),
      "100 channels of mlp cannot be divided among 8 devices",
    );
  });

  it("repeats key heads where there are fewer than devices", () => {
    const options = attention.resolve({ heads: 16, kv_heads: 2, head_dim: 8 }, context);
    const slice = attention.shard(options, 8);
    assert.ok(typeof slice === "object" && slice.heads === 2 && slice.kvHeads === 1);
  });
});

describe("the cost of an operation", () => {
  const cost = (operation: Operation) => operationCost(operation);

  it("of the head and of the embedding: one row of the table per token, fp32 logits", () => {
    assert.deepEqual(cost({ kind: "embedding", rows: 3, cols: 8, vocab: 100 }), {
      flops: 0,
      traffic: { parameters: 24, activations: 24 },
    });
    assert.deepEqual(cost({ kind: "norm_linear", rows: 3, in: 8, out: 100, logits: true }), {
      flops: 2 * 3 * 8 * 100,
      traffic: { weights: 800, parameters: 8, activations: 24, statistics: 300 },
    });
  });

  it("of experts: the weights of those that are read, the FLOPs of the tokens they are given", () => {
    assert.deepEqual(cost({ kind: "expert_linear", rows: 12, experts: 5, in: 8, out: 32 }), {
      flops: 2 * 12 * 8 * 32,
      traffic: { weights: 5 * 8 * 32, activations: 12 * 40 },
    });
  });
});
