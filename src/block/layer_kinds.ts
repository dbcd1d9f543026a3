// The layer kinds of one model: those that are built in, and those that its study file names under model.blocks
// ("global: { kind: attention, symbol: g, ... }"), for models with two shapes of one kind. A named kind stands behind
// the kind it is a shape of, wherever kinds are listed.

import type { Block } from "./block.js";
import type { RawOptions } from "./raw_options.js";
import { blockByKind, blocks } from "./registry.js";

export interface LayerKind {
  /** The name in mixes, counts and tables. */
  readonly name: string;
  /** The symbol in patterns. */
  readonly symbol: string;
  readonly block: Block;
}

/** Options by the name of the kind, as the study file gives them. */
export type KindOptions = Readonly<Record<string, RawOptions>>;

/** The kinds that need no declaration. */
export const builtInKinds: readonly LayerKind[] = blocks.map((block) => ({
  name: block.kind,
  symbol: block.symbol,
  block,
}));

/** What may not be the symbol of a named kind: those of the built-in kinds, and what patterns use otherwise. */
export const takenSymbols: readonly string[] = [...builtInKinds.map(({ symbol }) => symbol), "D", "|", "/"];

const remembered = new WeakMap<object, readonly LayerKind[]>();

/** Every kind of a model with these options. Entries that name no kind are left out: spec/ has refused them. */
export function layerKinds(options: KindOptions): readonly LayerKind[] {
  const known = remembered.get(options);
  if (known !== undefined) return known;
  const named = Object.entries(options).flatMap(([name, { kind, symbol }]): LayerKind[] => {
    const block = typeof kind === "string" ? blockByKind(kind) : undefined;
    if (blockByKind(name) !== undefined || block === undefined || typeof symbol !== "string") return [];
    return [{ name, symbol, block }];
  });
  const kinds =
    named.length === 0
      ? builtInKinds
      : builtInKinds.flatMap((kind) => [kind, ...named.filter(({ block }) => block === kind.block)]);
  remembered.set(options, kinds);
  return kinds;
}

/** Kinds that counts always list, so that scripts find them in every model. */
const alwaysCounted = new Set(["mamba2", "attention", "mlp"]);

/** Layers by name of a pattern: the founding three always, other kinds where there are any. */
export function countLayers(
  pattern: string,
  kinds: readonly LayerKind[] = builtInKinds,
): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { name, symbol } of kinds) {
    let count = 0;
    for (let at = pattern.indexOf(symbol); at !== -1; at = pattern.indexOf(symbol, at + 1)) count += 1;
    if (count > 0 || alwaysCounted.has(name)) counts[name] = count;
  }
  return counts;
}
