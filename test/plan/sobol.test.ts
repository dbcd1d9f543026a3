// Sobol points against SciPy's, and against what makes them Sobol points: every elementary interval holds its share.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { hashUniform } from "../../src/plan/hash_random.js";
import { sobolDimensions, sobolPoints } from "../../src/plan/sobol.js";

const scipy: { readonly points: readonly (readonly number[])[] } = JSON.parse(
  readFileSync(new URL("../fixtures/sobol.json", import.meta.url), "utf8"),
);

const take = (count: number, dimensions: number, seed?: number): number[][] => {
  const points = sobolPoints(dimensions, seed);
  return Array.from({ length: count }, () => points.next().value as number[]);
};

/** How many points fall into each cell of a grid of 2^a by 2^b cells. */
const cells = (points: readonly (readonly number[])[], a: number, b: number): number[] => {
  const counts = new Array<number>(2 ** (a + b)).fill(0);
  for (const [x, y] of points) counts[Math.floor(x! * 2 ** a) * 2 ** b + Math.floor(y! * 2 ** b)]!++;
  return counts;
};

/** L2 star discrepancy (Warnock 1972), two dimensions and more. */
function starDiscrepancy(points: readonly (readonly number[])[]): number {
  const d = points[0]!.length;
  const n = points.length;
  const single = points.reduce(
    (sum, point) => sum + point.reduce((product, x) => product * (1 - x * x), 1),
    0,
  );
  let pairs = 0;
  for (const a of points)
    for (const b of points) pairs += a.reduce((product, x, i) => product * (1 - Math.max(x, b[i]!)), 1);
  return Math.sqrt(3 ** -d - (2 ** (1 - d) * single) / n + pairs / n ** 2);
}

describe("Sobol points", () => {
  it("are those of SciPy in 16 dimensions", () => {
    assert.equal(sobolDimensions, 16);
    assert.deepEqual(
      take(64, 16).map((point) => point.map((x) => x * 2 ** 30)),
      scipy.points,
    );
  });

  for (const seed of [undefined, 0, 1, 2 ** 40 + 7]) {
    it(`fill every elementary interval of the first two dimensions equally, ${seed === undefined ? "plain" : `scrambled with ${seed}`}`, () => {
      const points = take(256, 2, seed);
      for (let a = 0; a <= 8; a++)
        assert.deepEqual(cells(points, a, 8 - a), new Array(256).fill(1), `2^${a}`);
      for (const dimension of sobolPoints(5, seed).next().value!.keys()) {
        const halves = take(64, 5, seed).filter((point) => point[dimension]! < 0.5).length;
        assert.equal(halves, 32);
      }
    });
  }

  it("have a far lower discrepancy than random points, scrambled as well", () => {
    const random = Array.from({ length: 256 }, (_, i) => [
      hashUniform(1, `x ${i}`),
      hashUniform(1, `y ${i}`),
    ]);
    const limit = starDiscrepancy(random) / 3;
    for (const seed of [undefined, 3, 4]) assert.ok(starDiscrepancy(take(256, 2, seed)) < limit, `${seed}`);
  });

  it("scrambled, each point is uniform over seeds", () => {
    const seeds = 2_000;
    const first = Array.from({ length: seeds }, (_, seed) => sobolPoints(1, seed).next().value![0]!);
    const mean = first.reduce((sum, x) => sum + x, 0) / seeds;
    assert.ok(Math.abs(mean - 0.5) < 5 / Math.sqrt(12 * seeds), `${mean}`);
    assert.equal(new Set(first).size, seeds);
  });

  it("refuse more dimensions than there are direction numbers for", () => {
    assert.throws(() => sobolPoints(17).next(), RangeError);
    assert.throws(() => sobolPoints(0).next(), RangeError);
  });
});
