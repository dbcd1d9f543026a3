// The layer kinds: what every one of them promises, and the defaults and refusals of each.

import assert from "node:assert/strict";
import fc from "fast-check";
import { attention } from "../../src/block/attention.js";
import type { Block } from "../../src/block/block.js";
import { defaultChunk, mamba2 } from "../../src/block/mamba2.js";
import { mlp } from "../../src/block/mlp.js";
import { blockByKind, blockBySymbol, blocks } from "../../src/block/registry.js";

const at = (hidden: number) => ({ hidden, layers: 12 });

describe("the registry", () => {
  it("finds every kind by its name and by its symbol", () => {
    const symbols = blocks.map(({ symbol }) => symbol);
    assert.equal(symbols.join(""), "M1GKRSL*W+PZ-E");
    assert.equal(new Set(symbols).size, symbols.length);
    for (const block of blocks) {
      assert.equal(blockByKind(block.kind), block);
      assert.equal(blockBySymbol(block.symbol), block);
    }
    assert.equal(blockByKind("cross_attention"), undefined);
    assert.equal(blockBySymbol("D"), undefined);
  });
});

describe("every layer kind", () => {
  const raws: readonly (readonly [Block, Record<string, unknown>])[] = [
    [mamba2, { state: 128, head_dim: 64, groups: 8, expand: 2, conv: 4 }],
    [mamba2, { heads: 48, head_dim: 32, groups: 4 }],
    [attention, { heads: 32, kv_heads: 8, head_dim: 128 }],
    [attention, { heads: 12 }],
    [mlp, { width: 16_384 }],
    [mlp, { gated: true, activation: "silu" }],
  ];

  it("can be rescaled to any width that is a multiple of 8 and still be built, with about as many parameters per width²", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 8, max: 1500 }).map((n) => n * 8),
        fc.constantFrom(...raws),
        (hidden, [block, raw]) => {
          const from = at(3072);
          const to = at(hidden);
          const options = block.resolve(block.rescale(raw, from, to), to);
          assert.deepEqual(block.check(options, to), []);
          const perWidth = (o: unknown, context: typeof to) =>
            block
              .parameters(o, context)
              .filter(({ shape }) => shape.length === 2)
              .reduce((sum, { shape }) => sum + shape[0]! * shape[1]!, 0) /
            context.hidden ** 2;
          if (hidden < 600) return; // few heads: rounding dominates
          const ratio = perWidth(options, to) / perWidth(block.resolve(raw, from), from);
          assert.ok(ratio > 0.7 && ratio < 1.4, `${block.kind} at ${hidden}: ${ratio}`);
        },
      ),
      { numRuns: 300 },
    );
  });

  it("keeps its options when rescaled to the width it has", () => {
    for (const [block, raw] of raws) {
      const context = at(3072);
      assert.deepEqual(
        block.resolve(block.rescale(raw, context, context), context),
        block.resolve(raw, context),
      );
    }
  });

  it("names its tensors once each, and decays matrices and convolutions only", () => {
    for (const [block, raw] of raws) {
      const context = at(3072);
      const tensors = block.parameters(block.resolve(raw, context), context);
      assert.equal(new Set(tensors.map(({ name }) => name)).size, tensors.length);
      assert.equal(tensors[0]?.name, "norm.weight");
      for (const { name, shape, decayed } of tensors) assert.equal(decayed, shape.length > 1, name);
    }
  });
});

describe("mamba2", () => {
  it("has Megatron's defaults", () => {
    assert.deepEqual(mamba2.resolve({}, at(4096)), {
      heads: 128,
      headDim: 64,
      groups: 8,
      state: 128,
      conv: 4,
      chunk: 128,
      dtMin: 0,
      gatedNorm: true,
      bias: false,
      outputBias: false,
      convBias: true,
    });
  });

  it("adapts the defaults that do not fit, and says so", () => {
    const o = mamba2.resolve({}, at(72));
    assert.deepEqual([o.heads, o.headDim, o.groups], [9, 16, 3]);
    assert.deepEqual(mamba2.notes({}, o, at(72)), [
      "mamba2: head_dim is 16 instead of the default 64, to divide 144 channels",
      "mamba2: groups is 3 instead of the default 8, to divide the 9 heads",
    ]);
  });

  it("refuses heads that do not come out whole and groups that do not divide them", () => {
    const check = (raw: Record<string, unknown>, hidden: number) =>
      mamba2.check(mamba2.resolve(raw, at(hidden)), at(hidden));
    assert.deepEqual(
      check({ head_dim: 60 }, 64).map(({ option }) => option),
      ["head_dim"],
    );
    assert.deepEqual(check({ heads: 12, groups: 8 }, 64)[0]?.help, [
      "set groups to 6, or change heads, expand or head_dim",
    ]);
  });

  it("chooses the chunk by the state: a power of two from 64 to 256", () => {
    assert.deepEqual([16, 64, 65, 128, 200, 256, 1024].map(defaultChunk), [64, 64, 128, 128, 256, 256, 256]);
  });

  it("keeps conv - 1 inputs and the state of every channel per sequence", () => {
    const o = mamba2.resolve({}, at(4096));
    assert.equal(mamba2.stateElementsPerSequence(o), 8192 * 128 + 3 * (8192 + 2 * 8 * 128));
    assert.equal(mamba2.kvElementsPerToken(o), 0);
  });
});

describe("attention", () => {
  it("chooses heads of 128 channels where that leaves four, else smaller ones", () => {
    const heads = (hidden: number) => {
      const { heads: count, kvHeads, headDim } = attention.resolve({}, at(hidden));
      return [count, kvHeads, headDim];
    };
    assert.deepEqual(heads(4096), [32, 32, 128]);
    assert.deepEqual(heads(256), [4, 4, 64]);
    assert.deepEqual(heads(96), [6, 6, 16]);
  });

  it("derives what one of heads and head_dim leaves open", () => {
    const { heads, headDim } = attention.resolve({ heads: 12 }, at(768));
    assert.deepEqual([heads, headDim], [12, 64]);
    assert.equal(attention.resolve({ head_dim: 32 }, at(768)).heads, 24);
  });

  it("reads the position embedding: none, rope, or rope with its options", () => {
    const rotated = (position?: unknown) => {
      const { rotaryDim, ropeTheta } = attention.resolve({ heads: 4, position }, at(256));
      return [rotaryDim, ropeTheta];
    };
    assert.deepEqual(rotated(), [0, 10_000]);
    assert.deepEqual(rotated("none"), [0, 10_000]);
    assert.deepEqual(rotated("rope"), [64, 10_000]);
    assert.deepEqual(rotated({ kind: "rope", theta: 500_000, fraction: 0.5 }), [32, 500_000]);
  });

  it("refuses heads that do not divide, and odd rotations", () => {
    const first = (raw: Record<string, unknown>) => {
      const [issue] = attention.check(attention.resolve(raw, at(256)), at(256));
      return [issue?.option, issue?.help[0]];
    };
    assert.deepEqual(first({ heads: 6 }), ["heads", "set heads to 4, or give head_dim too"]);
    assert.deepEqual(first({ head_dim: 96 }), ["head_dim", "set head_dim to 64, or give heads too"]);
    assert.deepEqual(first({ heads: 8, kv_heads: 3 }), ["kv_heads", "set kv_heads to 2"]);
    assert.equal(first({ heads: 4, position: { kind: "rope", fraction: 0.33 } })[0], "position");
  });
});

describe("mlp", () => {
  it("is four times as wide as the model, or two thirds of that when gated", () => {
    assert.equal(mlp.resolve({}, at(4096)).width, 16_384);
    assert.equal(mlp.resolve({ gated: true }, at(4096)).width, 10_880); // Megatron: int(8 h / 3 / 64) * 64
    assert.equal(mlp.resolve({ gated: true }, at(16)).width, 64);
  });
});
