// Successive halving and its asynchronous form, on curves whose best candidates are known.
import assert from "node:assert/strict";
import { asha } from "../../src/search/asha.js";
import type { Decision, SearchView, Value } from "../../src/search/decision.js";
import { halving, survivors } from "../../src/search/halving.js";
import { replay } from "../../src/search/replay.js";
import { rungShares, rungSteps } from "../../src/search/rungs.js";
import { points, syntheticCurves, truth } from "./synthetic.js";

const shares = (rungs: number, keep: number) => rungShares({ kind: "halving", rungs, keep });

/** A view in which `values` are known, by "candidate rung". */
const view = (
  decisions: readonly Decision[],
  initial: number,
  values: Record<string, Value>,
  idle = 0,
): SearchView => ({
  decisions,
  initial,
  candidates: initial,
  idle,
  value: (candidate, rung) => values[`${candidate} ${rung}`] ?? "open",
});

describe("rungs", () => {
  it("grow by 1 / keep up to the full run", () => {
    assert.deepEqual(shares(3, 0.5), [0.25, 0.5, 1]);
    assert.deepEqual(shares(1, 0.5), [1]);
    assert.deepEqual(rungShares({ kind: "grid" }), [1]);
  });

  it("lie on evaluations, which come as often as was asked or oftener", () => {
    for (const steps of [1, 2, 7, 40, 79, 1_000, 12_345]) {
      for (const [rungs, keep] of [
        [3, 0.5],
        [3, 1 / 3],
        [5, 0.25],
        [2, 0.9],
      ] as const) {
        for (const wished of [1, Math.ceil(steps / 4), steps]) {
          const { evaluateEverySteps, steps: at } = rungSteps(steps, wished, shares(rungs, keep));
          assert.ok(evaluateEverySteps >= 1 && evaluateEverySteps <= wished);
          assert.equal(at.length, rungs);
          assert.equal(at.at(-1), steps);
          for (const [i, step] of at.entries()) {
            assert.ok(step === steps || step % evaluateEverySteps === 0, `${step} of ${steps}`);
            assert.ok(i === 0 || step >= at[i - 1]!);
          }
        }
      }
    }
    assert.deepEqual(rungSteps(1_000, 250, shares(3, 1 / 3)), {
      evaluateEverySteps: 111,
      steps: [111, 333, 1_000],
    });
    assert.deepEqual(rungSteps(1_000, 250, shares(3, 0.5)), {
      evaluateEverySteps: 250,
      steps: [250, 500, 1_000],
    });
    assert.deepEqual(rungSteps(40, 10, [1]), { evaluateEverySteps: 10, steps: [40] });
  });
});

describe("successive halving", () => {
  it("waits for the whole rung, sends the best on, and names those it leaves", () => {
    const strategy = halving(3, 0.5);
    const first = strategy(view([], 4, {})) as Decision;
    assert.deepEqual(
      first.run,
      [0, 1, 2, 3].map((candidate) => ({ candidate, rung: 0 })),
    );
    assert.equal(strategy(view([first], 4, { "0 0": 1, "1 0": 2, "2 0": 3 })), "wait");
    const rung0 = { "0 0": 1, "1 0": 4, "2 0": 3, "3 0": 2 };
    const second = strategy(view([first], 4, rung0)) as Decision;
    assert.deepEqual(second.run, [
      { candidate: 1, rung: 1 },
      { candidate: 2, rung: 1 },
    ]);
    assert.deepEqual(second.prune, [0, 3]);
    const third = strategy(view([first, second], 4, { ...rung0, "1 1": 5, "2 1": 6 })) as Decision;
    assert.deepEqual([third.run, third.prune], [[{ candidate: 2, rung: 2 }], [1]]);
    assert.equal(strategy(view([first, second, third], 4, { ...rung0, "1 1": 5, "2 1": 6 })), "done");
  });

  it("never sends on what has failed, and ends when all have", () => {
    const strategy = halving(2, 0.5);
    const first = strategy(view([], 3, {})) as Decision;
    const next = strategy(view([first], 3, { "0 0": "failed", "1 0": 0, "2 0": "failed" })) as Decision;
    assert.deepEqual([next.run, next.prune], [[{ candidate: 1, rung: 1 }], []]);
    assert.equal(strategy(view([first], 3, { "0 0": "failed", "1 0": "failed", "2 0": "failed" })), "done");
  });

  it("rounds up: somebody always goes on", () => {
    assert.deepEqual(
      [survivors(9, 1 / 3), survivors(10, 1 / 3), survivors(1, 0.1), survivors(5, 0.5)],
      [3, 4, 1, 3],
    );
  });

  it("costs what its rungs add up to", () => {
    const { runs } = replay(syntheticCurves(9, 1, 0), points, {
      strategy: halving(3, 1 / 3),
      rungShares: [0.11, 0.33, 1],
      workers: 2,
    });
    assert.ok(Math.abs(runs - (9 * 0.11 + 3 * 0.22 + 1 * 0.67)) < 1e-9, `${runs}`);
  });
});

describe("asynchronous halving", () => {
  it("starts candidates while workers are free, and promotes before it starts", () => {
    const strategy = asha(2, 0.5);
    assert.equal(strategy(view([], 3, {}, 0)), "wait");
    const log: Decision[] = [];
    const decide = (values: Record<string, Value>, idle: number) => {
      const next = strategy(view(log, 3, values, idle));
      if (typeof next !== "string") log.push(next);
      return typeof next === "string" ? next : next.run;
    };
    assert.deepEqual(decide({}, 2), [{ candidate: 0, rung: 0 }]);
    assert.deepEqual(decide({}, 1), [{ candidate: 1, rung: 0 }]);
    assert.equal(decide({ "0 0": 1 }, 0), "wait");
    assert.deepEqual(
      decide({ "0 0": 1 }, 1),
      [{ candidate: 2, rung: 0 }],
      "one of one is not yet among the first half",
    );
    assert.deepEqual(decide({ "0 0": 1, "1 0": 2 }, 1), [{ candidate: 1, rung: 1 }]);
    assert.equal(decide({ "0 0": 1, "1 0": 2 }, 1), "wait");
    const end = { "0 0": 1, "1 0": 2, "2 0": 3, "1 1": 2 };
    assert.deepEqual(decide(end, 1), [{ candidate: 2, rung: 1 }], "rounded up once nothing else is left");
    assert.deepEqual(decide({ ...end, "2 1": 3 }, 2), []);
    assert.deepEqual(log.at(-1)?.prune, [0]);
    assert.equal(decide({ ...end, "2 1": 3 }, 2), "done");
  });

  it("follows its log: from any point of it, with the same results, it decides the same", () => {
    const curves = syntheticCurves(12, 3, 2);
    const log: Decision[] = [];
    const values: Record<string, Value> = {};
    const strategy = asha(3, 0.5);
    for (;;) {
      const next = strategy(view(log, 12, values, 1));
      if (typeof next === "string") break;
      assert.deepEqual(strategy(view([...log], 12, { ...values }, 1)), next);
      log.push(next);
      for (const { candidate, rung } of next.run)
        values[`${candidate} ${rung}`] = curves[candidate]![[24, 49, 99][rung]!]!;
    }
    const started = new Set(log.flatMap(({ run }) => run.map(({ candidate }) => candidate)));
    assert.equal(started.size, 12);
  });

  for (const workers of [1, 4, 16]) {
    it(`finds the best three with at most a third of the tokens, ${workers} workers`, () => {
      let overlap = 0;
      let found = 0;
      const repeats = 40;
      for (let seed = 0; seed < repeats; seed++) {
        const curves = syntheticCurves(27, seed, 1.5);
        const { runs, order } = replay(curves, points, {
          strategy: asha(4, 1 / 3),
          rungShares: shares(4, 1 / 3),
          workers,
        });
        const best = truth(curves);
        assert.ok(runs <= 27 / 3, `${runs} full runs`);
        if (order[0] === best[0]) found++;
        assert.ok(best.slice(0, 3).includes(order[0]!), `seed ${seed}`);
        overlap += order.slice(0, 3).filter((candidate) => best.slice(0, 3).includes(candidate)).length / 3;
      }
      assert.ok(found / repeats >= 0.9, `${found}`);
      assert.ok(overlap / repeats > 0.9, `${overlap / repeats}`);
    });
  }

  it("brings somebody to the top however few there are", () => {
    for (const count of [1, 2, 3, 5]) {
      const curves = syntheticCurves(count, 7, 0);
      const { order, runs } = replay(curves, points, {
        strategy: asha(3, 1 / 3),
        rungShares: [0.11, 0.33, 1],
        workers: 2,
      });
      assert.equal(order[0], truth(curves)[0]);
      assert.ok(runs >= 1);
    }
  });
});
