// Successive halving (Jamieson and Talwalkar, arXiv 1502.07943, algorithm 1): everyone runs to the first rung, the best
// `keep` of them to the next, and so on to the end. A decision waits for the whole rung, so it is a function of the
// results alone, whatever order they came in.

import { bestFirst, type Decision, rungsSoFar, type Strategy, type Value } from "./decision.js";

/** Of `count` candidates at a rung, how many go on: rounded up, so that somebody always does. */
export function survivors(count: number, keep: number): number {
  return Math.max(1, Math.ceil(count * keep - 1e-9));
}

/** @param keep share of a rung that goes on to the next. */
export function halving(rungs: number, keep: number): Strategy {
  return (view) => {
    const { decisions, value } = view;
    if (decisions.length === 0) {
      const everyone = Array.from({ length: view.initial }, (_, candidate) => ({ candidate, rung: 0 }));
      return { run: everyone, reason: `all ${view.initial} candidates run to the first of ${rungs} rungs` };
    }
    const reached = rungsSoFar(decisions);
    const top = Math.max(...reached.values());
    if (top === rungs - 1) return "done";
    const rung = [...reached].filter(([, at]) => at === top).map(([candidate]) => candidate);
    const values = new Map<number, Value>(rung.map((candidate) => [candidate, value(candidate, top)]));
    if ([...values.values()].includes("open")) return "wait";
    return promotion(rung, top, values, keep);
  };
}

/** The best of a rung go on, the others are left; nobody does when all of them have failed. */
function promotion(
  rung: readonly number[],
  top: number,
  values: ReadonlyMap<number, Value>,
  keep: number,
): Decision | "done" {
  const alive = rung.filter((candidate) => values.get(candidate) !== "failed");
  if (alive.length === 0) return "done";
  const ordered = bestFirst(alive, (candidate) => values.get(candidate)!);
  const onward = ordered.slice(0, survivors(rung.length, keep));
  return {
    run: onward.map((candidate) => ({ candidate, rung: top + 1 })),
    prune: ordered.slice(onward.length).sort((a, b) => a - b),
    reason: `the best ${onward.length} of ${rung.length} at rung ${top + 1} go on to rung ${top + 2}`,
  };
}
