// Replay: strategies over recorded curves. Costs and order are checked by hand on small curves; then what a user sees.
import assert from "node:assert/strict";
import { studyCurves } from "../../src/search/curves.js";
import type { Decision } from "../../src/search/decision.js";
import { halving } from "../../src/search/halving.js";
import { replay, rungPoints } from "../../src/search/replay.js";
import { replayStudy } from "../../src/search/replay_study.js";
import type { TrialOutcome } from "../../src/study/outcome.js";
import { prepareTiny } from "../run/tiny_study.js";

describe("a replay", () => {
  it("moves rungs to the next point that is known, and pays up to there", () => {
    assert.deepEqual(rungPoints([1 / 9, 1 / 3, 1], [0.25, 0.5, 0.75, 1]), [0, 1, 3]);
    const curves = [
      [1, 1, 1, 1],
      [2, 2, 2, 2],
      [3, 3, 3, 0],
    ];
    const { runs, order } = replay(curves, [0.25, 0.5, 0.75, 1], {
      strategy: halving(3, 1 / 3),
      rungShares: [1 / 9, 1 / 3, 1],
      workers: 1,
    });
    assert.ok(Math.abs(runs - (3 * 0.25 + 0.25 + 0.5)) < 1e-12);
    assert.deepEqual(order, [2, 1, 0], "who came farthest is named, whatever became of it");
  });

  it("lets results come in the order of their cost on so many workers", () => {
    const seen: string[] = [];
    const decisions: Decision[] = [
      {
        run: [
          { candidate: 0, rung: 1 },
          { candidate: 1, rung: 0 },
        ],
        reason: "a long one and a short one",
      },
      { run: [{ candidate: 2, rung: 0 }], reason: "when a worker is free" },
    ];
    replay(
      [
        [1, 2],
        [3, 4],
        [5, 6],
      ],
      [0.5, 1],
      {
        workers: 2,
        rungShares: [0.5, 1],
        strategy: ({ decisions: taken, idle, value }) => {
          const known = [0, 1, 2].flatMap((candidate) =>
            [0, 1].filter((rung) => value(candidate, rung) !== "open").map((rung) => `${candidate}@${rung}`),
          );
          seen.push(known.join(" "));
          if (taken.length === 0) return decisions[0]!;
          return taken.length === 1 && idle > 0 ? decisions[1]! : "wait";
        },
      },
    );
    assert.deepEqual(
      [...new Set(seen)].filter((text) => text !== ""),
      ["1@0", "0@1 1@0", "0@1 1@0 2@0"],
    );
  });

  it("treats a failed run as worth less than any other", () => {
    const { order } = replay(
      [
        [null, null],
        [-5, -5],
      ],
      [0.5, 1],
      {
        strategy: halving(2, 0.5),
        rungShares: [0.5, 1],
        workers: 1,
      },
    );
    assert.deepEqual(order, [1, 0]);
  });
});

describe("the curves of a study", () => {
  /** A study whose trials ended with figures that a formula gives. */
  async function finished(lossAt: (candidate: number, seed: number, share: number) => number, skip = -1) {
    const { document } = await prepareTiny({ tokens: "10K" });
    const ends = new Map<string, TrialOutcome>();
    for (const { id, candidate, task, seed } of document.trials) {
      if (candidate === skip) continue;
      const steps = document.tasks[task]!.rungs.at(-1)!;
      const evaluations = [0.25, 0.5, 0.75, 1].map((share) => {
        const loss = lossAt(candidate, seed, share);
        return { step: share * steps, metrics: { loss, accuracy: Math.exp(-loss) } };
      });
      const metrics = evaluations.at(-1)!.metrics;
      ends.set(id, { format: 1, id, status: "done", steps, tokens: 0, metrics, evaluations });
    }
    return { document, endOf: (id: string) => ends.get(id) };
  }

  it("hold the measure by share and seed, and leave out who has not finished", async () => {
    const { document, endOf } = await finished(
      (candidate, seed, share) => 3 + candidate + seed / 10 - share,
      1,
    );
    const curves = studyCurves(document, "loss", endOf)!;
    assert.deepEqual(curves.shares, [0.25, 0.5, 0.75, 1]);
    assert.deepEqual(curves.left, ["attention=25%"]);
    assert.deepEqual(
      curves.candidates.map(({ name }) => name),
      ["attention=0%", "attention=50%"],
    );
    assert.deepEqual(curves.candidates[1]!.values[0], [-4.75, -4.85], "a loss is better when lower");
    assert.equal(curves.tokens, 2 * 10_240);
    assert.equal(studyCurves(document, "recal", endOf), undefined);
  });

  it("are worth what the strategies find on them", async () => {
    // The last candidate is worst at first and best in the end: early stopping must pay for it.
    const { document, endOf } = await finished((candidate, _, share) =>
      candidate === 2 ? 4 - 2.5 * share : 3 + candidate / 10 - share,
    );
    const curves = studyCurves(document, "loss", endOf)!;
    const options = { workers: 2, repeats: 50, seeds: 2, seed: 1 };
    const grid = replayStudy(curves, { kind: "grid" }, options);
    assert.deepEqual([grid.share, grid.foundBest, grid.regret.worst, grid.top3], [1, 1, 0, 1]);
    assert.equal(grid.tokens, 3 * 2 * 2 * 10_240);
    const early = replayStudy(curves, { kind: "halving", rungs: 3, keep: 1 / 3 }, options);
    assert.equal(early.foundBest, 0);
    assert.ok(Math.abs(early.regret.mean - 0.5) < 1e-9 && Math.abs(early.regret.worst - 0.5) < 1e-9);
    const random = replayStudy(curves, { kind: "random", trials: 1 }, { ...options, repeats: 600 });
    assert.ok(Math.abs(random.foundBest - 1 / 3) < 0.08, `${random.foundBest}`);
    assert.equal(random.share, 1 / 3);
  });
});
