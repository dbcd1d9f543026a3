// Sorts the outcomes of a study by candidate, task and seed, and says for each candidate what is missing or went wrong.

import type { Metrics } from "../task/task.js";
import { measureOf } from "./measure.js";
import type { CandidateState, RankCandidate, RankInput, RankOutcome } from "./rank_types.js";
import { primaryValue } from "./score.js";
import { mean } from "./statistics.js";

export interface CandidateRecord {
  readonly candidate: RankCandidate;
  readonly state: CandidateState;
  /** Held-out figures by task label, then by seed, ascending. */
  readonly metrics: ReadonlyMap<string, ReadonlyMap<number, Metrics>>;
  /** The ranked measure by seed, ascending: seeds for which every task it needs is done. */
  readonly measure: ReadonlyMap<number, number>;
  readonly prunedAt?: { readonly share: number; readonly value: number | null };
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
  const seeds = [...(candidate.seeds ?? input.seeds)].sort((a, b) => a - b);
  const metrics = new Map<string, Map<number, Metrics>>();
  const problems: string[] = [];
  const paused = outcomes.filter((outcome) => outcome.status === "paused");
  let missing = 0;
  let broken = 0;
  for (const task of input.tasks) {
    const bySeed = new Map<number, Metrics>();
    for (const seed of seeds) {
      const outcome = outcomes.find((entry) => entry.task === task.label && entry.seed === seed);
      if (outcome === undefined || outcome.status === "paused") {
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
  const pruned = paused.some((outcome) => outcome.pruned === true);
  const prunedAt = pruned ? pausedAt(paused, seeds, input) : undefined;
  if (prunedAt !== undefined && broken === 0) {
    problems.push(`left behind at ${Number((100 * prunedAt.share).toFixed(1))}% of the full run`);
  } else if (missing > 0) {
    problems.push(`${missing} of ${input.tasks.length * seeds.length} trials not run to the end yet`);
  } else if (seeds.length === 0) problems.push("not begun yet");
  const measure = new Map<number, number>();
  for (const seed of seeds) {
    const value = measureOf(input.by, input.tasks, (task) => metrics.get(task.label)!.get(seed));
    if (value !== undefined) measure.set(seed, value);
  }
  return {
    candidate,
    state: stateOf({ broken: broken > 0, pruned, missing: missing > 0, measured: measure.size > 0 }),
    metrics,
    measure,
    ...(prunedAt === undefined ? {} : { prunedAt }),
    problems,
  };
}

function stateOf(seen: {
  broken: boolean;
  pruned: boolean;
  missing: boolean;
  measured: boolean;
}): CandidateState {
  if (seen.broken) return "failed";
  if (seen.pruned) return "pruned";
  if (!seen.measured) return "waiting";
  return seen.missing ? "partial" : "complete";
}

/** How far a candidate came, and the mean of the measure there over the seeds for which every task it needs is known. */
function pausedAt(
  paused: readonly RankOutcome[],
  seeds: readonly number[],
  input: RankInput,
): { readonly share: number; readonly value: number | null } {
  const values = seeds.flatMap((seed) => {
    const value = measureOf(
      input.by,
      input.tasks,
      (task) => paused.find((outcome) => outcome.task === task.label && outcome.seed === seed)?.metrics,
    );
    return value === undefined ? [] : [value];
  });
  const share = Math.max(...paused.map((outcome) => outcome.share ?? 0));
  return { share, value: values.length === 0 ? null : mean(values) };
}
