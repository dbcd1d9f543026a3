// Asynchronous successive halving (Li et al., arXiv 1810.05934, algorithm 2): nobody waits for a rung to fill. Whenever
// a worker has nothing to do, the best candidate that is among the first `keep` of its rung so far and has not gone on
// goes on; without one, a new candidate starts. Which candidate that is depends on what has ended first, so every
// decision is written down in the study folder, and a resumed study follows what is written.
//
// Where algorithm 2 draws new configurations without end, a study has so many and no more. When all have started and
// nothing runs, rungs are complete and the quota is rounded up, as in the synchronous form: somebody reaches the top.

import {
  bestFirst,
  type Decision,
  rungsSoFar,
  type SearchView,
  type Strategy,
  type Value,
} from "./decision.js";
import { survivors } from "./halving.js";

/** @param keep share of a rung that goes on to the next. */
export function asha(rungs: number, keep: number): Strategy {
  return (view) => {
    const reached = rungsSoFar(view.decisions);
    const values = valuesByRung(view, reached, rungs);
    const open = values.some((rung) => [...rung.values()].includes("open"));
    const next = Array.from({ length: view.initial }, (_, i) => i).find((i) => !reached.has(i));
    const last = next === undefined && !open;
    if (view.idle === 0 && !last) return "wait";
    const promoted = promotion(values, reached, (count) =>
      last ? survivors(count, keep) : Math.floor(count * keep + 1e-9),
    );
    if (promoted !== undefined) return promoted;
    if (next !== undefined)
      return { run: [{ candidate: next, rung: 0 }], reason: "a worker is free: the next starts" };
    return open ? "wait" : ending(view, values, rungs);
  };
}

/** What is known at each rung, by candidate: everyone who was sent there or further. */
function valuesByRung(
  view: SearchView,
  reached: ReadonlyMap<number, number>,
  rungs: number,
): readonly ReadonlyMap<number, Value>[] {
  return Array.from({ length: rungs }, (_, rung) => {
    const there = [...reached].filter(([, at]) => at >= rung);
    return new Map(there.map(([candidate]) => [candidate, view.value(candidate, rung)]));
  });
}

/** The candidate that goes on, from the highest rung that has one. */
function promotion(
  values: readonly ReadonlyMap<number, Value>[],
  reached: ReadonlyMap<number, number>,
  quota: (count: number) => number,
): Decision | undefined {
  for (let rung = values.length - 2; rung >= 0; rung--) {
    const known = [...values[rung]!].filter(([, value]) => value !== "open");
    const ordered = bestFirst(
      known.map(([candidate]) => candidate).sort((a, b) => a - b),
      (candidate) => values[rung]!.get(candidate)!,
    );
    const first = ordered
      .slice(0, quota(known.length))
      .find((candidate) => reached.get(candidate) === rung && values[rung]!.get(candidate) !== "failed");
    if (first === undefined) continue;
    const place = ordered.indexOf(first) + 1;
    return {
      run: [{ candidate: first, rung: rung + 1 }],
      reason: `place ${place} of ${known.length} at rung ${rung + 1} so far: it goes on to rung ${rung + 2}`,
    };
  }
  return undefined;
}

/** Nothing can go on any more: those that are left behind are named, once. */
function ending(
  view: SearchView,
  values: readonly ReadonlyMap<number, Value>[],
  rungs: number,
): Decision | "done" {
  if (view.decisions.some(({ prune }) => prune !== undefined)) return "done";
  const reached = rungsSoFar(view.decisions);
  const left = [...reached].filter(
    ([candidate, rung]) => rung < rungs - 1 && values[rung]!.get(candidate) !== "failed",
  );
  if (left.length === 0) return "done";
  const prune = left.map(([candidate]) => candidate).sort((a, b) => a - b);
  return { run: [], prune, reason: `every rung is full: ${left.length} candidates go no further` };
}
