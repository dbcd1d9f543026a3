import assert from "node:assert/strict";
import { type CurvePoint, extrapolate } from "../../src/rank/extrapolate.js";
import { RowRandom, streams } from "../../src/task/row_random.js";

const places = Array.from({ length: 12 }, (_, i) => (i + 1) / 12);
const curveOf = (value: (at: number) => number): CurvePoint[] =>
  places.map((at) => ({ at, value: value(at) }));

function forecast(curves: readonly CurvePoint[][], target: number) {
  const result = extrapolate(curves, target, 0.95);
  assert.equal(result.kind, "forecast", JSON.stringify(result));
  return result as Extract<typeof result, { kind: "forecast" }>;
}

describe("extrapolation of learning curves", () => {
  it("continues a power law exactly", () => {
    const law = (at: number) => 2.1 + 0.4 * at ** -0.5;
    const { family, value } = forecast([curveOf(law)], 2);
    assert.equal(family, "power");
    assert.ok(Math.abs(value - law(2)) < 1e-4, `${value}`);
  });

  it("continues an exponential approach and a logarithm exactly, each by its own family", () => {
    const decay = (at: number) => 1.5 + 2 * Math.exp(-3 * at);
    const log = (at: number) => 3 - 0.2 * Math.log(at);
    const first = forecast([curveOf(decay)], 2);
    const second = forecast([curveOf(log)], 2);
    assert.deepEqual([first.family, second.family], ["exponential", "logarithm"]);
    assert.ok(Math.abs(first.value - decay(2)) < 1e-4, `${first.value}`);
    assert.ok(Math.abs(second.value - log(2)) < 1e-9, `${second.value}`);
  });

  it("holds the truth of noisy power laws in its interval about as often as it says", () => {
    const random = new RowRandom(3, streams.statistics);
    const runs = 60;
    let held = 0;
    for (let run = 0; run < runs; run++) {
      random.start(2, run);
      const exponent = 0.2 + 0.6 * random.fraction();
      const law = (at: number) => 2 + 0.5 * at ** -exponent;
      const curves = Array.from({ length: 4 }, () => {
        const shift = 0.01 * (random.fraction() - 0.5);
        return curveOf((at) => law(at) + shift + 0.004 * (random.fraction() - 0.5));
      });
      const { interval } = forecast(curves, 2);
      if (interval[0] <= law(2) && law(2) <= interval[1]) held++;
    }
    assert.ok(held / runs >= 0.85, `${held} of ${runs}`);
  });

  it("refuses what it cannot know", () => {
    const refused = (curve: CurvePoint[], target: number) => {
      const result = extrapolate([curve], target, 0.95);
      return result.kind === "none" ? result.reason : "a forecast";
    };
    const law = curveOf((at) => 2 + at ** -0.5);
    assert.match(refused(law.slice(0, 5), 2), /5 points on the curve; 6 are needed/);
    assert.match(refused(law, 5), /more than 4 times beyond/);
    assert.match(
      refused(
        curveOf(() => 2),
        2,
      ),
      /does not move/,
    );
    assert.match(
      refused(
        curveOf((at) => 0.5 + 0.4 * Math.sin(17 * at)),
        2,
      ),
      /no curve family/,
    );
  });

  it("stays inside the bounds of the measure", () => {
    const result = extrapolate([curveOf((at) => 1 - 0.3 * at ** -0.3 + 0.25)], 3, 0.95, [0, 1]);
    assert.ok(result.kind === "forecast" && result.value <= 1 && result.interval[1] <= 1);
  });
});
