// What the linear recurrences of mamba1, gated_deltanet, kda, rg_lru and lightning have in common: a causal
// convolution, a state that every token reads and writes, and what a trainer would keep of them.

import {
  type InferencePass,
  type LayerOperation,
  passTokens,
  type TrainingBuffers,
  type Workload,
} from "./block.js";

/** The recurrence of one layer: elements of state per sequence, and what one token costs and moves. */
export interface Recurrence {
  /** Channels and taps of the convolution in front of it; no convolution where channels are 0. */
  readonly convChannels: number;
  readonly taps: number;
  readonly stateElements: number;
  readonly flopsPerToken: number;
  /** Elements that one token reads and writes beside the state. */
  readonly channels: number;
}

/** Elements of the convolution's inputs that the next token looks back at. */
export function convolutionWindow({ convChannels, taps }: Recurrence): number {
  return convChannels * (taps - 1);
}

/** The convolution, if there is one, and the recurrence in a pass. */
export function recurrenceOperations(r: Recurrence, pass: InferencePass): readonly LayerOperation[] {
  const { batch } = pass;
  const conv = { batch, channels: r.convChannels, width: r.taps };
  const scan = {
    batch,
    state: r.stateElements,
    channels: r.channels,
    flopsPerToken: r.flopsPerToken,
  };
  const prefill = pass.phase === "prefill";
  return [
    ...(r.convChannels === 0
      ? []
      : [
          prefill
            ? { operation: { kind: "conv_prefill", ...conv, time: pass.time } as const }
            : { operation: { kind: "conv_step", ...conv } as const },
        ]),
    prefill
      ? { operation: { kind: "scan_prefill", ...scan, time: pass.time } }
      : { operation: { kind: "state_update", ...scan } },
  ];
}

/** Elementwise work on `width` channels of every token: `inputs` tensors read, one written. */
export function elementwise(pass: InferencePass, width: number, inputs: number): LayerOperation {
  return {
    operation: { kind: "elementwise", rows: passTokens(pass), reads: inputs * width, writes: width },
  };
}

const scanChunk = 64;

/**
 * Training buffers of a kind that the native library does not run, by the rule of the kinds it runs: the output of
 * every operation is kept (`widths`, in channels per token), and the state at the start of every chunk of 64
 * tokens; backward needs the gradient of the widest ones.
 */
export function outputBuffers(
  widths: readonly number[],
  stateElements: number,
  { batch, sequence }: Workload,
): TrainingBuffers {
  const rows = batch * sequence;
  const saved = widths.filter((width) => width > 0).map((width) => rows * width);
  const chunks = Math.ceil(sequence / scanChunk);
  const widest = [...saved].sort((a, b) => b - a).slice(0, 2);
  return {
    savedActivations: saved,
    savedStatistics: stateElements === 0 ? [] : [batch * chunks * stateElements],
    transient: widest,
    workspace: 0,
  };
}
