// Who takes part: everyone, or a fair, seeded sample without replacement where a strategy wants fewer.
import assert from "node:assert/strict";
import { pickWithoutReplacement } from "../../src/search/random_sample.js";
import { selectCandidates } from "../../src/search/select_candidates.js";

describe("grid", () => {
  it("keeps every candidate, in order", () => {
    assert.deepEqual(selectCandidates(["a", "b", "c"], { kind: "grid" }, 0), ["a", "b", "c"]);
  });
});

describe("random", () => {
  it("takes different candidates in their order, the same ones for the same seed", () => {
    for (let seed = 0; seed < 50; seed++) {
      const picked = pickWithoutReplacement(40, 10, seed);
      assert.equal(picked.length, 10);
      assert.deepEqual(
        picked,
        [...new Set(picked)].sort((a, b) => a - b),
      );
      assert.ok(picked.every((index) => index >= 0 && index < 40));
      assert.deepEqual(pickWithoutReplacement(40, 10, seed), picked);
    }
    assert.notDeepEqual(pickWithoutReplacement(40, 10, 0), pickWithoutReplacement(40, 10, 1));
  });

  it("takes all when more are asked for than there are", () => {
    assert.deepEqual(pickWithoutReplacement(3, 10, 5), [0, 1, 2]);
    assert.deepEqual(selectCandidates(["a", "b"], { kind: "random", trials: 9 }, 1), ["a", "b"]);
  });

  it("grows without losing what it had", () => {
    const ten = pickWithoutReplacement(100, 10, 3);
    const twenty = new Set(pickWithoutReplacement(100, 20, 3));
    assert.ok(ten.every((index) => twenty.has(index)));
  });

  it("is fair: over many seeds each candidate is taken about equally often", () => {
    const seeds = 4_000;
    const taken = new Array<number>(10).fill(0);
    for (let seed = 0; seed < seeds; seed++)
      for (const index of pickWithoutReplacement(10, 3, seed)) taken[index]!++;
    // Binomial(4000, 0.3): mean 1200, standard deviation 29; five of them on either side.
    for (const count of taken) assert.ok(Math.abs(count - 1_200) < 145, `${taken}`);
  });
});
