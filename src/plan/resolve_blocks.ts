// Block options with their defaults filled in, resolved once per (kind, options, hidden width, depth) however
// many candidates share them: planning a sweep asks for the same few again and again. Equal inputs give the
// same object, which is what estimate/ keys its own sums on.

import type { BlockContext } from "../block/block.js";
import type { LayerKind } from "../block/layer_kinds.js";
import type { PlannedLayer } from "./plan_types.js";

export interface ResolvedBlock {
  readonly kind: LayerKind;
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

/** Resolves and rescales block options, remembering what it has done; see createBlockResolver. */
export interface BlockResolver {
  resolve(kind: LayerKind, raw: RawOptions, context: BlockContext): ResolvedBlock;
  /** Block.rescale. */
  rescale(kind: LayerKind, raw: RawOptions, from: BlockContext, to: BlockContext): RawOptions;
}

type RawOptions = Readonly<Record<string, unknown>>;

/** A resolver with a memory of its own, to be shared by all candidates of one sweep. */
export function createBlockResolver(): BlockResolver {
  const texts = new WeakMap<object, string>();
  const resolved = new Map<string, ResolvedBlock>();
  const rescaled = new Map<string, RawOptions>();
  const textOf = (raw: RawOptions): string => remember(texts, raw, () => JSON.stringify(raw));
  return {
    resolve: (kind, raw, context) =>
      remember(resolved, `${kind.name} ${context.hidden} ${context.layers} ${textOf(raw)}`, () =>
        resolveBlock(kind, raw, context),
      ),
    rescale: (kind, raw, from, to) =>
      remember(rescaled, `${kind.name} ${from.hidden} ${to.hidden} ${to.layers} ${textOf(raw)}`, () =>
        kind.block.rescale(raw, from, to),
      ),
  };
}

/** The value under `key`, made once. */
function remember<K, V>(
  memory: { get(key: K): V | undefined; set(key: K, value: V): unknown },
  key: K,
  make: () => V,
): V {
  let value = memory.get(key);
  if (value === undefined) {
    value = make();
    memory.set(key, value);
  }
  return value;
}

function resolveBlock(
  kind: LayerKind,
  raw: Readonly<Record<string, unknown>>,
  context: BlockContext,
): ResolvedBlock {
  const { name, block } = kind;
  const options = block.resolve(raw, context);
  const problems = block.check(options, context).map(({ option, message, help }) => ({
    path: `model.blocks.${name}${option === "" ? "" : `.${option}`}`,
    message,
    help,
  }));
  const layers: PlannedLayer[] = [];
  const layerAt = (index: number): PlannedLayer => {
    layers[index] ??= { index, kind: name, block, options };
    return layers[index];
  };
  return { kind, options, notes: block.notes(raw, options, context), problems, layerAt };
}
