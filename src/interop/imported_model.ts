// What the readers of configurations (families/) make of a config.json: a model as study files declare it, and what of
// the configuration it does not carry. Families say of every layer which kinds it is made of; options are read for the
// kinds that occur.

import { blockByKind } from "../block/registry.js";
import type { ModelSpec, ScalingSpec } from "../spec/spec.js";
import { type ConfigFields, maxLayers } from "./config_fields.js";

/** Options of a kind as study files write them. */
export type RawKind = Readonly<Record<string, unknown>>;

export interface ImportedModel {
  readonly pattern: string;
  readonly hidden: number;
  readonly vocab: number;
  readonly tieEmbeddings: boolean;
  readonly normEps: number;
  /** By kind, for the kinds of the pattern. */
  readonly blocks: Readonly<Record<string, RawKind>>;
  readonly scaling?: ScalingSpec;
  /** What the model does beside that, a clause each: it changes results, not parameters, FLOPs or memory. */
  readonly notCarried: readonly string[];
}

/** What a family tells of a configuration. */
export interface Draft {
  /** Kinds of every residual sub-block, in order; undefined entries are left out. */
  readonly layers: readonly (string | undefined)[];
  /** Options of the kinds, read when the kind occurs. */
  readonly options: Readonly<Record<string, () => RawKind>>;
  readonly tieEmbeddings: boolean;
  readonly normEps: number;
  readonly scaling?: ScalingSpec;
  readonly notCarried?: readonly (string | undefined)[];
  /** Where the fields do not have the usual names or defaults. */
  readonly hidden?: number;
  readonly vocab?: number;
}

/** A reader of one model_type. Throws LMX5101 for a bad field. */
export type Family = (config: ConfigFields) => Draft;

/** Leaves out what is undefined, and what study files would say anyway. */
export function options(values: Readonly<Record<string, unknown>>): RawKind {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}

/** true, or nothing: flags that are off are not written. */
export function flagged(value: boolean): true | undefined {
  return value ? true : undefined;
}

/** The imported model of a draft. */
export function importedModel(config: ConfigFields, draft: Draft): ImportedModel {
  const layers = draft.layers.filter((kind) => kind !== undefined);
  if (layers.length === 0 || layers.length > 2 * maxLayers) {
    throw config.wrong("num_hidden_layers", `1 to ${maxLayers} layers`);
  }
  const kinds = [...new Set(layers)];
  const scaling = options({ ...draft.scaling });
  return {
    pattern: layers.map((kind) => blockByKind(kind)!.symbol).join(""),
    hidden: draft.hidden ?? config.count("hidden_size"),
    vocab: draft.vocab ?? config.count("vocab_size"),
    tieEmbeddings: draft.tieEmbeddings,
    normEps: draft.normEps,
    blocks: Object.fromEntries(kinds.map((kind) => [kind, draft.options[kind]?.() ?? {}])),
    ...(Object.keys(scaling).length === 0 ? {} : { scaling }),
    notCarried: (draft.notCarried ?? []).filter((clause) => clause !== undefined),
  };
}

/** The model as the planner takes it. */
export function toModelSpec(model: ImportedModel): ModelSpec {
  return {
    layout: { kind: "pattern", pattern: model.pattern },
    hidden: model.hidden,
    vocab: model.vocab,
    tieEmbeddings: model.tieEmbeddings,
    norm: { kind: "rmsnorm", eps: model.normEps },
    blocks: model.blocks,
    ...(model.scaling === undefined ? {} : { scaling: model.scaling }),
  };
}
