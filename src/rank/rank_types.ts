// What the ranking reads and what it says. Input: what every finished trial measured. Output: plain data with no clock,
// host or path in it, so that ranking.json has the same bytes however the study was run. Field names of RankedCandidate
// are those of `layermix rank --json`.

import type { Metrics, PrimaryMetric } from "../task/task.js";

/** Size and cost of a model. */
export interface ModelFigures {
  readonly pattern: string;
  readonly params: number;
  /** Exact training FLOPs per token. */
  readonly flopsPerToken: number;
}

/** A candidate: the model it stands for, and the proxy that was trained in its place. */
export interface RankCandidate extends ModelFigures {
  readonly name: string;
  /** Seeds it was given, where that is not all of the study's: none while a search has not begun it. */
  readonly seeds?: readonly number[];
  /** Costs that the study weighs against its measure, lower is better. */
  readonly costs?: Readonly<Record<string, number>>;
  /** By task, where rates are swept: the one that its pilot runs have chosen. */
  readonly learningRates?: Readonly<Record<string, number>>;
  readonly proxy: ModelFigures;
}

export interface RankTask {
  /** Unique in the study: see taskLabels(). */
  readonly label: string;
  readonly weight: number;
  readonly primary: PrimaryMetric;
}

/** The end of one trial. */
export interface RankOutcome {
  readonly candidate: string;
  readonly task: string;
  readonly seed: number;
  /** "paused": it has not gone to its end; the search may send it on. */
  readonly status: "done" | "paused" | "diverged" | "failed";
  /** Held-out figures, when done, or where it paused. */
  readonly metrics?: Metrics;
  /** When paused: the share of the full run it has had. */
  readonly share?: number;
  /** When paused: the search has decided that it goes no further. */
  readonly pruned?: boolean;
  /** One sentence, when failed. */
  readonly reason?: string;
}

export interface RankInput {
  readonly candidates: readonly RankCandidate[];
  readonly tasks: readonly RankTask[];
  /** Seeds that the study asks for. */
  readonly seeds: readonly number[];
  /** Trials that ended, in any order; what is missing has not run yet. */
  readonly outcomes: readonly RankOutcome[];
  /** "score", "loss", or a task's label. */
  readonly by: string;
  /** 0.95 */
  readonly confidence: number;
  /**
   * How often the study compares while it runs, 1 when absent: with seeds that are added until candidates are told apart,
   * each look is a chance to find a difference that is not there, so differences are held to (1 - confidence) / looks.
   */
  readonly looks?: number;
}

/** [low, high] */
export type Interval = readonly [number, number];

/** Mean over seeds; null where nothing is known (no seed, or one seed and therefore no interval). */
export interface Estimate {
  readonly mean: number | null;
  readonly interval: Interval | null;
}

export interface TaskColumn extends Estimate {
  readonly metric: PrimaryMetric["name"];
  /** Value by seed, ascending. */
  readonly seeds: Readonly<Record<string, number>>;
  /** Mean accuracy by number of phone book entries. */
  readonly byEntries?: Readonly<Record<string, number>>;
}

/**
 * complete: every trial done. partial: some trials still to run; ranked on the seeds for which every task is done.
 * waiting: no such seed yet. pruned: a search left it behind at a rung; listed after the ranked ones, by how far it came and
 * what it was worth there, without a score, because a shorter run cannot be compared. failed: a trial diverged or failed; ranked last, whatever its other trials say.
 */
export type CandidateState = "complete" | "partial" | "waiting" | "pruned" | "failed";

export interface RankedCandidate extends ModelFigures {
  /** Shared by candidates that are tied with the best of their group (1, 1, 3); null while waiting. */
  readonly rank: number | null;
  readonly candidate: string;
  readonly proxy: ModelFigures;
  readonly state: CandidateState;
  /** Where a search left it behind: the share of the full run, and the measure there. */
  readonly prunedAt?: { readonly share: number; readonly value: number | null };
  /** Costs that the study weighs against its measure, lower is better. */
  readonly costs?: Readonly<Record<string, number>>;
  /** By task, where rates are swept. */
  readonly learningRates?: Readonly<Record<string, number>>;
  /** In units of `by`; null while waiting, pruned or failed. */
  readonly score: number | null;
  readonly interval: Interval | null;
  /** BCa bootstrap over seeds, beside Student's `interval`; null for fewer than three seeds. */
  readonly bootstrap: Interval | null;
  /** What is missing to the best by mean, paired over seeds; null for the best itself and where there is no score. */
  readonly behindBest: PairedDifference | null;
  /** Every ranked candidate whose difference from this one is not significant, best first. */
  readonly tiedWith: readonly string[];
  readonly tasks: Readonly<Record<string, TaskColumn>>;
  /** What is missing or went wrong, one sentence each. */
  readonly problems: readonly string[];
}

/** How much better the best is, seed by seed, in units of the measure; Student's interval, null for one seed. */
export interface PairedDifference {
  readonly mean: number;
  readonly interval: Interval | null;
  readonly seeds: number;
}

/** Two candidates on one measure; better and worse by the mean. */
export interface Comparison {
  readonly better: string;
  readonly worse: string;
  /** Seeds that both have. */
  readonly seeds: number;
  /** Two-sided paired t-test, Holm-adjusted over all pairs of the measure; 1 with fewer than two seeds. */
  readonly pValue: number;
  readonly significant: boolean;
}

/** Candidates that nobody beats in every objective at once, best by the measure first. */
export interface ParetoFront {
  readonly objectives: readonly { readonly name: string; readonly direction: "higher" | "lower" }[];
  /** `values` in the order of the objectives, in their own units. */
  readonly front: readonly { readonly candidate: string; readonly values: readonly number[] }[];
  /** Where a little more of one objective costs a lot of another; null where the front has no such place. */
  readonly knee: string | null;
}

/** A ranking that trains nothing, judged by ours. */
export interface Baseline {
  /** Most parameters or FLOPs per token of the proxy first, or any order. */
  readonly by: "params" | "flops" | "random";
  /** Best first; candidates of equal size share an entry. */
  readonly order: readonly (readonly string[])[];
  /** How much worse its first pick is than ours, in units of the measure; expected, where picks are tied. */
  readonly regret: number;
  /** Share of our best three (or fewer) among its own. */
  readonly top3: number;
}

export interface Ranking {
  readonly by: string;
  readonly direction: "higher" | "lower";
  readonly confidence: number;
  /** Differences are held to (1 - confidence) / looks. */
  readonly looks: number;
  /** How the score is made, in one line. */
  readonly formula: string;
  readonly seeds: readonly number[];
  readonly tasks: readonly RankTask[];
  /** Best first. */
  readonly ranking: readonly RankedCandidate[];
  /** On the ranked measure. */
  readonly comparisons: readonly Comparison[];
  /** On each task alone, by label. */
  readonly taskComparisons: Readonly<Record<string, readonly Comparison[]>>;
  readonly pareto: ParetoFront;
  /** None with fewer than two ranked candidates. */
  readonly baselines: readonly Baseline[];
  readonly trials: {
    readonly done: number;
    readonly diverged: number;
    readonly failed: number;
    readonly pruned: number;
    readonly total: number;
  };
}
