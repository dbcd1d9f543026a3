import assert from "node:assert/strict";
import { bootstrapMeanInterval, percentileInterval, quantile, resamples } from "../../src/rank/bootstrap.js";
import { normalProbability, normalQuantile } from "../../src/rank/normal.js";
import { meanInterval } from "../../src/rank/statistics.js";
import { RowRandom, streams } from "../../src/task/row_random.js";

const near = (actual: number, expected: number, tolerance: number) =>
  assert.ok(Math.abs(actual - expected) <= tolerance, `${actual}, expected ${expected}`);

describe("normal distribution", () => {
  // scipy 1.17.1, stats.norm.cdf and stats.norm.ppf.
  it("agrees with scipy in the middle and far out in the tails", () => {
    const probabilities = [
      [-8, 6.22096057427174e-16],
      [-5.5, 1.898956246588768e-8],
      [-3, 0.0013498980316300933],
      [-1, 0.15865525393145707],
      [0.5, 0.6914624612740131],
      [2, 0.9772498680518208],
      [6, 0.9999999990134123],
    ] as const;
    for (const [x, p] of probabilities) near(normalProbability(x), p, 1e-13 * Math.max(p, 1e-3));
    const quantiles = [
      [1e-10, -6.361340902404056],
      [0.025, -1.9599639845400545],
      [0.3, -0.5244005127080409],
      [0.5, 0],
      [0.9, 1.2815515655446004],
    ] as const;
    for (const [p, x] of quantiles) near(normalQuantile(p), x, 1e-9);
    assert.deepEqual([normalQuantile(0), normalQuantile(1)], [-Infinity, Infinity]);
  });
});

describe("bootstrap over seeds", () => {
  it("takes every resample of up to five seeds, each equally often", () => {
    const all = resamples(3);
    assert.equal(all.length, 27);
    assert.equal(new Set(all.map(String)).size, 27);
    for (const item of [0, 1, 2]) assert.equal(all.flat().filter((index) => index === item).length, 27);
  });

  it("draws the same resamples every time for more seeds", () => {
    assert.deepEqual(resamples(8), resamples(8));
    assert.equal(new Set(resamples(8).map(String)).size > 1900, true);
  });

  it("interpolates quantiles as numpy does", () => {
    // numpy.quantile([1, 2, 4, 8], [0, 0.1, 0.5, 1])
    assert.deepEqual(
      [0, 0.1, 0.5, 1].map((share) => quantile([1, 2, 4, 8], share)),
      [1, 1.3, 3, 8],
    );
  });

  it("has the bias-corrected, accelerated interval that scipy has", () => {
    // scipy 1.17.1 stats.bootstrap(method="BCa", n_resamples=10**6, random_state=0), which draws where all are taken here.
    const cases = [
      { values: [0.61, 0.64, 0.6, 0.75], confidence: 0.95, interval: [0.61, 0.7225] },
      { values: [2.51, 2.49, 2.53, 2.5, 2.61], confidence: 0.95, interval: [2.502, 2.588] },
    ] as const;
    for (const { values, confidence, interval } of cases) {
      const [low, high] = bootstrapMeanInterval(values, confidence)!;
      near(low, interval[0], 1e-9);
      near(high, interval[1], 1e-9);
    }
    // Seven values: drawn on both sides, so equal only up to the noise of 2000 draws.
    const [low, high] = bootstrapMeanInterval([0.61, 0.64, 0.6, 0.75, 0.66, 0.58, 0.69], 0.9)!;
    near(low, 0.6185714285714285, 0.004);
    near(high, 0.6871428571428572, 0.006);
  });

  it("says nothing from fewer than three seeds, and a point where all are equal", () => {
    assert.equal(bootstrapMeanInterval([1, 2], 0.95), null);
    assert.deepEqual(bootstrapMeanInterval([2, 2, 2], 0.95), [2, 2]);
    assert.equal(percentileInterval([Number.NaN], 0.95), null);
  });

  it("covers less than it says with few seeds, which is why ties are judged with Student's interval", () => {
    // 400 samples of 4 from a standard normal (Box-Muller on a fixed key): how often each interval holds the true mean.
    const random = new RowRandom(7, streams.statistics);
    let [student, bca] = [0, 0];
    const runs = 400;
    for (let run = 0; run < runs; run++) {
      random.start(1, run);
      const normal = () =>
        Math.sqrt(-2 * Math.log(random.fraction())) * Math.cos(2 * Math.PI * random.fraction());
      const values = [normal(), normal(), normal(), normal()];
      const holdsZero = ([low, high]: readonly [number, number]) => low <= 0 && high >= 0;
      if (holdsZero(meanInterval(values, 0.9)!)) student++;
      if (holdsZero(bootstrapMeanInterval(values, 0.9)!)) bca++;
    }
    near(student / runs, 0.9, 0.04); // 90% +- 2.7 standard errors of 1.5%
    assert.ok(bca / runs < 0.86 && bca / runs > 0.6, `coverage ${bca / runs}`);
  });
});
