// What a ranking is worth beside rankings that train nothing: the most parameters first, the most FLOPs first, and any
// order at all. Where candidates are equal in size, "the most parameters" says nothing, and counts as a random order
// among them: every figure is the expectation over the orders that break such ties.

import type { Baseline, RankedCandidate } from "./rank_types.js";
import { mean } from "./statistics.js";

/** Sizes that differ by less than this count as equal: `match` cannot make them more equal than its tolerance. */
const equalWithin = 1e-9;
const top = 3;

/** @param ranking best first; candidates without a score are left out. */
export function baselines(ranking: readonly RankedCandidate[]): readonly Baseline[] {
  const scored = ranking.filter((entry) => entry.score !== null);
  if (scored.length < 2) return [];
  return [
    baseline("params", scored, (entry) => entry.proxy.params),
    baseline("flops", scored, (entry) => entry.proxy.flopsPerToken),
    baseline("random", scored, () => 0),
  ];
}

function baseline(
  by: Baseline["by"],
  scored: readonly RankedCandidate[],
  sizeOf: (entry: RankedCandidate) => number,
): Baseline {
  const groups = tiedGroups(scored, sizeOf);
  const ours = scored.slice(0, top);
  const best = scored[0]!.score!;
  return {
    by,
    order: groups.map((group) => group.map(({ candidate }) => candidate)),
    regret: mean(groups[0]!.map(({ score }) => Math.abs(best - score!))),
    top3: overlap(groups, ours) / ours.length,
  };
}

/** Largest first; equal sizes together. */
function tiedGroups(
  scored: readonly RankedCandidate[],
  sizeOf: (entry: RankedCandidate) => number,
): readonly (readonly RankedCandidate[])[] {
  const groups: RankedCandidate[][] = [];
  for (const entry of [...scored].sort((a, b) => sizeOf(b) - sizeOf(a))) {
    const group = groups.at(-1);
    const equal = group !== undefined && Math.abs(sizeOf(group[0]!) / sizeOf(entry) - 1) < equalWithin;
    if (group !== undefined && (equal || sizeOf(group[0]!) === sizeOf(entry))) group.push(entry);
    else groups.push([entry]);
  }
  return groups;
}

/** Expected number of `ours` among the first of the groups: a group that is cut gives its members equal chances. */
function overlap(groups: readonly (readonly RankedCandidate[])[], ours: readonly RankedCandidate[]): number {
  let room = ours.length;
  let expected = 0;
  for (const group of groups) {
    const taken = Math.min(room, group.length);
    const shared = group.filter((entry) => ours.includes(entry)).length;
    expected += (shared * taken) / group.length;
    room -= taken;
  }
  return expected;
}
