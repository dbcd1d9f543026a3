// From decisions to trials: which trial is brought to which step, in the order they run, what each adds to the budget,
// and how far the budget goes. A function of the study, the decisions and the learning rates found so far.

import type { TrialFile } from "../study/trial.js";
import type { Decision } from "./decision.js";
import { pilotSeedOffset } from "./learning_rate.js";
import type { SpaceCandidate, StudySpace } from "./study_space.js";

/** One step of the study: a trial and how far it is to go. */
export interface StudyEntry {
  readonly candidate: number;
  readonly task: number;
  readonly seed: number;
  /** Set for pilot runs. */
  readonly pilotRate?: number;
  readonly until: number;
  /** Tokens it adds to what was asked of the trial before. */
  readonly tokens: number;
  readonly flops: number;
  /** Undefined while its learning rate is not known. */
  readonly file: TrialFile | undefined;
}

/** The learning rate of a candidate on a task: undefined where none is swept, "open" while its pilots run. */
export type RateOf = (candidate: number, task: number) => number | undefined | "open";

/** Candidates so far: those of the study, then the born ones. */
export function candidatesOf(space: StudySpace, decisions: readonly Decision[]): readonly SpaceCandidate[] {
  return [...space.initial, ...decisions.flatMap(({ born }) => born ?? []).map((birth) => space.born(birth))];
}

/** Everything that was decided, in the order it runs: decision by decision, pilots first, then seed by seed. */
export function studyEntries(
  space: StudySpace,
  candidates: readonly SpaceCandidate[],
  decisions: readonly Decision[],
  rateOf: RateOf,
): readonly StudyEntry[] {
  const entries: StudyEntry[] = [];
  const asked = new Map<string, number>(); // tokens asked of a trial so far, by its place in the study
  const piloted = new Set<number>();
  for (const { run } of decisions) {
    for (const { candidate } of run) {
      if (piloted.has(candidate)) continue;
      piloted.add(candidate);
      for (const pilot of pilotsOf(space, candidates[candidate]!, candidate)) entries.push(pilot);
    }
    const seeds = Math.max(0, ...run.map((assignment) => assignment.seeds ?? space.spec.proxy.seeds));
    for (let index = 0; index < seeds; index++) {
      for (const assignment of run) {
        if (index >= (assignment.seeds ?? space.spec.proxy.seeds)) continue;
        for (const task of space.tasks.keys()) add(assignment.candidate, task, index, assignment.rung);
      }
    }
  }
  return entries;

  function add(candidate: number, task: number, index: number, rung: number): void {
    const { budget } = space.tasks[task]!;
    const until = budget.rungs[rung]!;
    const key = `${candidate} ${task} ${index}`;
    const before = asked.get(key) ?? 0;
    const tokens = until * budget.batch * budget.sequence - before;
    if (tokens <= 0) return;
    asked.set(key, before + tokens);
    const rate = rateOf(candidate, task);
    const seed = space.options.seed + index;
    entries.push({
      candidate,
      task,
      seed,
      until,
      tokens,
      flops: tokens * candidates[candidate]!.described.taskFlopsPerToken[task]!,
      file:
        rate === "open"
          ? undefined
          : candidates[candidate]!.trial(task, rate === undefined ? { seed } : { seed, learningRate: rate }),
    });
  }
}

/** The pilot runs of a candidate: every task, rate and pilot seed; none where the learning rate is given. */
export function pilotsOf(
  space: StudySpace,
  { trial, described }: SpaceCandidate,
  candidate: number,
): StudyEntry[] {
  const sweep = space.spec.proxy.optimizer.learningRateSweep;
  if (sweep === undefined) return [];
  return [...space.tasks.keys()].flatMap((task) =>
    sweep.rates.flatMap((learningRate) =>
      Array.from({ length: sweep.seeds }, (_, index) => {
        const seed = space.options.seed + pilotSeedOffset + index;
        const file = trial(task, { seed, learningRate, length: sweep.length });
        const { steps, batch, sequence } = file.definition;
        const tokens = steps * batch * sequence;
        const flops = tokens * described.taskFlopsPerToken[task]!;
        return { candidate, task, seed, pilotRate: learningRate, until: steps, tokens, flops, file };
      }),
    ),
  );
}

/**
 * How many entries the budget pays for: strictly in order, so that what is run does not depend on what is cheap. Trials
 * that stand in several places cost once.
 */
export function affordable(entries: readonly StudyEntry[], unit: "tokens" | "flops", limit: number): number {
  let spent = 0;
  const paid = new Map<string, number>();
  for (const [index, entry] of entries.entries()) {
    const known = entry.file === undefined ? 0 : (paid.get(entry.file.id) ?? 0);
    if (entry.file !== undefined && known >= entry.until) continue;
    if (entry.file !== undefined) paid.set(entry.file.id, entry.until);
    spent += entry[unit];
    if (spent > limit * (1 + 1e-12)) return index;
  }
  return entries.length;
}
