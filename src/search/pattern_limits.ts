// What patterns an evolution may try: kinds that the candidates of the study have or that its bounds name, depths from the
// shallowest to the deepest candidate unless the study says otherwise, and its bounds on layers by kind.

import { layerKinds } from "../block/layer_kinds.js";
import type { BlockOptions, EvolutionSpec } from "../spec/spec.js";
import type { PatternLimits } from "./genome.js";

/**
 * @param patterns of the candidates the study begins with.
 * @param blocks of the model, which may name kinds of its own.
 */
export function patternLimits(
  patterns: readonly string[],
  { layers, counts }: EvolutionSpec,
  blocks: BlockOptions,
): PatternLimits {
  const bounds = layerKinds(blocks).map(({ name, symbol }) => ({ symbol, range: counts[name] }));
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
