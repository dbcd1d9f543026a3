// Block options with their defaults filled in, resolved once per (kind, options, hidden width, depth) however many
// candidates share them: planning a sweep asks for the same few again and again. Equal inputs give the same object, which is
// what estimate/ keys its own sums on.

import type { Block, BlockContext } from "../block/block.js";
import { blocks } from "../block/registry.js";
import type { BlockOptions } from "../spec/spec.js";
import type { PlannedLayer } from "./plan_types.js";

export interface ResolvedBlock {
  readonly block: Block;
  readonly options: unknown;
  readonly notes: readonly string[];
  /** The layer of this kind at `index`; equal layers of different candidates are one object. */
  layerAt(index: number): PlannedLayer;
  /** What is wrong with the options at this width, empty when they can be built. */
  readonly problems: readonly {
    readonly path: string;
    readonly message: string;
    readonly help: readonly string[];
  }[];
}

/** Resolves one kind's options at one width; see createBlockResolver. */
export type BlockResolver = (block: Block, raw: BlockOptions, context: BlockContext) => ResolvedBlock;

/** A resolver with a memory of its own, to be shared by all candidates of one sweep. */
export function createBlockResolver(): BlockResolver {
  const texts = new WeakMap<object, string>();
  const known = new Map<string, ResolvedBlock>();
  return (block, raw, context) => {
    const options = raw[block.kind] ?? none;
    let text = texts.get(options);
    if (text === undefined) {
      text = JSON.stringify(options);
      texts.set(options, text);
    }
    const key = `${block.kind} ${context.hidden} ${context.layers} ${text}`;
    let resolved = known.get(key);
    if (resolved === undefined) {
      resolved = resolveBlock(block, options, context);
      known.set(key, resolved);
    }
    return resolved;
  };
}

const none: Readonly<Record<string, unknown>> = {};

function resolveBlock(
  block: Block,
  raw: Readonly<Record<string, unknown>>,
  context: BlockContext,
): ResolvedBlock {
  const options = block.resolve(raw, context);
  const problems = block.check(options, context).map(({ option, message, help }) => ({
    path: `model.blocks.${block.kind}${option === "" ? "" : `.${option}`}`,
    message,
    help,
  }));
  const layers: PlannedLayer[] = [];
  const layerAt = (index: number): PlannedLayer => {
    layers[index] ??= { index, block, options };
    return layers[index];
  };
  return { block, options, notes: block.notes(raw, options, context), problems, layerAt };
}

/** Layers by kind of a pattern, in registry order, zeros included. */
export function countLayers(pattern: string): Record<string, number> {
  const counts = Object.fromEntries(blocks.map((block) => [block.kind, 0]));
  const kinds = new Map(blocks.map((block) => [block.symbol, block.kind]));
  for (const symbol of pattern) {
    const kind = kinds.get(symbol);
    if (kind !== undefined) counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}
