// Gated DeltaNet: q, k, v through a causal convolution, then per value head the state S (key_dim x value_dim)
//   S <- a S;  e = b (v - S' k);  S <- S + k e';  o = S' q
// with a decay a and a strength b per head and token; a gated RMSNorm per head, and the output projection. Key
// heads are shared by the value heads. Source: arXiv 2412.06464, section 3.3; parameters as Qwen3-Next and
// OLMo-Hybrid hold them.

import {
  type Block,
  type BlockContext,
  type BlockIssue,
  type InferencePass,
  type LayerFlops,
  type LayerOperation,
  type ParameterTensor,
  passTokens,
  type Workload,
} from "./block.js";
import { convOption, countOption, type KindSchema } from "./option_schema.js";
import { indivisible, largestDivisor, numberOr, type RawOptions } from "./raw_options.js";
import { convolutionWindow, outputBuffers, type Recurrence, recurrenceOperations } from "./recurrence.js";
import { convolution, convolutionFlops, inward, matrix, outward, preNorm, vector } from "./tensors.js";

export interface GatedDeltaNetOptions {
  readonly keyHeads: number;
  readonly valueHeads: number;
  readonly keyDim: number;
  readonly valueDim: number;
  readonly conv: number;
}

/** Channels of the queries, and of the keys. */
const keys = (o: GatedDeltaNetOptions): number => o.keyHeads * o.keyDim;
const values = (o: GatedDeltaNetOptions): number => o.valueHeads * o.valueDim;
const convChannels = (o: GatedDeltaNetOptions): number => 2 * keys(o) + values(o);
const stateElements = (o: GatedDeltaNetOptions): number => o.valueHeads * o.keyDim * o.valueDim;
/** Columns of the projection in: q, k, v, the output gate, a and b. */
const projected = (o: GatedDeltaNetOptions): number => 2 * keys(o) + 2 * values(o) + 2 * o.valueHeads;

function resolve(raw: RawOptions, { hidden }: BlockContext): GatedDeltaNetOptions {
  const keyDim = numberOr(raw, "key_dim", 128);
  const valueDim = numberOr(raw, "value_dim", 128);
  const keyHeads = numberOr(raw, "key_heads", Math.max(1, Math.round(hidden / keyDim)));
  return {
    keyHeads,
    valueHeads: numberOr(raw, "value_heads", 2 * keyHeads),
    keyDim,
    valueDim,
    conv: numberOr(raw, "conv", 4),
  };
}

function check(o: GatedDeltaNetOptions): readonly BlockIssue[] {
  if (o.valueHeads % o.keyHeads === 0) return [];
  return [
    {
      option: "key_heads",
      message: `Expected key_heads to divide the ${o.valueHeads} value heads, got ${o.keyHeads}`,
      help: [`set key_heads to ${largestDivisor(o.valueHeads, o.keyHeads)}`],
    },
  ];
}

function parameters(o: GatedDeltaNetOptions, context: BlockContext): readonly ParameterTensor[] {
  const { hidden } = context;
  return [
    preNorm(context),
    matrix("mixer.in_proj_qkvz.weight", 2 * keys(o) + 2 * values(o), hidden),
    matrix("mixer.in_proj_ba.weight", 2 * o.valueHeads, hidden),
    ...convolution(convChannels(o), o.conv, false),
    ...vector("mixer.dt_bias", o.valueHeads),
    ...vector("mixer.A_log", o.valueHeads),
    ...vector("mixer.norm.weight", o.valueDim),
    matrix("mixer.out_proj.weight", hidden, values(o)),
  ];
}

/** FLOPs of the delta rule per token: per element a S (1), S' k (2), + k e' (2), S' q (2); v - . and b . per channel. */
export function deltaRuleFlops(heads: number, keyDim: number, valueDim: number): number {
  return heads * valueDim * (7 * keyDim + 2);
}

/**
 * Its gradient: per element dS and dq of o (4), dk and de of k e' (4), dk and dS of S' k (4), da (2), a dS (1); db and
 * de per channel (3).
 */
export function deltaRuleGradientFlops(heads: number, keyDim: number, valueDim: number): number {
  return heads * valueDim * (15 * keyDim + 3);
}

function flops(o: GatedDeltaNetOptions, { hidden }: BlockContext, work: Workload): LayerFlops {
  const tokens = work.batch * work.sequence;
  const products =
    tokens * 2 * hidden * (projected(o) + values(o)) + convolutionFlops(work, convChannels(o), o.conv);
  return {
    forward: products + tokens * deltaRuleFlops(o.valueHeads, o.keyDim, o.valueDim),
    backward: 2 * products + tokens * deltaRuleGradientFlops(o.valueHeads, o.keyDim, o.valueDim),
  };
}

// gdn_layer_flops of Megatron's training.py (main): the recurrence is 4 heads value_dim^2 multiply-adds.
function megatronForwardFlops(o: GatedDeltaNetOptions, context: BlockContext, work: Workload): bigint {
  const big = (value: number) => BigInt(value);
  const [hidden, qk, v, heads] = [context.hidden, keys(o), values(o), o.valueHeads].map(big);
  const tokens = big(work.batch) * big(work.sequence);
  const inProj = hidden! * (2n * qk! + 2n * v! + 2n * heads!);
  const conv = big(o.conv) * (2n * qk! + v!);
  const rule = 4n * heads! * big(o.valueDim) ** 2n;
  return 2n * tokens * (inProj + conv + rule + hidden! * v!);
}

function recurrence(o: GatedDeltaNetOptions): Recurrence {
  return {
    convChannels: convChannels(o),
    taps: o.conv,
    stateElements: stateElements(o),
    flopsPerToken: deltaRuleFlops(o.valueHeads, o.keyDim, o.valueDim),
    channels: 2 * keys(o) + 2 * values(o) + 2 * o.valueHeads,
  };
}

function inference(
  o: GatedDeltaNetOptions,
  { hidden }: BlockContext,
  pass: InferencePass,
): readonly LayerOperation[] {
  const rows = passTokens(pass);
  return [
    inward(rows, hidden, projected(o)),
    ...recurrenceOperations(recurrence(o), pass),
    { operation: { kind: "gated_rms_norm", rows, cols: values(o), groups: o.valueHeads } },
    outward(rows, values(o), hidden),
  ];
}

function shard(o: GatedDeltaNetOptions, ranks: number): GatedDeltaNetOptions | string {
  return (
    indivisible("key_heads of gated_deltanet", o.keyHeads, ranks) ?? {
      ...o,
      keyHeads: o.keyHeads / ranks,
      valueHeads: o.valueHeads / ranks,
    }
  );
}

function rescale(raw: RawOptions, from: BlockContext, to: BlockContext): Record<string, unknown> {
  const old = resolve(raw, from);
  const keyHeads = Math.max(1, Math.round((old.keyHeads * to.hidden) / from.hidden));
  return { ...raw, key_heads: keyHeads, value_heads: keyHeads * (old.valueHeads / old.keyHeads) };
}

const schema: KindSchema = {
  title: "Gated DeltaNet options",
  description: "Gated DeltaNet layers (arXiv 2412.06464).",
  properties: {
    key_heads: countOption(
      "Key heads",
      "Heads of queries and keys; must divide value_heads. Default: hidden / key_dim.",
      { example: 16 },
    ),
    value_heads: countOption("Value heads", "Heads of values and of the state. Default: 2 x key_heads.", {
      example: 32,
    }),
    key_dim: countOption("Key dimension", "Channels of queries and keys per head.", {
      maximum: 4096,
      default: 128,
    }),
    value_dim: countOption("Value dimension", "Channels of values per head.", {
      maximum: 4096,
      default: 128,
    }),
    conv: convOption,
  },
  examples: [{ key_heads: 16, value_heads: 32, key_dim: 128, value_dim: 128 }],
};

/** The Gated DeltaNet layer kind. */
export const gatedDeltaNet: Block<GatedDeltaNetOptions> = {
  kind: "gated_deltanet",
  symbol: "G",
  title: "gated DeltaNet",
  source: "arXiv 2412.06464, section 3.3",
  role: "recurrent",
  schema,
  resolve,
  check,
  notes: () => [],
  parameters,
  flops,
  megatron: { order: 5, forwardFlops: megatronForwardFlops },
  trainingBuffers: (o, _, work) =>
    outputBuffers([projected(o), convChannels(o), values(o), values(o)], stateElements(o), work),
  kvElementsPerToken: () => 0,
  stateElementsPerSequence: (o) => stateElements(o) + convolutionWindow(recurrence(o)),
  recurrentElementsPerSequence: stateElements,
  shard,
  inference,
  widthOptions: ["key_heads", "value_heads", "key_dim", "value_dim"],
  rescale,
};
