// Rungs: the shares of a full run at which candidates are compared and most of them left behind. A run is defined at its
// full length - its learning-rate schedule included - and only pauses at a rung: going on from the checkpoint gives the
// very curve of a run that never paused.

import type { StrategySpec } from "../spec/spec.js";

/**
 * Shares of the full run, ascending, the last one 1. With `keep` going on from each rung, the share grows by 1 / keep:
 * every rung then costs about as much as the one before (Jamieson and Talwalkar, arXiv 1502.07943).
 */
export function rungShares(strategy: StrategySpec): readonly number[] {
  if (strategy.kind !== "halving" && strategy.kind !== "asha") return [1];
  const { rungs, keep } = strategy;
  return Array.from({ length: rungs }, (_, rung) => keep ** (rungs - 1 - rung));
}

export interface RungSteps {
  /** Held-out evaluation every this many steps. */
  readonly evaluateEverySteps: number;
  /** The step each rung pauses at, ascending; the last is the last step. */
  readonly steps: readonly number[];
}

/**
 * Steps of the rungs of a run. A pause lies on an evaluation, so that it adds nothing to the curve of an uninterrupted
 * run: the distance between evaluations is shortened until the first rung is a multiple of it, and later rungs are
 * rounded to such multiples. Rungs that fall on the same step of a very short run are moved apart while there is room.
 */
export function rungSteps(steps: number, evaluateEverySteps: number, shares: readonly number[]): RungSteps {
  if (shares.length === 1) return { evaluateEverySteps, steps: [steps] };
  const first = Math.max(1, Math.round(steps * shares[0]!));
  const every = Math.max(1, Math.floor(first / Math.ceil(first / evaluateEverySteps)));
  const aligned: number[] = [];
  for (const share of shares.slice(0, -1)) {
    const wanted = Math.round((steps * share) / every) * every;
    aligned.push(Math.max(wanted, (aligned.at(-1) ?? 0) + every));
  }
  return { evaluateEverySteps: every, steps: [...aligned.map((step) => Math.min(step, steps)), steps] };
}
