import assert from "node:assert/strict";
import { LayermixError } from "../../src/diag/diagnostic.js";
import { rank } from "../../src/rank/rank.js";
import type { RankCandidate, RankInput, RankOutcome, RankTask } from "../../src/rank/rank_types.js";

const text: RankTask = {
  label: "text",
  weight: 1,
  primary: { name: "bitsPerByte", direction: "lower", title: "bits/byte" },
};
const recall: RankTask = {
  label: "recall",
  weight: 1,
  primary: { name: "accuracy", direction: "higher", title: "accuracy" },
};

function candidateNamed(name: string): RankCandidate {
  const figures = { pattern: "M-", params: 1000, flopsPerToken: 6000 };
  return { name, ...figures, proxy: figures };
}

/** A study of accuracies by candidate and seed 0, 1, 2. */
function recallStudy(values: Record<string, (number | undefined)[]>): RankInput {
  return {
    candidates: Object.keys(values).map(candidateNamed),
    tasks: [recall],
    seeds: [0, 1, 2],
    outcomes: Object.entries(values).flatMap(([candidate, list]) =>
      list.flatMap((accuracy, seed): RankOutcome[] =>
        accuracy === undefined
          ? []
          : [{ candidate, task: "recall", seed, status: "done", metrics: { loss: 1 - accuracy, accuracy } }],
      ),
    ),
    by: "score",
    confidence: 0.95,
  };
}

const ranksOf = (input: RankInput) =>
  rank(input).ranking.map((entry) => [entry.candidate, entry.rank, entry.tiedWith] as const);

describe("rank", () => {
  it("puts a candidate first that is better by far more than the seeds differ", () => {
    const input = recallStudy({ none: [0.1, 0.11, 0.1], some: [0.9, 0.91, 0.92] });
    assert.deepEqual(ranksOf(input), [
      ["some", 1, []],
      ["none", 2, []],
    ]);
  });

  it("calls a difference within the noise a tie and shares the rank", () => {
    const input = recallStudy({ a: [0.5, 0.7, 0.6], b: [0.62, 0.55, 0.66], none: [0.01, 0.02, 0.01] });
    assert.deepEqual(ranksOf(input), [
      ["b", 1, ["a"]],
      ["a", 1, ["b"]],
      ["none", 3, []],
    ]);
  });

  it("tells apart by paired seeds what the intervals alone would not", () => {
    // Seeds differ by 0.2, candidates by 0.05 in every seed: the intervals overlap, the paired difference is clear.
    const input = recallStudy({ a: [0.4, 0.6, 0.8], b: [0.351, 0.55, 0.749] });
    const [first, second] = rank(input).ranking;
    assert.deepEqual([first!.candidate, first!.rank, second!.rank], ["a", 1, 2]);
    assert.ok(first!.interval![0] < second!.interval![1]);
  });

  it("shows ties that are not transitive through tiedWith, and keeps ranks in order of the score", () => {
    // c is so noisy that nobody is told apart from it; a beats b in every seed by the same step.
    const input = recallStudy({ a: [0.9, 0.9, 0.9], b: [0.8, 0.801, 0.8], c: [0.2, 0.9, 0.7] });
    assert.deepEqual(ranksOf(input), [
      ["a", 1, ["c"]],
      ["b", 2, ["c"]],
      ["c", 2, ["a", "b"]],
    ]);
  });

  it("claims nothing from a single seed", () => {
    const input = { ...recallStudy({ a: [0.9], b: [0.1] }), seeds: [0] };
    const result = rank(input);
    assert.deepEqual(
      result.ranking.map((entry) => [entry.rank, entry.interval, entry.state]),
      [
        [1, null, "complete"],
        [1, null, "complete"],
      ],
    );
  });

  it("scores each task by a fixed rule: accuracy as it is, 2^-bits for text, weighted", () => {
    const input: RankInput = {
      candidates: [candidateNamed("a")],
      tasks: [text, { ...recall, weight: 3 }],
      seeds: [7, 8],
      outcomes: [7, 8].flatMap((seed): RankOutcome[] => [
        {
          candidate: "a",
          task: "text",
          seed,
          status: "done",
          metrics: { loss: 2 * Math.LN2, bitsPerByte: 2 },
        },
        { candidate: "a", task: "recall", seed, status: "done", metrics: { loss: 0.5, accuracy: 0.8 } },
      ]),
      by: "score",
      confidence: 0.95,
    };
    const result = rank(input);
    // 100 * (1 * 0.25 + 3 * 0.8) / 4
    assert.ok(Math.abs(result.ranking[0]!.score! - 66.25) < 1e-12);
    assert.equal(result.formula, "score = 100 x (2^-(text bits/byte) + 3 x recall accuracy) / 4");
    const byLoss = rank({ ...input, by: "loss" });
    assert.ok(Math.abs(byLoss.ranking[0]!.score! - (2 * Math.LN2 + 1.5) / 4) < 1e-12);
  });

  it("does not move a score when another candidate joins", () => {
    const two = rank(recallStudy({ a: [0.5, 0.6, 0.7], b: [0.4, 0.4, 0.5] }));
    const three = rank(recallStudy({ a: [0.5, 0.6, 0.7], b: [0.4, 0.4, 0.5], c: [0, 0, 0] }));
    const scoreOf = (result: typeof two) => result.ranking.find((entry) => entry.candidate === "a")!.score;
    assert.equal(scoreOf(two), scoreOf(three));
  });

  it("ranks lower first where lower is better", () => {
    const input = recallStudy({ a: [0.2, 0.21, 0.22], b: [0.7, 0.71, 0.72] });
    assert.deepEqual(
      rank({ ...input, by: "loss" }).ranking.map((entry) => [entry.candidate, entry.rank]),
      [
        ["b", 1],
        ["a", 2],
      ],
    );
  });

  it("ranks what is there of an unfinished study and says what is missing", () => {
    const input = recallStudy({
      a: [0.9, 0.91, 0.92],
      b: [0.5, undefined, 0.52],
      c: [undefined, undefined, undefined],
    });
    const result = rank(input);
    assert.deepEqual(
      result.ranking.map((entry) => [entry.candidate, entry.rank, entry.state, entry.problems]),
      [
        ["a", 1, "complete", []],
        ["b", 2, "partial", ["1 of 3 trials not run to the end yet"]],
        ["c", null, "waiting", ["3 of 3 trials not run to the end yet"]],
      ],
    );
    assert.deepEqual(result.trials, { done: 5, diverged: 0, failed: 0, pruned: 0, total: 9 });
  });

  it("puts a candidate with a diverged or failed trial last, however good its other seeds are, and shows it", () => {
    const input = recallStudy({
      good: [0.9, 0.91, 0.92],
      wild: [0.99, 0.99, undefined],
      weak: [0.1, 0.1, 0.12],
    });
    const outcomes: RankOutcome[] = [
      ...input.outcomes,
      { candidate: "wild", task: "recall", seed: 2, status: "diverged" },
    ];
    const result = rank({ ...input, outcomes });
    const last = result.ranking.at(-1)!;
    assert.deepEqual(
      [last.candidate, last.rank, last.state, last.score, last.problems, last.tasks.recall!.seeds],
      ["wild", 3, "failed", null, ["recall diverged with seed 2"], { "0": 0.99, "1": 0.99 }],
    );
  });

  it("compares only over the seeds that both have", () => {
    const result = rank(recallStudy({ a: [0.9, 0.91, 0.92], b: [0.5, undefined, 0.52] }));
    assert.equal(result.comparisons[0]!.seeds, 2);
  });

  it("averages accuracy by number of entries over the seeds", () => {
    const input = recallStudy({ a: [0.5, 0.5, 0.5] });
    const outcomes = input.outcomes.map((outcome, i) => ({
      ...outcome,
      metrics: { ...outcome.metrics!, byEntries: { "4": 1, "8": i / 2 } },
    }));
    assert.deepEqual(rank({ ...input, outcomes }).ranking[0]!.tasks.recall!.byEntries, { "4": 1, "8": 0.5 });
  });

  it("does not depend on the order in which trials finished", () => {
    const input = recallStudy({ a: [0.5, 0.7, 0.6], b: [0.62, 0.55, 0.66], c: [0.01, 0.02, 0.01] });
    const reversed = { ...input, outcomes: [...input.outcomes].reverse() };
    assert.equal(JSON.stringify(rank(reversed)), JSON.stringify(rank(input)));
  });

  it("refuses an unknown measure and names the known ones", () => {
    const input = { ...recallStudy({ a: [1] }), by: "recal" };
    assert.throws(
      () => rank(input),
      (error) =>
        error instanceof LayermixError &&
        error.exitCode === 2 &&
        error.diagnostics[0]!.code === "LMX7010" &&
        error.diagnostics[0]!.help[0] === "a measure with a similar name exists: recall",
    );
  });
});
