// The curves of a finished study: what every candidate was worth, by seed, at every share of the run at which held-out
// data were evaluated. What strategies are replayed on.

import { measureDirection, measureOf } from "../rank/measure.js";
import type { RankTask } from "../rank/rank_types.js";
import { taskLabels } from "../rank/task_labels.js";
import { isFailure, type TrialOutcome, type TrialResult } from "../study/outcome.js";
import type { StudyDocument } from "../study/study_document.js";

export interface CandidateCurve {
  readonly name: string;
  /** By point of `StudyCurves.shares`, then by seed; higher is better, null where the run had diverged. */
  readonly values: readonly (readonly (number | null)[])[];
}

export interface StudyCurves {
  /** Shares of the full run, ascending; the last is 1. */
  readonly shares: readonly number[];
  readonly seeds: readonly number[];
  readonly candidates: readonly CandidateCurve[];
  /** Tokens of one candidate's full run with one seed, over all tasks. */
  readonly tokens: number;
  readonly direction: "higher" | "lower";
  /** Candidates without a finished run for every task and seed. */
  readonly left: readonly string[];
}

/**
 * Undefined when `by` is no measure of the study.
 * @param endOf the end of a trial by its id.
 */
export function studyCurves(
  document: StudyDocument,
  by: string,
  endOf: (id: string) => TrialOutcome | undefined,
): StudyCurves | undefined {
  const labels = taskLabels(document.spec.proxy?.tasks ?? []);
  const tasks = document.tasks.map(
    ({ weight, primary }, i): RankTask => ({ label: labels[i]!, weight, primary }),
  );
  const direction = measureDirection(by, tasks);
  if (direction === undefined) return undefined;
  const seeds = commonSeeds(document);
  const results = new Map<string, TrialResult>();
  for (const { id, candidate, task, seed } of document.trials) {
    const end = endOf(id);
    if (end !== undefined && !isFailure(end)) results.set(`${candidate} ${task} ${seed}`, end);
  }
  const runs = document.candidates.map((_, candidate) =>
    seeds.map((seed) => tasks.map((_task, task) => results.get(`${candidate} ${task} ${seed}`))),
  );
  const whole = runs.map((bySeed) =>
    bySeed.every((byTask) => byTask.every((result) => result !== undefined)),
  );
  const shares = commonShares(document, runs.filter((_, i) => whole[i]).flat(2) as TrialResult[]);
  const sign = direction === "higher" ? 1 : -1;
  const worth = (results: readonly TrialResult[], share: number): number | null => {
    const metrics = results.map((result, task) => evaluationAt(document, result, task, share));
    const value = measureOf(by, tasks, (task) => metrics[labels.indexOf(task.label)]);
    return value === undefined || !Number.isFinite(value) ? null : sign * value;
  };
  return {
    shares,
    seeds,
    direction,
    tokens: document.tasks.reduce((sum, { tokens }) => sum + tokens, 0),
    candidates: document.candidates.flatMap(({ name }, i): CandidateCurve[] =>
      whole[i]
        ? [
            {
              name,
              values: shares.map((share) => runs[i]!.map((byTask) => worth(byTask as TrialResult[], share))),
            },
          ]
        : [],
    ),
    left: document.candidates.flatMap(({ name }, i) => (whole[i] ? [] : [name])),
  };
}

/** Seeds that every candidate that was begun has been given. */
function commonSeeds({ trials, seeds }: StudyDocument): readonly number[] {
  const begun = new Set(trials.map(({ candidate }) => candidate));
  return seeds.filter((seed) => {
    const there = new Set(trials.filter((trial) => trial.seed === seed).map(({ candidate }) => candidate));
    return there.size === begun.size;
  });
}

const stepsOf = (document: StudyDocument, task: number): number => document.tasks[task]!.rungs.at(-1)!;

function evaluationAt(document: StudyDocument, result: TrialResult, task: number, share: number) {
  const steps = stepsOf(document, task);
  return result.evaluations.find(({ step }) => shareOf(step, steps) === share)?.metrics;
}

/** To a tenth of a percent: evaluations of tasks with other numbers of steps lie at about the same share. */
function shareOf(step: number, steps: number): number {
  return step === steps ? 1 : Math.round((1_000 * step) / steps) / 1_000;
}

/** Shares at which every task was evaluated by at least one run. */
function commonShares(document: StudyDocument, results: readonly TrialResult[]): readonly number[] {
  const longest = document.tasks.map((_, task) => {
    const steps = stepsOf(document, task);
    const own = results.filter(({ steps: taken }) => taken === steps);
    return new Set(own.flatMap(({ evaluations }) => evaluations.map(({ step }) => shareOf(step, steps))));
  });
  const all = [...new Set(longest.flatMap((shares) => [...shares]))].sort((a, b) => a - b);
  return all.filter((share) => longest.every((shares) => shares.has(share)));
}
