// Sorts the outcomes of a study by candidate, task and seed, and says for each candidate what is missing or went wrong.

import type { Metrics } from "../task/task.js";
import type { CandidateState, RankCandidate, RankInput, RankOutcome, RankTask } from "./rank_types.js";
import { lossOf, primaryValue, scoreOf } from "./score.js";

export interface CandidateRecord {
  readonly candidate: RankCandidate;
  readonly state: CandidateState;
  /** Held-out figures by task label, then by seed, ascending. */
  readonly metrics: ReadonlyMap<string, ReadonlyMap<number, Metrics>>;
  /** The ranked measure by seed, ascending: seeds for which every task it needs is done. */
  readonly measure: ReadonlyMap<number, number>;
  readonly problems: readonly string[];
}

/** One record per candidate, in the given order. */
export function collectRecords(input: RankInput): readonly CandidateRecord[] {
  return input.candidates.map((candidate) => {
    const outcomes = input.outcomes.filter((outcome) => outcome.candidate === candidate.name);
    return collectRecord(candidate, outcomes, input);
  });
}

function collectRecord(
  candidate: RankCandidate,
  outcomes: readonly RankOutcome[],
  input: RankInput,
): CandidateRecord {
  const seeds = [...input.seeds].sort((a, b) => a - b);
  const metrics = new Map<string, Map<number, Metrics>>();
  const problems: string[] = [];
  let missing = 0;
  let broken = 0;
  for (const task of input.tasks) {
    const bySeed = new Map<number, Metrics>();
    for (const seed of seeds) {
      const outcome = outcomes.find((entry) => entry.task === task.label && entry.seed === seed);
      if (outcome === undefined) {
        missing += 1;
      } else if (outcome.status !== "done" || outcome.metrics === undefined) {
        broken += 1;
        const reason = outcome.reason === undefined ? "" : `: ${outcome.reason}`;
        problems.push(`${task.label} ${outcome.status} with seed ${seed}${reason}`);
      } else if (primaryValue(task, outcome.metrics) === undefined) {
        broken += 1;
        problems.push(`${task.label} reported no ${task.primary.title} with seed ${seed}`);
      } else {
        bySeed.set(seed, outcome.metrics);
      }
    }
    metrics.set(task.label, bySeed);
  }
  if (missing > 0) {
    problems.push(`${missing} of ${input.tasks.length * seeds.length} trials not run yet`);
  }
  const measure = new Map<number, number>();
  for (const seed of seeds) {
    const value = measureOf(input.by, input.tasks, (task) => metrics.get(task.label)!.get(seed));
    if (value !== undefined) measure.set(seed, value);
  }
  const state = broken > 0 ? "failed" : measure.size === 0 ? "waiting" : missing > 0 ? "partial" : "complete";
  return { candidate, state, metrics, measure, problems };
}

/** The ranked measure of one seed, or undefined while a task it needs is missing. */
function measureOf(
  by: string,
  tasks: readonly RankTask[],
  metricsOf: (task: RankTask) => Metrics | undefined,
): number | undefined {
  const needed = by === "score" || by === "loss" ? tasks : tasks.filter((task) => task.label === by);
  const found = needed.map(metricsOf).filter((metrics) => metrics !== undefined);
  if (found.length < needed.length) return undefined;
  if (by === "loss")
    return lossOf(
      needed,
      found.map((metrics) => metrics.loss),
    );
  const values = needed.map((task, i) => primaryValue(task, found[i]!)!);
  return by === "score" ? scoreOf(needed, values) : values[0]!;
}
