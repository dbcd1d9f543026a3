// The plan: a model whose every layer is decided. Produced by plan/ from a Spec, consumed by every later
// room.

import type { Block } from "../block/block.js";
import type { LayerKind } from "../block/layer_kinds.js";
import type { ScalingSpec } from "../spec/spec.js";

/** One layer of the pattern with its block and resolved options. */
export interface PlannedLayer {
  readonly index: number;
  /** The name of its kind in the model: the block's own, or one that the study file gives. */
  readonly kind: string;
  readonly block: Block;
  readonly options: unknown;
}

export interface Plan {
  /** Candidate name: the study's name, or the axis values ("attention=8%") in a sweep. */
  readonly name: string;
  /** The kinds that the model has, or asks for, in the order in which tables list them. */
  readonly kinds: readonly LayerKind[];
  /** Layer symbols as given or derived, pipeline cuts and MTP suffix removed. */
  readonly pattern: string;
  readonly layers: readonly PlannedLayer[];
  /** Layers by kind: the founding three always, other kinds where there are any. */
  readonly counts: Readonly<Record<string, number>>;
  readonly hidden: number;
  readonly vocab: number;
  readonly tieEmbeddings: boolean;
  readonly normEps: number;
  /** The norms in front of every layer and at the end are LayerNorms: they have a bias and subtract the mean. */
  readonly layerNorm?: true;
  /** Multipliers, where they are not 1. */
  readonly scaling?: ScalingSpec;
  /** Trained tokens in front of every sequence. */
  readonly metaTokens?: number;
  readonly headBias?: boolean;
  /** Shares asked for, by kind; absent where the pattern was given. */
  readonly mix?: Readonly<Record<string, number>>;
  /** What the reader should know: rounded shares, counts the algorithm missed, sizes changed by `match`. */
  readonly notes: readonly PlanNote[];
}

export interface PlanNote {
  readonly code: `LMX${number}`;
  readonly message: string;
}

/** One point of a sweep: the axis values that made it, and its plan. */
export interface Candidate {
  /** Short and stable: "attention=8%" or, for several axes, "attention=8%,mlp=50%". */
  readonly name: string;
  readonly values: Readonly<Record<string, unknown>>;
  readonly plan: Plan;
}

/** A point that was not kept, and why (duplicate layout, infeasible counts, a `where` constraint). */
export interface DroppedCandidate {
  readonly name: string;
  readonly values: Readonly<Record<string, unknown>>;
  readonly reason: string;
}
