// Fronts by hand and by definition; the knee of curves whose knee is known.
import assert from "node:assert/strict";
import fc from "fast-check";
import { crowdingDistances, dominates, kneeOf, nondominatedFronts } from "../../src/rank/pareto.js";

describe("non-dominated sorting", () => {
  it("finds the fronts of a small example", () => {
    const points = [
      [1, 5],
      [3, 3],
      [5, 1],
      [2, 2],
      [1, 1],
      [3, 3],
    ];
    assert.deepEqual(nondominatedFronts(points), [[0, 1, 2, 5], [3], [4]]);
  });

  it("is what the definition says, for any points", () => {
    const point = fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 3, maxLength: 3 });
    fc.assert(
      fc.property(fc.array(point, { minLength: 1, maxLength: 25 }), (points) => {
        const fronts = nondominatedFronts(points);
        assert.deepEqual(
          fronts.flat().sort((a, b) => a - b),
          [...points.keys()],
        );
        fronts.forEach((front, level) => {
          for (const a of front) {
            assert.ok(front.every((b) => !dominates(points[b]!, points[a]!)));
            if (level > 0) assert.ok(fronts[level - 1]!.some((b) => dominates(points[b]!, points[a]!)));
          }
        });
      }),
    );
  });
});

describe("crowding", () => {
  it("is the normalised perimeter between the neighbours, infinite at the ends", () => {
    const front = [
      [0, 10],
      [1, 6],
      [5, 5],
      [10, 0],
    ];
    assert.deepEqual(crowdingDistances(front), [Infinity, 5 / 10 + 5 / 10, 9 / 10 + 6 / 10, Infinity]);
    assert.deepEqual(crowdingDistances([[1, 1]]), [Infinity]);
    assert.deepEqual(crowdingDistances([]), []);
  });
});

describe("the knee", () => {
  it("is the point farthest beyond the line between the ends, whatever the units", () => {
    // y = 1/x style bend: quality against cost, where one point bulges.
    const front = [
      [0, 0],
      [0.5, -1],
      [0.9, -2],
      [0.95, -6],
      [1, -10],
    ];
    assert.equal(kneeOf(front), 2);
    assert.equal(kneeOf(front.map(([a, b]) => [a! * 1e-6 + 3, b! * 1e9])), 2);
  });

  it("is none where the front is straight, hollow, or has no middle", () => {
    assert.equal(
      kneeOf([
        [0, 2],
        [1, 1],
        [2, 0],
      ]),
      undefined,
    );
    assert.equal(
      kneeOf([
        [0, 2],
        [0.5, 0.5],
        [2, 0],
      ]),
      undefined,
    );
    assert.equal(
      kneeOf([
        [0, 1],
        [1, 0],
      ]),
      undefined,
    );
    assert.equal(kneeOf([[1], [2], [3]]), undefined);
  });
});
