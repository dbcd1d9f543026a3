// Seeds where the answer is open: after the search, the best candidate and everyone not told apart from it get one more
// seed, and so on until nobody is tied with the best or the largest number is reached. Candidates that are clearly worse
// cost nothing more.
//
// Testing again after every seed gives chance one more try each time, so each look is held to (1 - confidence) / looks
// (Bonferroni over the looks, Holm over the candidates within one): over the whole study the chance of calling any equal
// candidate worse than the best stays below 1 - confidence.

import { holm, mean, pairedP } from "../rank/statistics.js";
import type { Decision } from "./decision.js";

export interface SeedOptions {
  /** The most seeds of a candidate. */
  readonly max: number;
  readonly confidence: number;
  /** How often candidates may be compared: once for every number of seeds. */
  readonly looks: number;
}

/** A candidate that has run to the end: its measure by seed, higher is better. */
export interface Finalist {
  readonly candidate: number;
  readonly values: readonly number[];
}

/**
 * The next seeds, or undefined when the answer is not open, or as open as it may stay.
 * @param rung the last one, which finalists have reached.
 */
export function moreSeeds(
  finalists: readonly Finalist[],
  options: SeedOptions,
  rung: number,
): Decision | undefined {
  if (finalists.length < 2) return undefined;
  const ordered = [...finalists].sort((a, b) => mean(b.values) - mean(a.values));
  const [best, ...others] = ordered as [Finalist, ...Finalist[]];
  const adjusted = holm(others.map(({ values }) => gapP(best.values, values)));
  const allowed = (1 - options.confidence) / options.looks;
  const tied = others.filter((_, i) => adjusted[i]! >= allowed);
  if (tied.length === 0) return undefined;
  const run = [best, ...tied]
    .filter(({ values }) => values.length < options.max)
    .map(({ candidate, values }) => ({ candidate, rung, seeds: values.length + 1 }))
    .sort((a, b) => a.candidate - b.candidate);
  if (run.length === 0) return undefined;
  const most = Math.max(...run.map(({ seeds }) => seeds));
  return {
    run,
    reason: `${tied.length} tied with the best: ${run.length} candidates get another seed, up to ${most}`,
  };
}

/** p of the paired differences over the seeds both have; 1 where the difference of those is not the leader's way. */
function gapP(best: readonly number[], other: readonly number[]): number {
  const common = Math.min(best.length, other.length);
  const gains = Array.from({ length: common }, (_, i) => best[i]! - other[i]!);
  return mean(gains) > 0 ? pairedP(gains) : 1;
}
