// Curves of utilisation: they find the parameters that measurements were made from, correct towards measured
// neighbours, fade far from all of them, and say honestly how far off they are.

import assert from "node:assert/strict";
import fc from "fast-check";
import {
  type Curve,
  type CurveFit,
  type CurvePoint,
  curveSeconds,
  fitCurve,
  fittedSeconds,
  quantile,
} from "../../src/project/curve.js";

const truth: CurveFit = { fixedSeconds: 4e-6, computeFraction: 0.7, memoryFraction: 0.85 };
const start: CurveFit = { fixedSeconds: 3e-6, computeFraction: 0.5, memoryFraction: 0.5 };

/** Products of `rows` with matrices of `width` squared on a device of 1 PFLOP/s and 4 TB/s. */
function place(rows: number, width: number): Omit<CurvePoint, "seconds"> {
  return {
    coordinates: [Math.log2(rows), Math.log2(width)],
    computeSeconds: (2 * rows * width ** 2) / 1e15,
    memorySeconds: (2 * (width ** 2 + 2 * rows * width)) / 4e12,
  };
}

const grid = [1, 4, 16, 64, 256, 1024, 8192].flatMap((rows) =>
  [1024, 2048, 4096, 8192].map((width) => place(rows, width)),
);

function measured(disturb: (point: Omit<CurvePoint, "seconds">) => number = () => 1): CurvePoint[] {
  return grid.map((point) => ({ ...point, seconds: fittedSeconds(truth, point) * disturb(point) }));
}

describe("a curve", () => {
  it("finds the three parameters that measurements were made from", () => {
    const curve = fitCurve(measured(), start);
    for (const key of ["fixedSeconds", "computeFraction", "memoryFraction"] as const) {
      assert.ok(Math.abs(curve[key] / truth[key] - 1) < 0.02, `${key}: ${curve[key]}`);
    }
    assert.equal(curve.error, 0.02); // the floor: nothing is known better than that
  });

  it("is the roofline far on either side of the ridge, and above it at the ridge", () => {
    const fit: CurveFit = { fixedSeconds: 1e-12, computeFraction: 1, memoryFraction: 1 };
    const at = (computeSeconds: number, memorySeconds: number) =>
      fittedSeconds(fit, { computeSeconds, memorySeconds });
    assert.ok(Math.abs(at(1, 1e-3) - 1) < 1e-9);
    assert.ok(Math.abs(at(1e-3, 1) - 1) < 1e-9);
    assert.ok(Math.abs(at(1, 1) - 2 ** 0.25) < 1e-9);
    assert.equal(at(0, 0), 1e-12);
  });

  it("takes up what a region deviates by, and predicts a shape it has not seen", () => {
    // Narrow matrices are used 40% worse, gradually.
    const worse = ({ coordinates }: Omit<CurvePoint, "seconds">) => 1.4 ** Math.max(0, 12 - coordinates[1]!);
    const curve = fitCurve(measured(worse), start);
    for (const [rows, width] of [
      [2, 1024],
      [32, 3072],
      [512, 1536],
      [2048, 6144],
    ] as const) {
      const point = place(rows, width);
      const expected = fittedSeconds(truth, point) * worse(point);
      const ratio = curveSeconds(curve, point) / expected;
      assert.ok(Math.abs(ratio - 1) < 0.12, `${rows} x ${width}: ${ratio}`);
    }
  });

  it("gives back what was measured where it was measured", () => {
    const points = measured(({ coordinates }) => (coordinates[0]! > 5 ? 1.5 : 1));
    const curve = fitCurve(points, start);
    for (const point of points) {
      const ratio = curveSeconds(curve, point) / point.seconds;
      assert.ok(Math.abs(ratio - 1) < 0.02, String(ratio));
    }
  });

  it("says how far off it is: leave-one-out errors follow the noise of the measurements", () => {
    let draw = 1;
    const noise = (size: number) => () => {
      draw = (draw * 48_271) % 2_147_483_647;
      return Math.exp(size * (2 * (draw / 2_147_483_647) - 1));
    };
    const errors = [0.05, 0.2, 0.5].map((size) => fitCurve(measured(noise(size)), start).error);
    assert.ok(errors[0]! < errors[1]! && errors[1]! < errors[2]!, errors.join(" "));
    assert.ok(errors[0]! > 0.03 && errors[2]! > 0.3, errors.join(" "));
  });

  it("fades to the fit far from every measurement", () => {
    const curve: Curve = { ...truth, corrections: [{ coordinates: [0, 10], value: Math.log(2) }], error: 0 };
    const correction = (octaves: number) =>
      curveSeconds(curve, { ...place(1, 1024), coordinates: [octaves, 10] }) /
      fittedSeconds(truth, place(1, 1024));
    assert.ok(correction(0) > 1.95);
    assert.ok(correction(20) < 1.02);
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 30, noNaN: true }),
        fc.double({ min: 0, max: 5, noNaN: true }),
        (a, d) => {
          assert.ok(correction(a + d) <= correction(a) + 1e-12);
        },
      ),
    );
  });

  it("keeps a parameter that the measurements say nothing about", () => {
    const points = [1, 2, 4, 8].map((width) => {
      const memorySeconds = width * 1e-3;
      return { coordinates: [width], computeSeconds: 0, memorySeconds, seconds: memorySeconds / 0.6 };
    });
    const curve = fitCurve(points, start);
    assert.ok(Math.abs(curve.computeFraction - start.computeFraction) < 1e-9);
    assert.ok(Math.abs(curve.memoryFraction - 0.6) < 0.01);
  });
});

describe("quantile", () => {
  it("interpolates between the sorted values", () => {
    assert.equal(quantile([3, 1, 2], 0.5), 2);
    assert.equal(quantile([0, 10], 0.9), 9);
    assert.equal(quantile([], 0.9), 0);
    assert.equal(quantile([7], 0.1), 7);
  });
});
