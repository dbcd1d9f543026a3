// Spec -> the study as it begins: its space, and the document and trials of the first decision. What a search decides
// later, it decides in the study's folder (run/study_director.ts).

import type { Spec } from "../spec/spec.js";
import { canonicalHash } from "../study/canonical_json.js";
import type { StudyDocument } from "../study/study_document.js";
import type { TrialFile } from "../study/trial.js";
import { decider } from "./decide.js";
import type { Decision } from "./decision.js";
import { type PrepareOptions, prepareSpace, type StudySpace } from "./study_space.js";
import { studyState } from "./study_state.js";

export type { PrepareOptions } from "./study_space.js";

export interface PreparedStudy {
  readonly space: StudySpace;
  /** Before anything has run. */
  readonly document: StudyDocument;
  /** Every distinct trial that is known by then, in the order they run. */
  readonly trials: readonly TrialFile[];
}

/**
 * Works out a study.
 * Throws LMX4012 (no proxy), LMX4016 (vocab), LMX2xxx (cannot be planned), LMX7xxx (tasks).
 */
export async function prepareStudy(spec: Spec, options: PrepareOptions): Promise<PreparedStudy> {
  const space = await prepareSpace(spec, options);
  const first = firstDecision(space);
  const begun = studyState(space, [first], () => undefined, false);
  const over = decider(space)(begun, 0) === "done";
  const { document, files } = studyState(space, [first], () => undefined, over);
  return { space, document, trials: files };
}

/** What any search decides before it knows anything; asynchronous ones for one free worker. */
export function firstDecision(space: StudySpace): Decision {
  const empty = studyState(space, [], () => undefined, false);
  const next = decider(space)(empty, 1);
  if (typeof next === "string") throw new RangeError(`Expected a first decision, got ${next}`);
  return next;
}

/** Hash of all that decisions depend on beside the results: candidates, trials, strategy, measure, seeds; not the budget. */
export function searchKey({ spec, strategy, options, initial, tasks }: StudySpace): string {
  const { seeds, maxSeeds = null, optimizer } = spec.proxy;
  return canonicalHash({
    strategy,
    seed: options.seed,
    seeds,
    maxSeeds,
    learningRates: optimizer.learningRateSweep ?? null,
    rank: spec.rank,
    match: spec.sweep?.match ?? null,
    where: spec.sweep?.where ?? [],
    tasks: tasks.map(({ spec: task, budget }) => ({ weight: task.weight, rungs: budget.rungs })),
    candidates: initial.map(({ described, trial }) => [
      described.name,
      described.pattern,
      ...tasks.map((_, task) => trial(task, { seed: options.seed }).id),
    ]),
  }).slice(0, 12);
}
