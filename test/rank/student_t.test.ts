import assert from "node:assert/strict";
import { incompleteBeta, logGamma, twoSidedP, twoSidedQuantile } from "../../src/rank/student_t.js";

const close = (actual: number, expected: number, relative: number) =>
  assert.ok(Math.abs(actual - expected) <= relative * Math.abs(expected), `${actual} is not ${expected}`);

describe("Student's t", () => {
  // Two-sided critical values as printed in the usual tables (NIST/SEMATECH e-Handbook, 1.3.6.7.2; three decimals).
  const table: [number, number, number][] = [
    [0.9, 1, 6.314],
    [0.95, 1, 12.706],
    [0.99, 1, 63.657],
    [0.9, 2, 2.92],
    [0.95, 2, 4.303],
    [0.99, 2, 9.925],
    [0.95, 3, 3.182],
    [0.95, 4, 2.776],
    [0.95, 5, 2.571],
    [0.99, 5, 4.032],
    [0.8, 10, 1.372],
    [0.95, 10, 2.228],
    [0.998, 10, 4.144],
    [0.95, 30, 2.042],
    [0.99, 30, 2.75],
    [0.95, 100, 1.984],
  ];
  for (const [confidence, df, expected] of table) {
    it(`has the quantile ${expected} for ${confidence * 100}% and ${df} degrees of freedom`, () => {
      assert.equal(Math.round(twoSidedQuantile(confidence, df) * 1000) / 1000, expected);
    });
  }

  it("has the closed form of the Cauchy distribution for one degree of freedom", () => {
    for (const t of [0, 0.1, 0.5, 1, 3, 12.7, 500, 1e6]) {
      close(twoSidedP(t, 1), (2 / Math.PI) * Math.atan2(1, t), 1e-12);
    }
  });

  it("has the closed form 1 - t / sqrt(2 + t^2) for two degrees of freedom", () => {
    for (const t of [0, 0.1, 0.5, 1, 4.3, 20, 80]) {
      close(twoSidedP(t, 2), 1 - t / Math.sqrt(2 + t * t), 1e-9);
    }
  });

  it("approaches the normal distribution for many degrees of freedom", () => {
    close(twoSidedQuantile(0.95, 1e7), 1.959963984540054, 1e-6);
  });

  it("inverts its own probability", () => {
    for (const df of [1, 2, 3, 4, 9, 29, 2.5]) {
      for (const confidence of [0.5, 0.8, 0.95, 0.999]) {
        close(twoSidedP(twoSidedQuantile(confidence, df), df), 1 - confidence, 1e-11);
      }
    }
  });

  it("is symmetric in t, one at zero and zero at infinity", () => {
    assert.equal(twoSidedP(-3, 4), twoSidedP(3, 4));
    assert.equal(twoSidedP(0, 4), 1);
    assert.equal(twoSidedP(Number.POSITIVE_INFINITY, 4), 0);
  });
});

describe("logGamma and incompleteBeta", () => {
  it("give factorials and the half-integer value", () => {
    for (const [x, factorial] of [
      [2, 1],
      [5, 24],
      [11, 3628800],
    ] as const) {
      assert.ok(Math.abs(logGamma(x) - Math.log(factorial)) < 1e-13);
    }
    close(logGamma(0.5), Math.log(Math.sqrt(Math.PI)), 1e-13);
  });

  it("equal polynomial sums for integer arguments", () => {
    // I_x(2, 3) = P(Binomial(4, x) >= 2)
    for (const x of [0.01, 0.2, 0.5, 0.77, 0.99]) {
      const expected = 6 * x ** 2 * (1 - x) ** 2 + 4 * x ** 3 * (1 - x) + x ** 4;
      close(incompleteBeta(x, 2, 3), expected, 1e-12);
    }
  });
});
