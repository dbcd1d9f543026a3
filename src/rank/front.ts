// The Pareto front of a ranking: candidates that nobody beats in the measure and in every cost at once, and the knee.

import { kneeOf, nondominatedFronts } from "./pareto.js";
import type { ParetoFront, RankedCandidate } from "./rank_types.js";

/** Means alone decide: a front says what was measured, `tiedWith` says what can be told apart. */
export function paretoFront(
  by: string,
  direction: "higher" | "lower",
  ranking: readonly RankedCandidate[],
): ParetoFront {
  const names = Object.keys(ranking[0]?.costs ?? {});
  const measured = ranking.filter((entry) => entry.score !== null);
  const sign = direction === "higher" ? 1 : -1;
  const points = measured.map(({ score, costs }) => [
    sign * score!,
    ...names.map((name) => -(costs?.[name] ?? 0)),
  ]);
  const [first = []] = nondominatedFronts(points);
  const front = [...first].sort((a, b) => points[b]![0]! - points[a]![0]!);
  const knee = kneeOf(front.map((index) => points[index]!));
  return {
    objectives: [{ name: by, direction }, ...names.map((name) => ({ name, direction: "lower" as const }))],
    front: front.map((index) => ({
      candidate: measured[index]!.candidate,
      values: [measured[index]!.score!, ...names.map((name) => measured[index]!.costs?.[name] ?? 0)],
    })),
    knee: knee === undefined ? null : measured[front[knee]!]!.candidate,
  };
}
