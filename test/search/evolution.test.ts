// Evolution over patterns: limits are kept, nothing is tried twice, and a known best pattern is found.
import assert from "node:assert/strict";
import fc from "fast-check";
import { hashUniform } from "../../src/plan/hash_random.js";
import type { Decision, Value } from "../../src/search/decision.js";
import { type EvolutionOptions, evolution } from "../../src/search/evolution.js";
import {
  crossover,
  type Draw,
  mutate,
  mutations,
  type PatternLimits,
  withinLimits,
} from "../../src/search/genome.js";

const symbols = ["M", "*", "-"];
const fixed: PatternLimits = {
  symbols,
  layers: [8, 8],
  counts: new Map([
    ["*", [1, 2]],
    ["-", [4, 4]],
  ]),
};
const pattern = fc
  .array(fc.constantFrom(...symbols), { minLength: 1, maxLength: 20 })
  .map((layers) => layers.join(""));
const draw =
  (seed: number): Draw =>
  (label) =>
    hashUniform(seed, label);
const sorted = (text: string): string => [...text].sort().join("");
const distance = (a: string, b: string): number => [...a].filter((symbol, i) => symbol !== b[i]).length;

describe("mutations", () => {
  it("change what their name says and nothing else", () => {
    fc.assert(
      fc.property(pattern, fc.nat(), (text, seed) => {
        const [swap, replace, shift, insert, remove] = mutations.map((kind) =>
          mutate(text, kind, symbols, draw(seed)),
        );
        assert.equal(sorted(swap!), sorted(text));
        assert.ok([0, 2].includes(distance(swap!, text)));
        if (new Set(text).size > 1) assert.notEqual(swap, text);
        assert.equal(replace!.length, text.length);
        assert.equal(distance(replace!, text), 1);
        assert.equal(sorted(shift!), sorted(text));
        assert.equal(insert!.length, text.length + 1);
        assert.equal(remove!.length, text.length - 1);
      }),
    );
  });

  it("crossover takes a stretch of one parent and the rest of the other, layer by layer at equal depth", () => {
    fc.assert(
      fc.property(pattern, fc.nat(), (text, seed) => {
        const other = [...text].map((symbol) => (symbol === "M" ? "*" : "M")).join("");
        const child = crossover(text, other, draw(seed));
        assert.equal(child.length, text.length);
        for (const [i, symbol] of [...child].entries()) assert.ok(symbol === text[i] || symbol === other[i]);
        assert.equal(crossover(text, text, draw(seed)), text);
      }),
    );
  });
});

describe("evolution", () => {
  const goal = "M*-M-M--";
  /** Runs it on a made-up quality; returns the decisions and all patterns in order. */
  function run(
    options: Partial<EvolutionOptions>,
    quality: (text: string) => Value,
    costs: (text: string) => number[],
  ) {
    const initial = ["M-M*M-M-".replace("M-M-", "M---"), "MM--*-M-"];
    const patterns = [...initial];
    const decisions: Decision[] = [];
    const strategy = evolution(
      { population: 10, generations: 12, mutation: 0.7, limits: fixed, seed: 1, ...options },
      {
        initial,
        costs: (candidate) => costs(patterns[candidate]!),
        accepts: (text) => !text.startsWith("--"),
      },
    );
    for (;;) {
      const next = strategy({
        decisions,
        initial: initial.length,
        candidates: patterns.length,
        idle: 0,
        value: (candidate) => quality(patterns[candidate]!),
      });
      if (typeof next === "string") return { decisions, patterns, initial, end: next };
      for (const { values } of next.born ?? []) patterns.push(String(values.pattern));
      decisions.push(next);
    }
  }
  const closeness = (text: string): number => -distance(text, goal);

  it("keeps every limit, never repeats a pattern, and runs what it has made", () => {
    for (const seed of [1, 2, 3]) {
      const { decisions, patterns, initial } = run({ seed }, closeness, () => []);
      const born = patterns.slice(initial.length);
      assert.ok(born.every((text) => withinLimits(text, fixed) && !text.startsWith("--")));
      assert.equal(new Set(patterns).size, patterns.length);
      assert.deepEqual(
        decisions.flatMap(({ run: assigned }) => assigned.map(({ candidate }) => candidate)),
        [...patterns.keys()],
      );
      assert.equal(
        new Set(decisions.flatMap(({ born: made = [] }) => made.map(({ name }) => name))).size,
        born.length,
      );
    }
  });

  it("finds the best of 700 patterns in about a hundred trials, far more often than chance", () => {
    // 8 layers, 4 of them MLPs, 1 or 2 attention: C(8,4) x (4 + 6) = 700 patterns within the limits.
    const found = Array.from({ length: 10 }, (_, seed) =>
      run({ seed }, closeness, () => []).patterns.includes(goal),
    );
    assert.ok(found.filter(Boolean).length >= 8, `${found}`);
  });

  it("spreads along the front when cost counts as well", () => {
    // Quality is the number of attention layers, cost as well: every number of them is on the front.
    const attention = (text: string): number => text.split("*").length - 1;
    const limits: PatternLimits = { symbols, layers: [8, 8], counts: new Map() };
    const { patterns } = run({ limits }, attention, (text) => [attention(text)]);
    const counts = new Set(patterns.map(attention));
    assert.ok(
      [0, 1, 2, 3, 4].every((count) => counts.has(count)),
      `${[...counts]}`,
    );
  });

  it("waits for a generation, ignores what failed, and ends when nothing lives", () => {
    assert.equal(
      run(
        {},
        () => "open",
        () => [],
      ).end,
      "wait",
    );
    const { decisions, end } = run(
      {},
      () => "failed",
      () => [],
    );
    assert.deepEqual([decisions.length, end], [1, "done"]);
  });

  it("varies the depth within its limits", () => {
    const limits: PatternLimits = { symbols, layers: [6, 10], counts: new Map() };
    const { patterns } = run(
      { limits },
      (text) => text.length,
      () => [],
    );
    assert.equal(Math.max(...patterns.map((text) => text.length)), 10);
    assert.ok(patterns.every((text) => text.length >= 6 && text.length <= 10));
  });
});
