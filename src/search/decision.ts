// What a search decides, and what it knows when it decides. Decisions are plain data: they are kept in the study folder
// in the order they were taken, and everything about a running study - its candidates, its trials, what they are to
// reach - follows from the study file, the decisions and the results. A strategy is a pure function over that.

/** A candidate that a decision has made: one more point of the sweep. */
export interface Birth {
  readonly name: string;
  /** Path below model and value, as an axis of the sweep would set it: { pattern: "M-M*-" }. */
  readonly values: Readonly<Record<string, unknown>>;
  /** Where it comes from, for people: "swap of g0.1", "g0.1 x g0.4". */
  readonly origin: string;
}

/** Brings a candidate to a rung, on all tasks. */
export interface Assignment {
  /** Index into the candidates: those the study begins with, then the born ones in order. */
  readonly candidate: number;
  readonly rung: number;
  /** Number of seeds; the study's own number, or its least, when absent. */
  readonly seeds?: number;
}

export interface Decision {
  readonly born?: readonly Birth[];
  readonly run: readonly Assignment[];
  /** Candidates that go no further. */
  readonly prune?: readonly number[];
  /** One sentence: what was seen, and what follows. */
  readonly reason: string;
}

/** What a candidate was worth at a rung: "open" while a trial is missing, "failed" when one diverged or failed. */
export type Value = number | "open" | "failed";

/** What a strategy sees. */
export interface SearchView {
  readonly decisions: readonly Decision[];
  /** Candidates the study begins with. */
  readonly initial: number;
  /** Born ones included. */
  readonly candidates: number;
  /** Higher is better. */
  value(candidate: number, rung: number): Value;
  /** Workers for which there is no job. Only an asynchronous strategy looks at it. */
  readonly idle: number;
}

/** The next decision; "wait" for results; "done" when there is nothing left to decide. */
export type Next = Decision | "wait" | "done";

export type Strategy = (view: SearchView) => Next;

/** The highest rung each candidate was sent to, by candidate; absent when it was never sent anywhere. */
export function rungsSoFar(decisions: readonly Decision[]): ReadonlyMap<number, number> {
  const rungs = new Map<number, number>();
  for (const { run } of decisions) {
    for (const { candidate, rung } of run) rungs.set(candidate, Math.max(rung, rungs.get(candidate) ?? 0));
  }
  return rungs;
}

/** Candidates best first, those that failed last; ties keep the given order. Every value must be known. */
export function bestFirst(
  candidates: readonly number[],
  value: (candidate: number) => Value,
): readonly number[] {
  const key = (candidate: number): number => {
    const known = value(candidate);
    return typeof known === "number" ? known : Number.NEGATIVE_INFINITY;
  };
  const keyed = candidates.map((candidate) => ({ candidate, key: key(candidate) }));
  // Not a - b: two failures would give NaN.
  keyed.sort((a, b) => (a.key === b.key ? 0 : b.key > a.key ? 1 : -1));
  return keyed.map(({ candidate }) => candidate);
}
