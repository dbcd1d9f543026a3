// Which candidates of a sweep get trained. Pure functions of the candidates and the seed: the same study always runs
// the same trials. A strategy is a function here and one case below.

import { type DiagnosticCode, exitCodes, LayermixError } from "../diag/diagnostic.js";
import type { SweepSpec } from "../spec/spec.js";
import { pickWithoutReplacement } from "./random_sample.js";

/** The candidates to train, in the order they were given. Throws LMX4011 for strategies that do not exist yet. */
export function selectCandidates<T>(
  candidates: readonly T[],
  strategy: SweepSpec["strategy"],
  seed: number,
): readonly T[] {
  switch (strategy.kind) {
    case "grid":
      return candidates;
    case "random":
      return pickWithoutReplacement(candidates.length, strategy.trials, seed).map(
        (index) => candidates[index]!,
      );
    case "halving":
      throw notYet(
        "LMX4011",
        "Expected sweep.strategy grid or random, got halving, which this version does not run",
      );
  }
}

function notYet(code: DiagnosticCode, message: string): LayermixError {
  const help = [
    "Use `strategy: grid` for every candidate, or `strategy: { random: { trials: N } }` for a sample of N.",
    "For a cheap first look, lower proxy.tokens or proxy.seeds.",
  ];
  return new LayermixError(
    { code, severity: "error", message, help, path: "sweep.strategy" },
    exitCodes.infeasible,
  );
}
