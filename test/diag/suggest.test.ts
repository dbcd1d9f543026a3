// Nearest names: the distance against a plain dynamic program over whole tables, and what counts as near.

import assert from "node:assert/strict";
import fc from "fast-check";
import { editDistance, nearestName, similarName } from "../../src/diag/suggest.js";

/** Optimal string alignment distance straight from its recurrence, memoised; the oracle. */
function reference(a: string, b: string): number {
  const memo = new Map<string, number>();
  const distance = (i: number, j: number): number => {
    if (i === 0 || j === 0) return i + j;
    const key = `${i},${j}`;
    const known = memo.get(key);
    if (known !== undefined) return known;
    let best = Math.min(
      distance(i - 1, j) + 1,
      distance(i, j - 1) + 1,
      distance(i - 1, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1),
    );
    if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
      best = Math.min(best, distance(i - 2, j - 2) + 1);
    memo.set(key, best);
    return best;
  };
  return distance(a.length, b.length);
}

const word = fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 9 });

describe("suggestions", () => {
  it("takes no other letter for a name of one", () => {
    assert.equal(nearestName("a", ["t"]), undefined);
    assert.equal(nearestName("ab", ["ac"]), "ac");
  });

  it("measure the optimal string alignment distance", () => {
    fc.assert(
      fc.property(word, word, (a, b) => assert.equal(editDistance(a, b), reference(a, b))),
      { numRuns: 500 },
    );
  });

  it("stop early at a limit without changing distances below it", () => {
    fc.assert(
      fc.property(word, word, fc.nat(5), (a, b, limit) => {
        const exact = reference(a, b);
        const limited = editDistance(a, b, limit);
        assert.equal(limited, exact <= limit ? exact : limit + 1);
      }),
      { numRuns: 500 },
    );
  });

  it("prefer the nearer number where all else is equal", () => {
    assert.equal(nearestName("model-9b", ["model-4b", "model-8b"]), "model-8b");
    assert.equal(nearestName("model-5b", ["model-8b", "model-4b"]), "model-4b");
  });

  const kinds = ["mamba2", "attention", "mlp"];
  const table: [string, readonly string[], string | undefined][] = [
    ["atention", kinds, "attention"],
    ["attnetion", kinds, "attention"],
    ["Attention", kinds, "attention"],
    ["mamba", kinds, "mamba2"],
    ["mpl", kinds, "mlp"],
    ["atten", kinds, "attention"], // a beginning of one name
    ["moe", kinds, undefined],
    ["transformer", kinds, undefined],
    ["", kinds, undefined],
    ["kv-heads", ["heads", "kv_heads"], "kv_heads"],
    ["relu", ["gelu", "gelu_erf", "relu2", "silu"], "relu2"],
    ["x".repeat(10_000), kinds, undefined],
  ];
  for (const [wanted, names, nearest] of table) {
    it(`${wanted.slice(0, 12) || "nothing"} -> ${nearest ?? "nothing"}`, () =>
      assert.equal(nearestName(wanted, names), nearest));
  }

  it("are a sentence without a question", () => {
    assert.equal(similarName("key", "hiden", ["hidden"]), "a key with a similar name exists: hidden");
    assert.equal(similarName("option", "pair", ["pairs"]), "an option with a similar name exists: pairs");
    assert.equal(similarName("key", "zzz", ["hidden"]), undefined);
  });
});
