import assert from "node:assert/strict";
import fc from "fast-check";
import { holm, meanInterval, pairedP, variance } from "../../src/rank/statistics.js";

const close = (actual: number, expected: number, tolerance: number) =>
  assert.ok(Math.abs(actual - expected) <= tolerance, `${actual} is not ${expected}`);

describe("meanInterval", () => {
  it("gives the interval of a worked example", () => {
    // Values 1, 2, 3, 4: mean 2.5, s = 1.290994, t(0.975, 3) = 3.182446, half width 3.182446 * s / 2 = 2.054260.
    const [low, high] = meanInterval([1, 2, 3, 4], 0.95)!;
    close(low, 2.5 - 2.05426, 1e-5);
    close(high, 2.5 + 2.05426, 1e-5);
  });

  it("says nothing about one value", () => {
    assert.equal(meanInterval([1], 0.95), null);
  });

  it("covers the true mean as often as it says", () => {
    // 4000 triples of normal numbers (Box-Muller over a fixed linear congruential generator); 95% +- 4 standard errors.
    let state = 42n;
    const uniform = () => {
      state = (state * 6364136223846793005n + 1442695040888963407n) & 0xffffffffffffffffn;
      return (Number(state >> 11n) + 0.5) / 2 ** 53;
    };
    const normal = () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
    let covered = 0;
    for (let i = 0; i < 4000; i++) {
      const [low, high] = meanInterval([normal(), normal(), normal()], 0.95)!;
      if (low <= 0 && 0 <= high) covered += 1;
    }
    close(covered / 4000, 0.95, 4 * Math.sqrt((0.95 * 0.05) / 4000));
  });
});

describe("pairedP", () => {
  it("gives the p-value of Student's sleep data", () => {
    // Student 1908, extra hours of sleep of two drugs on ten patients: t = -4.0621, df = 9, p = 0.002833 (R: t.test paired).
    const differences = [-1.2, -2.4, -1.3, -1.3, 0, -1, -1.8, -0.8, -4.6, -1.4];
    close(pairedP(differences), 0.002833, 5e-7);
  });

  it("claims nothing from one seed or from equal results", () => {
    assert.equal(pairedP([5]), 1);
    assert.equal(pairedP([0, 0, 0]), 1);
  });

  it("is certain when every seed shows the same difference", () => {
    assert.equal(pairedP([0.5, 0.5, 0.5]), 0);
  });
});

describe("variance", () => {
  it("keeps its digits far from zero", () => {
    close(variance([1e9 + 1, 1e9 + 2, 1e9 + 3]), 1, 1e-9);
  });
});

describe("holm", () => {
  it("adjusts a worked example", () => {
    // Holm 1979's procedure on 0.01, 0.04, 0.03, 0.005 (R: p.adjust(p, "holm")).
    const adjusted = holm([0.01, 0.04, 0.03, 0.005]);
    for (const [i, expected] of [0.03, 0.06, 0.06, 0.02].entries()) close(adjusted[i]!, expected, 1e-15);
  });

  it("never lowers a p-value, keeps their order and stays between Bonferroni and none", () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 20 }),
        (p) => {
          const adjusted = holm(p);
          p.forEach((value, i) => {
            assert.ok(
              adjusted[i]! >= value && adjusted[i]! <= Math.min(1, Math.max(value * p.length, value)),
            );
            p.forEach((other, j) => {
              if (value < other) assert.ok(adjusted[i]! <= adjusted[j]!);
            });
          });
        },
      ),
    );
  });
});
