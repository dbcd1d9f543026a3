// Which candidates of a sweep take part, where a strategy wants fewer than there are. Pure functions of the candidates
// and the seed: the same study always runs the same trials.

import type { StrategySpec } from "../spec/spec.js";
import { pickWithoutReplacement } from "./random_sample.js";

/** The candidates that take part, in the order they were given. */
export function selectCandidates<T>(
  candidates: readonly T[],
  strategy: StrategySpec,
  seed: number,
): readonly T[] {
  const wanted = "trials" in strategy ? strategy.trials : undefined;
  if (wanted === undefined) return candidates;
  return pickWithoutReplacement(candidates.length, wanted, seed).map((index) => candidates[index]!);
}
