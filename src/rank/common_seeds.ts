// Seeds that can be compared over all candidates of a study: with `until: decided`, and where a search has left candidates behind,
// some have more than others.

import type { StudyDocument } from "../study/study_document.js";

/** Seeds that every candidate that was begun has been given. */
export function commonSeeds({ trials, seeds }: StudyDocument): readonly number[] {
  const begun = new Set(trials.map(({ candidate }) => candidate));
  return seeds.filter((seed) => {
    const there = new Set(trials.filter((trial) => trial.seed === seed).map(({ candidate }) => candidate));
    return there.size === begun.size;
  });
}
