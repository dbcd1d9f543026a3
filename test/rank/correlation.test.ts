import assert from "node:assert/strict";
import { averageRanks, kendallTau, regretAt, spearman, topOverlap } from "../../src/rank/correlation.js";

const near = (actual: number | null, expected: number) =>
  assert.ok(actual !== null && Math.abs(actual - expected) < 1e-12, `${actual}, expected ${expected}`);

describe("rank correlation", () => {
  it("shares the mean rank among equal values", () => {
    assert.deepEqual(averageRanks([10, 20, 20, 5]), [2, 3.5, 3.5, 1]);
  });

  it("agrees with scipy where there are ties", () => {
    // scipy 1.17.1: stats.spearmanr, stats.kendalltau (tau-b).
    const x = [1, 2, 2, 4, 5, 5, 7];
    const y = [1, 3, 2, 2, 6, 5, 5];
    near(spearman(x, y), 0.8333333333333335);
    near(kendallTau(x, y), 0.6842105263157894);
    const a = [12, 2, 1, 12, 2];
    const b = [1, 4, 7, 1, 0];
    near(kendallTau(a, b), -0.4714045207910316);
    near(spearman(a, b), -0.5407380704358752);
  });

  it("is 1 for the same order, -1 for the reverse, and undefined where one side is all ties", () => {
    const x = [3, 1, 2];
    assert.deepEqual([kendallTau(x, x), kendallTau(x, [-3, -1, -2])], [1, -1]);
    assert.deepEqual([kendallTau(x, [5, 5, 5]), spearman(x, [5, 5, 5])], [null, null]);
  });

  it("counts what a choice of k loses, and which of the best it holds", () => {
    const truth = [0.9, 0.8, 0.7, 0.1];
    const predicted = [1, 2, 4, 3]; // puts the third first, then the last, the second, the first
    near(regretAt(1, predicted, truth), 0.2);
    near(regretAt(3, predicted, truth), 0.1);
    assert.equal(regretAt(4, predicted, truth), 0);
    assert.deepEqual(
      [1, 2, 3].map((k) => topOverlap(k, predicted, truth)),
      [0, 0, 2 / 3],
    );
  });
});
