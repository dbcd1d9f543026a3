// A projection: what `layermix project --json` prints of a model, in plain numbers. docs/project.md defines each.

import type { Provenance } from "./curve_set.js";
import type { ElementTypes } from "./element_types.js";
import type { Band, OperationShare } from "./pass_time.js";

export interface ProjectionPoint {
  /** Tokens per sequence: the prompt of prefill; what a decoded token attends to, itself included. */
  readonly context: number;
  /** From an empty context to the first token of every sequence of the batch. */
  readonly prefillSeconds: number;
  readonly prefillBand: Band;
  /** One decode step: one token for each sequence of the batch. */
  readonly decodeTokenSeconds: number;
  readonly decodeBand: Band;
  /** batch / decodeTokenSeconds. */
  readonly tokensPerSecond: number;
  /** Per device, as the three below. */
  readonly weightBytes: number;
  /** Of the whole batch. */
  readonly kvBytes: number;
  readonly stateBytes: number;
  readonly totalBytes: number;
  readonly fits: boolean;
  /** Largest batch that fits at this context; 0 where the weights alone do not. */
  readonly maxBatch: number;
  readonly provenance: { readonly prefill: Provenance; readonly decode: Provenance };
  readonly operations: {
    readonly prefill: readonly OperationShare[];
    readonly decode: readonly OperationShare[];
  };
  /** Decode step of the baseline over that of the model. */
  readonly speedup?: number;
  readonly speedupBand?: Band;
  readonly prefillSpeedup?: number;
  readonly baselineFits?: boolean;
}

export interface SpeedupAt {
  readonly context: number;
  readonly speedup: number;
}

export interface Projection {
  readonly name: string;
  readonly hardware: string;
  readonly batch: number;
  readonly tensorParallel: number;
  readonly types: ElementTypes;
  readonly weightBytes: number;
  readonly kvBytesPerToken: number;
  readonly stateBytesPerSequence: number;
  readonly points: readonly ProjectionPoint[];
  readonly baseline?: string;
  /** Speed-up of a decode step over contexts, evenly spaced on a logarithmic axis, for plots. */
  readonly speedups?: readonly SpeedupAt[];
  /** Smallest context from which the model is faster than the baseline at all larger ones; null if there is none. */
  readonly crossoverContext?: number | null;
  readonly assumptions: readonly string[];
}
