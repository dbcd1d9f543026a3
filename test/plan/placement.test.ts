// Shares to counts to places: rounding is told, every placement keeps the counts, impossible ones say what
// would work.

import assert from "node:assert/strict";
import fc from "fast-check";
import { countLayers } from "../../src/block/layer_kinds.js";
import { LayermixError } from "../../src/diag/diagnostic.js";
import { allocate } from "../../src/plan/allocation.js";
import { layOut } from "../../src/plan/layout.js";
import { placeLayers } from "../../src/plan/placement.js";
import type { Placement } from "../../src/spec/spec.js";
import { refusal } from "./refusal.js";

const lay = (layers: number, mix: Record<string, number>, placement: Placement = { kind: "even" }) =>
  layOut({ kind: "mix", mix, layers, placement });

describe("allocation", () => {
  it("says what each share became", () => {
    assert.deepEqual(lay(56, { mamba2: 0.43, attention: 0.07, mlp: 0.5 }).notes, [
      {
        code: "LMX2101",
        message: "whole layers: mamba2 43% is 24 of 56 = 42.86%, attention 7% is 4 of 56 = 7.14%",
      },
    ]);
  });

  it("is silent where shares are whole layers", () =>
    assert.deepEqual(lay(50, { mamba2: 0.5, mlp: 0.5 }).notes, []));

  it("says when Megatron's algorithm leaves a layer out: 3 layers, half and half", () => {
    const { pattern, notes } = lay(3, { attention: 0.5, mlp: 0.5 });
    assert.equal(pattern, "*-*");
    assert.deepEqual(notes.at(-1), {
      code: "LMX2102",
      message: "attention and mlp both round up to 4 layers of 3; mlp has one layer less than asked",
    });
  });

  it("says when a share is too small for a single layer", () => {
    const { notes } = lay(24, { mamba2: 0.49, attention: 0.01, mlp: 0.5 });
    assert.equal(notes[0]?.message, "attention: 1% of 24 layers is less than half a layer, so there is none");
  });

  it("takes shares whose sum of doubles is a bit above 1", () => {
    const mix = { attention: 0.1 + 0.2, mlp: 0.7 + 2 ** -52 }; // 0.1 + 0.2 is 0.30000000000000004
    assert.ok(mix.attention + mix.mlp > 1);
    assert.deepEqual(lay(10, mix).counts, { mamba2: 0, attention: 3, mlp: 7 });
  });

  it("refuses shares that do not total 100%, and kinds it cannot place", () => {
    const short = refusal(() => lay(8, { mamba2: 0.5, mlp: 0.4 }));
    assert.deepEqual(
      [short.code, short.message],
      ["LMX2012", "Expected shares that total 100%, got 90% (mamba2 50%, mlp 40%)"],
    );
    assert.equal(refusal(() => lay(8, { mamba2: 1.5, mlp: -0.5 })).code, "LMX2012");
    assert.equal(refusal(() => lay(8, { cross_attention: 1 })).code, "LMX2008");
  });
});

describe("placements", () => {
  const cases: readonly (readonly [string, number, Record<string, number>, Placement, string])[] = [
    [
      "alternate takes turns, MLPs after their mixers",
      8,
      { mamba2: 0.25, attention: 0.25, mlp: 0.5 },
      { kind: "alternate" },
      "M-*-M-*-",
    ],
    ["alternate without MLPs", 5, { mamba2: 0.6, attention: 0.4 }, { kind: "alternate" }, "M*M*M"],
    [
      "alternate starts with the kind that has one more",
      5,
      { mamba2: 0.4, attention: 0.6 },
      { kind: "alternate" },
      "*M*M*",
    ],
    ["halves puts Mamba-2 in front", 8, { mamba2: 0.5, attention: 0.5 }, { kind: "halves" }, "MMMM****"],
    [
      "halves with a quarter of MLPs",
      8,
      { mamba2: 0.5, attention: 0.25, mlp: 0.25 },
      { kind: "halves" },
      "MMM-M**-",
    ],
    ["halves of MLPs alone", 4, { mlp: 1 }, { kind: "halves" }, "----"],
    ["every 4th layer", 12, { mamba2: 0.75, attention: 0.25 }, { kind: "every", every: 4 }, "MMM*MMM*MMM*"],
    [
      "every 4th layer, MLPs between",
      8,
      { mamba2: 0.25, attention: 0.25, mlp: 0.5 },
      { kind: "every", every: 4 },
      "M--*M--*",
    ],
    [
      "at given layers",
      10,
      { mamba2: 0.5, attention: 0.2, mlp: 0.3 },
      { kind: "at", at: [4, 9] },
      "MM-M*-MM-*",
    ],
  ];
  for (const [what, layers, mix, placement, pattern] of cases) {
    it(`${what}: ${pattern}`, () => assert.equal(placeLayers(layers, mix, placement), pattern));
  }

  it("keep the counts of the allocation, whatever the mix and depth", () => {
    const placements: Placement[] = [{ kind: "even" }, { kind: "alternate" }, { kind: "halves" }];
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 130 }), fc.nat(100), fc.nat(100), (layers, a, b) => {
        const attention = Math.min(a, 100 - Math.min(b, 100)) / 100;
        const mlp = Math.min(b, 100 - attention * 100) / 100;
        const mix = { mamba2: 1 - attention - mlp, attention, mlp };
        const counts = allocate(layers, mix);
        assert.equal(counts.mamba2 + counts.attention + counts.mlp, layers);
        for (const placement of placements) {
          let pattern: string;
          try {
            pattern = placeLayers(layers, mix, placement);
          } catch (error) {
            assert.ok(error instanceof LayermixError && placement.kind === "alternate");
            continue;
          }
          assert.deepEqual(countLayers(pattern), { ...counts }, `${placement.kind} ${pattern}`);
        }
        if (counts.attention > 0) {
          const at = Array.from({ length: counts.attention }, (_, i) =>
            Math.floor((i * layers) / counts.attention),
          );
          const pattern = placeLayers(layers, mix, { kind: "at", at });
          assert.deepEqual(countLayers(pattern), { ...counts });
          assert.deepEqual(
            [...pattern].flatMap((symbol, i) => (symbol === "*" ? [i] : [])),
            at,
          );
        }
      }),
    );
  });

  const impossible: readonly (readonly [Placement, string, string])[] = [
    [
      { kind: "alternate" },
      "Expected as many attention as Mamba-2 layers for placement alternate (one more at most), got 4 and 24",
      "with 28 of 56 layers MLP, ask for 25% of each",
    ],
    [
      { kind: "every", every: 8 },
      "Expected 4 attention layers of 56 from the mix, got 7 from placement every: 8",
      "set the attention share to 12.5% (7 of 56 layers)",
    ],
    [
      { kind: "at", at: [3] },
      "Expected 4 attention layers of 56 from the mix, got 1 from placement at with 1 layers",
      "set the attention share to 1.79% (1 of 56 layers)",
    ],
    [
      { kind: "at", at: [3, 9, 20, 56] },
      "Expected placement.at between 0 and 55 in a model of 56 layers, got 56",
      "layers count from 0; give the layers of this depth (proxy.model may have a placement of its own)",
    ],
  ];
  for (const [placement, message, help] of impossible) {
    it(`refuse what the counts do not allow: ${message}`, () => {
      const refused = refusal(() => lay(56, { mamba2: 0.43, attention: 0.07, mlp: 0.5 }, placement));
      assert.deepEqual(
        [refused.code, refused.exitCode, refused.message, refused.help[0]],
        ["LMX2010", 4, message, help],
      );
    });
  }

  it("name the period that gives the share asked for", () => {
    const { help } = refusal(() =>
      lay(56, { mamba2: 0.43, attention: 0.07, mlp: 0.5 }, { kind: "every", every: 8 }),
    );
    assert.equal(help[1], "or use placement every: 14");
  });
});
