// Shares from the unit cube: uniform on the simplex, within their ranges; drawn points as a study sees them.
import assert from "node:assert/strict";
import { planCandidates } from "../../src/estimate/candidates.js";
import { sharesWithin, toSimplex } from "../../src/plan/simplex.js";
import { sobolPoints } from "../../src/plan/sobol.js";
import { parseStudy } from "../../src/spec/parse_study.js";
import { tinyStudyText } from "../run/tiny_study.js";

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

describe("the map to the simplex", () => {
  it("keeps volumes: corners of the simplex hold what their volume says", () => {
    const count = 2 ** 14;
    const points = sobolPoints(3, 5);
    const shares = Array.from({ length: count }, () => toSimplex(points.next().value!));
    for (const part of shares) assert.ok(part.every((share) => share >= 0) && sum(part) <= 1 + 1e-12);
    // The corner x_i > 1/2 of the simplex in d dimensions is a simplex of half the edge: 1/8 of the volume for d = 3.
    for (const axis of [0, 1, 2]) {
      const corner = shares.filter((part) => part[axis]! > 0.5).length / count;
      assert.ok(Math.abs(corner - 1 / 8) < 0.002, `axis ${axis}: ${corner}`);
    }
    const rest = shares.filter((part) => sum(part) < 0.5).length / count;
    assert.ok(Math.abs(rest - 1 / 8) < 0.002, `${rest}`);
  });

  it("gives lower bounds first and refuses what leaves a range", () => {
    const ranges = [
      { from: 0.1, to: 0.3 },
      { from: 0.2, to: 0.6 },
    ];
    const points = sobolPoints(2, 1);
    let kept = 0;
    for (let i = 0; i < 500; i++) {
      const shares = sharesWithin(points.next().value!, ranges, 0.9);
      if (shares === undefined) continue;
      kept++;
      assert.ok(
        shares[0]! >= 0.1 && shares[0]! <= 0.3 + 1e-9 && shares[1]! >= 0.2 && shares[1]! <= 0.6 + 1e-9,
      );
      assert.ok(sum(shares) <= 0.9 + 1e-9);
    }
    assert.ok(kept > 100, `${kept}`);
    assert.equal(sharesWithin([0.5, 0.5], ranges, 0.2), undefined);
  });
});

describe("a sweep with ranges", () => {
  const text = (strategy: string): string =>
    tinyStudyText()
      .replace("[0%, 25%, 50%]", "{ from: 0%, to: 50% }")
      .replace("mix.mlp: [50%]", "mix.mlp: { from: 25%, to: 75% }")
      .replace("layers: 8", "layers: 24")
      .replace("fill: mamba2", `fill: mamba2\n  strategy: ${strategy}`);
  const candidates = (strategy: string, seed = 0) =>
    planCandidates(parseStudy(text(strategy), { file: "s.yaml", folder: "." }).spec, undefined, seed)
      .candidates;

  for (const how of ["sobol", "random"]) {
    it(`draws so many different layouts, the same ones for a seed, more without losing any (${how})`, () => {
      const eight = candidates(`{ ${how}: { trials: 8 } }`);
      assert.equal(new Set(eight.map(({ plan }) => plan.pattern)).size, 8);
      for (const { values, plan } of eight) {
        const [attention, mlp] = [values["mix.attention"] as number, values["mix.mlp"] as number];
        assert.ok(attention >= 0 && attention <= 0.5 && mlp >= 0.25 && mlp <= 0.75 && attention + mlp <= 1);
        assert.equal(plan.layers.length, 24);
      }
      const names = (list: typeof eight): string[] => list.map(({ name }) => name);
      assert.deepEqual(names(candidates(`{ ${how}: { trials: 8 } }`)), names(eight));
      assert.deepEqual(names(candidates(`{ ${how}: { trials: 16 } }`)).slice(0, 8), names(eight));
      assert.notDeepEqual(names(candidates(`{ ${how}: { trials: 8 } }`, 1)), names(eight));
    });
  }

  it("says so when the ranges hold fewer layouts than are wanted", () => {
    const few = tinyStudyText()
      .replace("[0%, 25%, 50%]", "{ from: 0%, to: 30% }")
      .replace("fill: mamba2", "fill: mamba2\n  strategy: { sobol: { trials: 50 } }");
    const { spec } = parseStudy(few, { file: "s.yaml", folder: "." });
    const { candidates: found, dropped } = planCandidates(spec);
    assert.equal(found.length, 3); // 8 layers: 0, 1 or 2 of them attention
    assert.match(dropped.at(-1)!.reason, /^50 wanted, 3 different layouts found/);
  });
});
