// The curves of a finished study: what every candidate was worth, by seed, at every share of the run at which held-out
// data were evaluated. What strategies are replayed on.

import { commonSeeds } from "../rank/common_seeds.js";
import { commonShares, evaluationFor } from "../rank/evaluation_shares.js";
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
  const shares = sharesOfAll(
    document,
    runs.filter((_, i) => whole[i]),
  );
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

const stepsOf = (document: StudyDocument, task: number): number => document.tasks[task]!.rungs.at(-1)!;

function sharesOf(document: StudyDocument, task: number, { evaluations }: TrialResult): readonly number[] {
  return evaluations.map(({ step }) => step / stepsOf(document, task));
}

function evaluationAt(document: StudyDocument, result: TrialResult, task: number, share: number) {
  return result.evaluations[evaluationFor(sharesOf(document, task, result), share)]?.metrics;
}

/** Shares at which every run that was not cut short by a divergence was evaluated. */
function sharesOfAll(
  document: StudyDocument,
  runs: readonly (readonly (readonly (TrialResult | undefined)[])[])[],
): readonly number[] {
  const lists = runs
    .flat()
    .flatMap((byTask) =>
      byTask.flatMap((result, task) =>
        result?.steps === stepsOf(document, task) ? [sharesOf(document, task, result)] : [],
      ),
    );
  return commonShares(lists);
}
