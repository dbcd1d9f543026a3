// All pairs of candidates on one measure: paired over the seeds both have (equal seeds saw equal data in equal order, so
// their noise is shared and the difference is sharper than the intervals suggest), Holm-adjusted over the family.

import type { Comparison } from "./rank_types.js";
import { holm, mean, pairedP } from "./statistics.js";

/** One candidate's values by seed, on one measure. */
export interface SeedValues {
  readonly candidate: string;
  readonly values: ReadonlyMap<number, number>;
}

/** Candidates with at least one seed, best first by mean; ties of the mean keep the given order. */
export function orderByMean(
  entries: readonly SeedValues[],
  direction: "higher" | "lower",
): readonly SeedValues[] {
  const sign = direction === "higher" ? -1 : 1;
  return entries
    .filter((entry) => entry.values.size > 0)
    .map((entry) => ({ entry, center: mean([...entry.values.values()]) }))
    .sort((a, b) => sign * (a.center - b.center))
    .map(({ entry }) => entry);
}

/** Every pair of `ordered` (best first), with its adjusted p. */
export function comparePairs(
  ordered: readonly SeedValues[],
  direction: "higher" | "lower",
  confidence: number,
): readonly Comparison[] {
  const sign = direction === "higher" ? 1 : -1;
  const pairs = ordered.flatMap((better, i) => ordered.slice(i + 1).map((worse) => ({ better, worse })));
  const tests = pairs.map(({ better, worse }) => {
    const seeds = [...better.values.keys()].filter((seed) => worse.values.has(seed));
    const gains = seeds.map((seed) => sign * (better.values.get(seed)! - worse.values.get(seed)!));
    // With seeds missing, the common ones may contradict the order of the means: then nothing is claimed.
    return { seeds: seeds.length, p: mean(gains) > 0 ? pairedP(gains) : 1 };
  });
  const adjusted = holm(tests.map((test) => test.p));
  return pairs.map(({ better, worse }, i) => ({
    better: better.candidate,
    worse: worse.candidate,
    seeds: tests[i]!.seeds,
    pValue: adjusted[i]!,
    significant: adjusted[i]! < 1 - confidence,
  }));
}

/** Fast lookup: are these two told apart? Symmetric. */
export function significantPairs(
  comparisons: readonly Comparison[],
): (candidate: string, other: string) => boolean {
  const key = (a: string, b: string) => `${a}\u0000${b}`;
  const found = new Set<string>();
  for (const { better, worse, significant } of comparisons) {
    if (significant) found.add(key(better, worse)).add(key(worse, better));
  }
  return (candidate, other) => found.has(key(candidate, other));
}
