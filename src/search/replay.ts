// A strategy run over recorded curves instead of training: in milliseconds it shows what the strategy would have spent
// and found. The strategy is the one that directs real studies; only time is simulated - a job takes as long as its
// tokens, on so many workers - so an asynchronous one decides in the order in which results would have come.

import { type Decision, rungsSoFar, type SearchView, type Strategy, type Value } from "./decision.js";

export interface ReplayOptions {
  readonly strategy: Strategy;
  /** Shares of the full run at which it compares, ascending, the last one 1. */
  readonly rungShares: readonly number[];
  readonly workers: number;
}

export interface ReplayResult {
  /** Full runs of one candidate that were paid for, in tokens: 3.5 is as much as three and a half full runs. */
  readonly runs: number;
  /** Candidates best first, as the strategy sees them at its end: farther first, then by value. */
  readonly order: readonly number[];
  readonly decisions: number;
}

/**
 * @param curves by candidate, then by share of `points`: what the strategy is shown, higher is better, null for failed.
 * @param points shares at which the curves are known; the last is 1.
 */
export function replay(
  curves: readonly (readonly (number | null)[])[],
  points: readonly number[],
  { strategy, rungShares, workers }: ReplayOptions,
): ReplayResult {
  const rungs = rungPoints(rungShares, points);
  const decisions: Decision[] = [];
  const arrived = new Map<string, Value>();
  const running: { readonly end: number; readonly key: string; readonly value: Value }[] = [];
  const waiting: { readonly candidate: number; readonly rung: number }[] = [];
  const trained = new Map<number, number>(); // share of the full run, by candidate
  let now = 0;
  let runs = 0;
  const view = (): SearchView => ({
    decisions,
    initial: curves.length,
    candidates: curves.length,
    idle: Math.max(0, workers - running.length - waiting.length),
    value: (candidate, rung) => arrived.get(`${candidate} ${rung}`) ?? "open",
  });
  for (;;) {
    for (let next = strategy(view()); typeof next !== "string"; next = strategy(view())) {
      const before = rungsSoFar(decisions);
      decisions.push(next);
      for (const job of next.run) if ((before.get(job.candidate) ?? -1) < job.rung) waiting.push(job);
    }
    while (waiting.length > 0 && running.length < workers) begin(waiting.shift()!);
    const first = running.sort((a, b) => a.end - b.end).shift();
    if (first === undefined) break;
    now = first.end;
    arrived.set(first.key, first.value);
  }
  return { runs, order: finalOrder(decisions, arrived, curves.length), decisions: decisions.length };

  function begin({ candidate, rung }: { readonly candidate: number; readonly rung: number }): void {
    const cost = points[rungs[rung]!]! - (trained.get(candidate) ?? 0);
    trained.set(candidate, points[rungs[rung]!]!);
    const value = curves[candidate]![rungs[rung]!] ?? "failed";
    runs += cost;
    running.push({ end: now + cost, key: `${candidate} ${rung}`, value });
  }
}

/** The point each rung is compared at: the first one that is known at or after its share. */
export function rungPoints(rungShares: readonly number[], points: readonly number[]): readonly number[] {
  return rungShares.map((share) => points.findIndex((point) => point >= share - 1e-3));
}

function finalOrder(
  decisions: readonly Decision[],
  arrived: ReadonlyMap<string, Value>,
  count: number,
): readonly number[] {
  const reached = rungsSoFar(decisions);
  const key = (candidate: number): readonly [number, number] => {
    const rung = reached.get(candidate) ?? -1;
    const value = arrived.get(`${candidate} ${rung}`);
    return [rung, typeof value === "number" ? value : Number.NEGATIVE_INFINITY];
  };
  const keys = Array.from({ length: count }, (_, candidate) => key(candidate));
  return [...keys.keys()].sort((a, b) => {
    const [rungA, valueA] = keys[a]!;
    const [rungB, valueB] = keys[b]!;
    return rungB - rungA || (valueA === valueB ? a - b : valueB > valueA ? 1 : -1);
  });
}
