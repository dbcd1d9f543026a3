import assert from "node:assert/strict";
import { agreement, noiseCeiling, randomRegret } from "../../src/rank/fidelity.js";

const options = { confidence: 0.95, sameRuns: true, apart: [] };

describe("fidelity", () => {
  it("is perfect, without doubt, where every seed tells the same order", () => {
    const truth = [
      [1, 1.1, 1.2],
      [2, 2.1, 2.2],
      [3, 3.1, 3.2],
    ];
    const proxy = truth.map((values) => values.map((value) => value ** 3));
    const { kendall, spearman, regret, overlap } = agreement(proxy, truth, options);
    assert.deepEqual(kendall, { value: 1, interval: [1, 1] });
    assert.deepEqual(spearman, { value: 1, interval: [1, 1] });
    assert.deepEqual([regret[1].value, overlap[1].value], [0, 1]);
  });

  it("has an interval that reaches as far as the seeds disagree", () => {
    // By the means a < b < c in both; one seed of three alone says otherwise.
    const truth = [
      [1, 1, 1],
      [2, 2, 2],
      [3, 3, 3],
    ];
    const proxy = [
      [1, 1, 4],
      [2.1, 2.1, 2.1],
      [3, 3, 3],
    ];
    const { kendall } = agreement(proxy, truth, options);
    assert.equal(kendall.value, 1);
    assert.ok(kendall.interval![0] < 0.5 && kendall.interval![1] === 1);
  });

  it("counts the pairs that matter, and those that come out the same way", () => {
    const truth = [[3], [2], [1]];
    const proxy = [[2], [3], [1]];
    const apart = [
      [0, 1],
      [0, 2],
      [1, 2],
    ] as const;
    assert.deepEqual(agreement(proxy, truth, { ...options, apart }).pairs, { same: 2, total: 3 });
  });

  it("resamples the seeds of two studies independently", () => {
    const truth = [
      [1, 5],
      [2, 2],
      [3, 3],
    ];
    const proxy = truth.map(([a, b]) => [b!, a!]);
    // The same seeds in another order: together they always agree, apart they need not.
    assert.deepEqual(agreement(truth, truth, options).kendall.interval, [1, 1]);
    assert.ok(agreement(proxy, truth, { ...options, sameRuns: false }).kendall.interval![0] < 1);
  });

  it("knows how well the truth agrees with itself", () => {
    assert.equal(
      noiseCeiling([
        [1, 1],
        [2, 2],
        [3, 3],
      ]),
      1,
    );
    assert.equal(
      noiseCeiling([
        [1, 3],
        [2, 2],
        [3, 1],
      ]),
      -1,
    );
    assert.equal(noiseCeiling([[1], [2]]), null);
  });

  it("expects of a random choice what counting all choices gives", () => {
    const truth = [5, 1, 4, 2];
    const pairs = truth.flatMap((a, i) => truth.slice(i + 1).map((b) => 5 - Math.max(a, b)));
    assert.ok(Math.abs(randomRegret(2, truth) - pairs.reduce((sum, value) => sum + value, 0) / 6) < 1e-12);
    assert.ok(Math.abs(randomRegret(1, truth) - 2) < 1e-12);
    assert.equal(randomRegret(9, truth), 0);
  });
});
