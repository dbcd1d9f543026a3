// The layer kinds there are, in the order in which counts and tables list them.

import { attention } from "./attention.js";
import type { Block } from "./block.js";
import { mamba2 } from "./mamba2.js";
import { mlp } from "./mlp.js";

export const blocks: readonly Block[] = [mamba2, attention, mlp];

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
