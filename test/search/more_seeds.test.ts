// Further seeds where the answer is open: who gets them, when it ends, and how often chance is taken for a difference.
import assert from "node:assert/strict";
import { hashUniform } from "../../src/plan/hash_random.js";
import { chooseLearningRate, pilotLoss } from "../../src/search/learning_rate.js";
import { type Finalist, moreSeeds, type SeedOptions } from "../../src/search/more_seeds.js";

const options = (min: number, max: number): SeedOptions => ({ max, confidence: 0.95, looks: max - min + 1 });

describe("more seeds", () => {
  it("go to the best and to everyone tied with it, one at a time", () => {
    const finalists: Finalist[] = [
      { candidate: 0, values: [10, 10.5, 10.2] },
      { candidate: 1, values: [10.1, 10.2, 10.4] },
      { candidate: 2, values: [1, 1.51, 1.2] },
    ];
    const next = moreSeeds(finalists, options(3, 5), 2)!;
    assert.deepEqual(next.run, [
      { candidate: 0, rung: 2, seeds: 4 },
      { candidate: 1, rung: 2, seeds: 4 },
    ]);
    assert.match(next.reason, /^1 tied with the best: 2 candidates get another seed, up to 4$/);
  });

  it("end when nobody is tied with the best, when the most is reached, or with one candidate", () => {
    const apart: Finalist[] = [
      { candidate: 0, values: [10, 10.1, 10.2] },
      { candidate: 1, values: [1, 1.11, 1.19] },
    ];
    assert.equal(moreSeeds(apart, options(3, 8), 0), undefined);
    const tied: Finalist[] = [
      { candidate: 0, values: [1, 2, 3] },
      { candidate: 1, values: [3, 1, 2] },
    ];
    assert.equal(moreSeeds(tied, options(2, 3), 0), undefined);
    assert.equal(moreSeeds(tied.slice(0, 1), options(2, 8), 0), undefined);
  });

  it("hold the chance of a false difference below 5% although they look again and again", () => {
    // Equal candidates: only noise. Without the correction over looks, about one study in six would be "decided".
    const studies = 1_000;
    let wrong = 0;
    for (let study = 0; study < studies; study++) {
      const normal = (label: string): number =>
        Math.sqrt(-2 * Math.log(1 - hashUniform(study, `${label} u`))) *
        Math.cos(2 * Math.PI * hashUniform(study, `${label} v`));
      const values = [0, 1].map((candidate) =>
        Array.from({ length: 10 }, (_, i) => normal(`${candidate} ${i}`)),
      );
      for (let seeds = 3; ; seeds++) {
        const finalists = values.map((all, candidate) => ({ candidate, values: all.slice(0, seeds) }));
        if (moreSeeds(finalists, options(3, 10), 0) !== undefined) continue;
        if (seeds < 10 || differs(finalists)) wrong++;
        break;
      }
    }
    assert.ok(wrong / studies < 0.05, `${wrong} of ${studies}`);
    assert.ok(wrong > 0, "the test can see a difference at all");

    function differs(finalists: readonly Finalist[]): boolean {
      return moreSeeds(finalists, { ...options(3, 10), max: 11 }, 0) === undefined;
    }
  });
});

describe("a learning rate from pilot runs", () => {
  const pilots = (losses: readonly (readonly (number | "failed" | undefined)[])[]) =>
    losses.map((own, i) => ({ learningRate: 10 ** (i - 3), losses: own }));

  it("is the one with the lowest mean held-out loss; of equals the lower", () => {
    assert.equal(chooseLearningRate(pilots([[3], [2], [4]])), 0.01);
    assert.equal(
      chooseLearningRate(
        pilots([
          [2, 4],
          [3, 1],
          [2, 2],
        ]),
      ),
      0.01,
    );
  });

  it("is none while a pilot runs, never one that diverged, and the lowest when all have", () => {
    assert.equal(chooseLearningRate(pilots([[3], [undefined]])), undefined);
    assert.equal(
      chooseLearningRate(
        pilots([
          [3, 3],
          [1, "failed"],
          [9, 9],
        ]),
      ),
      0.001,
    );
    assert.equal(chooseLearningRate(pilots([["failed"], ["failed"]])), 0.001);
    assert.equal(chooseLearningRate(pilots([["failed"], [5]])), 0.01);
    assert.deepEqual(
      [pilotLoss({ learningRate: 1, losses: [1, 3] }), pilotLoss({ learningRate: 1, losses: ["failed"] })],
      [2, null],
    );
  });
});
