// What patterns an evolution may try: kinds that the candidates of the study have or that its bounds name, depths from the
// shallowest to the deepest candidate unless the study says otherwise, and its bounds on layers by kind.

import { blocks } from "../block/registry.js";
import type { EvolutionSpec } from "../spec/spec.js";
import type { PatternLimits } from "./genome.js";

/** @param patterns of the candidates the study begins with. */
export function patternLimits(patterns: readonly string[], { layers, counts }: EvolutionSpec): PatternLimits {
  const bounds = blocks.map(({ kind, symbol }) => ({ symbol, range: counts[kind] }));
  const usable = bounds.filter(({ symbol, range }) =>
    range === undefined ? patterns.some((pattern) => pattern.includes(symbol)) : range[1] > 0,
  );
  const depths = patterns.map((pattern) => pattern.length);
  return {
    symbols: usable.map(({ symbol }) => symbol),
    layers: layers ?? [Math.min(...depths), Math.max(...depths)],
    counts: new Map(
      bounds.flatMap(({ symbol, range }) => (range === undefined ? [] : [[symbol, range] as const])),
    ),
  };
}
