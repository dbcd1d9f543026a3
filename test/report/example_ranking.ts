// A small ranking with everything in it: a clear first, a tie, a loser, a candidate that diverged.
import { rank } from "../../src/rank/rank.js";
import type { RankInput, Ranking, RankOutcome } from "../../src/rank/rank_types.js";

const bits = { name: "bitsPerByte", direction: "lower", title: "bits/byte" } as const;
const accuracy = { name: "accuracy", direction: "higher", title: "accuracy" } as const;

const measured: Record<string, readonly (readonly [text: number, recall: number])[]> = {
  "attention=0%": [
    [2.5, 0.2],
    [2.52, 0.21],
    [2.51, 0.2],
  ],
  "attention=12.5%": [
    [2.49, 0.95],
    [2.5, 0.97],
    [2.51, 0.96],
  ],
  "attention=25%": [
    [2.5, 0.97],
    [2.49, 0.95],
    [2.52, 0.97],
  ],
  "attention=50%": [
    [2.6, 0.9],
    [2.61, 0.9],
  ],
};
const patterns = ["M-M-M-M-", "M-M-*-M-", "M-*-M*--", "-*-**-*-"];

export function exampleInput(): RankInput {
  const names = Object.keys(measured);
  return {
    candidates: names.map((name, i) => {
      const figures = { pattern: patterns[i]!, params: 252_192 - 11_704 * i, flopsPerToken: 1.5e6 };
      return { name, ...figures, proxy: figures };
    }),
    tasks: [
      { label: "text", weight: 1, primary: bits },
      { label: "recall", weight: 1, primary: accuracy },
    ],
    seeds: [0, 1, 2],
    outcomes: [
      ...names.flatMap((candidate) =>
        measured[candidate]!.flatMap(([bitsPerByte, right], seed): RankOutcome[] => [
          {
            candidate,
            task: "text",
            seed,
            status: "done",
            metrics: { loss: bitsPerByte * Math.LN2, bitsPerByte },
          },
          { candidate, task: "recall", seed, status: "done", metrics: { loss: 1, accuracy: right } },
        ]),
      ),
      { candidate: "attention=50%", task: "recall", seed: 2, status: "diverged" },
    ],
    by: "score",
    confidence: 0.95,
  };
}

export function exampleRanking(): Ranking {
  return rank(exampleInput());
}
