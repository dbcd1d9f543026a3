// The layer kinds there are, in the order in which counts and tables list them: mixers, composed kinds, feed-forward
// kinds.

import type { Block } from "./block.js";
import { parallel } from "./parallel.js";
import { sharedTransformer } from "./shared_transformer.js";
import { feedForwards, mixers } from "./simple_kinds.js";

export const blocks: readonly Block[] = [
  ...mixers,
  parallel as Block,
  sharedTransformer as Block,
  ...feedForwards,
];

const byKind = new Map(blocks.map((block) => [block.kind, block]));
const bySymbol = new Map(blocks.map((block) => [block.symbol, block]));

/** The block of a kind as study files name it ("mamba2"); undefined for a name that is none. */
export function blockByKind(kind: string): Block | undefined {
  return byKind.get(kind);
}

/** The block of a pattern symbol ("M"); undefined for a symbol that is none, or not built yet. */
export function blockBySymbol(symbol: string): Block | undefined {
  return bySymbol.get(symbol);
}
