// Lightning attention of MiniMax-01: linear attention with a fixed decay per head, S <- a S + k v', o = S' q, an
// RMSNorm of the heads' outputs, a sigmoid gate, and the output projection. Source: arXiv 2501.08313, section 2.2;
// parameters as transformers' MiniMax holds them.

import {
  type Block,
  type BlockContext,
  type InferencePass,
  type LayerFlops,
  type LayerOperation,
  type ParameterTensor,
  passTokens,
  type Workload,
} from "./block.js";
import { countOption, type KindSchema } from "./option_schema.js";
import { indivisible, numberOr, type RawOptions, scaledHeads } from "./raw_options.js";
import { outputBuffers, recurrenceOperations } from "./recurrence.js";
import { inward, matrix, outward, preNorm, vector } from "./tensors.js";

export interface LightningOptions {
  readonly heads: number;
  readonly headDim: number;
}

const inner = (o: LightningOptions): number => o.heads * o.headDim;
const stateElements = (o: LightningOptions): number => o.heads * o.headDim ** 2;

function resolve(raw: RawOptions, { hidden }: BlockContext): LightningOptions {
  const headDim = numberOr(raw, "head_dim", 128);
  return { heads: numberOr(raw, "heads", Math.max(1, Math.round(hidden / headDim))), headDim };
}

function parameters(o: LightningOptions, context: BlockContext): readonly ParameterTensor[] {
  const { hidden } = context;
  const d = inner(o);
  return [
    preNorm(context),
    matrix("mixer.qkv_proj.weight", 3 * d, hidden),
    matrix("mixer.output_gate.weight", d, hidden),
    ...vector("mixer.norm.weight", d),
    matrix("mixer.out_proj.weight", hidden, d),
  ];
}

// Per element of the state: a S (1), k v' added (2), S' q (2); backward: dq, dS, dk, dv (8), a dS (1).
const scanFlops = (o: LightningOptions): number => 5 * stateElements(o);
const scanGradientFlops = (o: LightningOptions): number => 9 * stateElements(o);

function flops(o: LightningOptions, { hidden }: BlockContext, work: Workload): LayerFlops {
  const tokens = work.batch * work.sequence;
  const products = tokens * 2 * hidden * 5 * inner(o);
  return {
    forward: products + tokens * scanFlops(o),
    backward: 2 * products + tokens * scanGradientFlops(o),
  };
}

function inference(
  o: LightningOptions,
  { hidden }: BlockContext,
  pass: InferencePass,
): readonly LayerOperation[] {
  const rows = passTokens(pass);
  const d = inner(o);
  const recurrence = {
    convChannels: 0,
    taps: 1,
    stateElements: stateElements(o),
    flopsPerToken: scanFlops(o),
    channels: 4 * d,
  };
  return [
    inward(rows, hidden, 4 * d),
    ...recurrenceOperations(recurrence, pass),
    { operation: { kind: "gated_rms_norm", rows, cols: d, groups: 1 } },
    outward(rows, d, hidden),
  ];
}

function rescale(raw: RawOptions, from: BlockContext, to: BlockContext): Record<string, unknown> {
  const old = resolve(raw, from);
  const { heads, headDim } = scaledHeads(old.heads, old.headDim, to.hidden / from.hidden);
  return { ...raw, heads: Math.max(1, Math.round(heads)), head_dim: headDim };
}

const schema: KindSchema = {
  title: "Lightning attention options",
  description: "Lightning attention layers of MiniMax-01 (arXiv 2501.08313).",
  properties: {
    heads: countOption("Heads", "Heads of q, k, v and of the state. Default: hidden / head_dim.", {
      example: 64,
    }),
    head_dim: countOption("Head dimension", "Channels per head.", { maximum: 4096, default: 128 }),
  },
  examples: [{ heads: 64, head_dim: 128 }],
};

/** The lightning attention layer kind. */
export const lightning: Block<LightningOptions> = {
  kind: "lightning",
  symbol: "L",
  title: "lightning attention",
  source: "arXiv 2501.08313, section 2.2",
  role: "recurrent",
  schema,
  resolve,
  check: () => [],
  notes: () => [],
  parameters,
  flops,
  trainingBuffers: (o, _, work) => outputBuffers([4 * inner(o), inner(o), inner(o)], stateElements(o), work),
  kvElementsPerToken: () => 0,
  stateElementsPerSequence: stateElements,
  recurrentElementsPerSequence: stateElements,
  shard: (o, ranks) => indivisible("heads of lightning", o.heads, ranks) ?? { ...o, heads: o.heads / ranks },
  inference,
  widthOptions: ["heads", "head_dim"],
  rescale,
};
