// How strategies would have done on a finished study: what they spend beside running everything, and what they find.
// Every strategy is replayed many times, with the candidates in another order each time, because a search that starts
// with the best candidate looks better than it is.

import { hashUniform } from "../plan/hash_random.js";
import type { StrategySpec } from "../spec/spec.js";
import { asha } from "./asha.js";
import type { StudyCurves } from "./curves.js";
import type { Strategy } from "./decision.js";
import { halving } from "./halving.js";
import { replay } from "./replay.js";
import { rungShares } from "./rungs.js";

/** Strategies that only choose among the candidates there are. */
export type ReplayedSpec = Exclude<StrategySpec, { readonly kind: "evolution" | "sobol" }>;

export interface ReplayStudyOptions {
  readonly workers: number;
  readonly repeats: number;
  /** Seeds of the study that the strategy sees, drawn anew each time; the truth is the mean over all. */
  readonly seeds: number;
  readonly seed: number;
}

export interface ReplayRow {
  readonly spec: ReplayedSpec;
  /** Mean tokens over the repeats, and as a share of running every candidate with as many seeds. */
  readonly tokens: number;
  readonly share: number;
  /** How much worse the candidate it would name is than the best, in units of the measure. */
  readonly regret: { readonly mean: number; readonly worst: number };
  /** Share of repeats in which it names the best. */
  readonly foundBest: number;
  /** Mean share of the best three (or fewer) among its own best three. */
  readonly top3: number;
}

const top = 3;

export function replayStudy(curves: StudyCurves, spec: ReplayedSpec, options: ReplayStudyOptions): ReplayRow {
  const { candidates, shares } = curves;
  const truth = candidates.map(({ values }) => meanOrFailed(values.at(-1)!));
  const best = orderOf(truth);
  const goal = best.slice(0, top);
  const runs: number[] = [];
  const regrets: number[] = [];
  let found = 0;
  let overlap = 0;
  for (let repeat = 0; repeat < options.repeats; repeat++) {
    const order = shuffled(candidates.length, `order ${repeat}`, options.seed).slice(0, trialsOf(spec));
    const seen = shuffled(curves.seeds.length, `seeds ${repeat}`, options.seed).slice(0, options.seeds);
    const shown = order.map((candidate) =>
      candidates[candidate]!.values.map((bySeed) => meanOrNull(seen.map((seed) => bySeed[seed] ?? null))),
    );
    const result = replay(shown, shares, {
      strategy: strategyOf(spec),
      rungShares: rungShares(spec),
      workers: options.workers,
    });
    const named = result.order.slice(0, top).map((place) => order[place]!);
    runs.push(result.runs);
    regrets.push(truth[best[0]!]! - truth[named[0]!]!);
    if (named[0] === best[0]) found++;
    overlap += named.filter((candidate) => goal.includes(candidate)).length / goal.length;
  }
  const spent = mean(runs);
  return {
    spec,
    tokens: spent * options.seeds * curves.tokens,
    share: spent / candidates.length,
    regret: { mean: mean(regrets), worst: Math.max(...regrets) },
    foundBest: found / options.repeats,
    top3: overlap / options.repeats,
  };
}

function strategyOf(spec: ReplayedSpec): Strategy {
  if (spec.kind === "halving") return halving(spec.rungs, spec.keep);
  if (spec.kind === "asha") return asha(spec.rungs, spec.keep);
  return ({ decisions, initial }) => {
    if (decisions.length > 0) return "done";
    const run = Array.from({ length: initial }, (_, candidate) => ({ candidate, rung: 0 }));
    return { run, reason: `all ${initial} candidates` };
  };
}

function trialsOf(spec: ReplayedSpec): number {
  return ("trials" in spec ? spec.trials : undefined) ?? Number.POSITIVE_INFINITY;
}

/** Indices below `count` in a random order. */
function shuffled(count: number, purpose: string, seed: number): number[] {
  const keys = Array.from({ length: count }, (_, i) => hashUniform(seed, `replay ${purpose} ${i}`));
  return [...keys.keys()].sort((a, b) => keys[a]! - keys[b]!);
}

function orderOf(values: readonly number[]): readonly number[] {
  return [...values.keys()].sort((a, b) =>
    values[a] === values[b] ? a - b : values[b]! > values[a]! ? 1 : -1,
  );
}

function meanOrNull(values: readonly (number | null)[]): number | null {
  return values.includes(null) ? null : mean(values as readonly number[]);
}

function meanOrFailed(values: readonly (number | null)[]): number {
  return meanOrNull(values) ?? Number.NEGATIVE_INFINITY;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
