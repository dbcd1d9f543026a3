// patternFromRatios is Megatron's algorithm: the recorded patterns, and every whole-percent mix up to 128
// layers.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { patternFromRatios, roundHalfEven } from "../../src/plan/pattern_from_ratios.js";
import { refusal } from "./refusal.js";

interface Fixture {
  readonly rows: readonly (readonly [number, number, number, string])[];
  readonly invalid: readonly { layers: number; attention_ratio: number; mlp_ratio: number }[];
}
const fixture = JSON.parse(
  readFileSync(new URL("../fixtures/megatron_pattern_from_ratios.json", import.meta.url), "utf8"),
) as Fixture;

describe("patternFromRatios", () => {
  it(`gives the ${fixture.rows.length} patterns recorded from Megatron-LM`, () => {
    for (const [layers, attention, mlp, pattern] of fixture.rows) {
      assert.equal(
        patternFromRatios(layers, attention, mlp),
        pattern,
        `${layers} layers, ${attention}, ${mlp}`,
      );
    }
  });

  it("gives the released 8B hybrid for 8%, for 7% and for 4/56", () => {
    const released = "M-M-M--M-M*-M-M-M-M--M*-M-M-M-M-M*--M-M-M-M-M*-M--M-M-M-";
    for (const attention of [0.08, 0.07, 4 / 56])
      assert.equal(patternFromRatios(56, attention, 0.5), released);
  });

  for (const { layers, attention_ratio, mlp_ratio } of [
    ...fixture.invalid,
    { layers: 1.5, attention_ratio: 0, mlp_ratio: 0 },
    { layers: Number.NaN, attention_ratio: 0, mlp_ratio: 0 },
    { layers: 4, attention_ratio: Number.NaN, mlp_ratio: 0 },
  ]) {
    it(`refuses ${layers} layers with ratios ${attention_ratio} and ${mlp_ratio}`, () => {
      const { code, exitCode } = refusal(() => patternFromRatios(layers, attention_ratio, mlp_ratio));
      assert.deepEqual([code, exitCode], ["LMX2007", 2]);
    });
  }

  // The digest is that of an independent implementation in Python (its own round, its own doubles) from the
  // published pseudo-code (arXiv 2406.07887, Algorithm 1), one pattern per line in the order of these loops.
  it("gives the 659,328 patterns of the 1% grid up to 128 layers; 84 of them miss a count", function () {
    this.timeout(60_000);
    const digest = createHash("sha256");
    let patterns = 0;
    let missed = 0;
    for (let layers = 1; layers <= 128; layers += 1) {
      for (let attention = 0; attention <= 100; attention += 1) {
        for (let mlp = 0; attention + mlp <= 100; mlp += 1) {
          const pattern = patternFromRatios(layers, attention / 100, mlp / 100);
          digest.update(`${pattern}\n`);
          patterns += 1;
          const wanted = [layers * (attention / 100), layers * (mlp / 100)].map(roundHalfEven);
          const got = ["*", "-"].map((symbol) => pattern.split(symbol).length - 1);
          if (got[0] !== wanted[0] || got[1] !== wanted[1]) missed += 1;
        }
      }
    }
    assert.equal(patterns, 659_328);
    assert.equal(missed, 84);
    assert.equal(digest.digest("hex"), "e70cb9250a22f9dd3edf94ee28ab691f5585f340e44a887644bee9fe1c04cffe");
  });
});

describe("roundHalfEven", () => {
  for (const [value, rounded] of [
    [0.5, 0],
    [1.5, 2],
    [2.5, 2],
    [3.5, 4],
    [2.4999999999999996, 2],
    [0.49999999999999994, 0],
    [7, 7],
  ] as const) {
    it(`rounds ${value} to ${rounded}`, () => assert.equal(roundHalfEven(value), rounded));
  }
});
