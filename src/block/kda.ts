// Kimi Delta Attention: the gated delta rule with a decay per key channel instead of one per head. q, k and v go
// through a causal convolution; the decay and the output gate come from low-rank projections (rank head_dim).
// Source: arXiv 2510.26692, section 3; parameters as transformers' KimiLinear holds them.

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
import { deltaRuleFlops, deltaRuleGradientFlops } from "./gated_deltanet.js";
import { convOption, countOption, type KindSchema } from "./option_schema.js";
import { indivisible, numberOr, type RawOptions, scaledHeads } from "./raw_options.js";
import { convolutionWindow, outputBuffers, type Recurrence, recurrenceOperations } from "./recurrence.js";
import {
  convolution,
  convolutionFlops,
  inward,
  matrix,
  outward,
  preNorm,
  product,
  vector,
} from "./tensors.js";

export interface KdaOptions {
  readonly heads: number;
  readonly headDim: number;
  readonly conv: number;
  /** Inner width of the low-rank projections. */
  readonly rank: number;
}

/** Channels of q, of k and of v. */
const inner = (o: KdaOptions): number => o.heads * o.headDim;
const stateElements = (o: KdaOptions): number => o.heads * o.headDim ** 2;
/** Columns of everything that is projected from the layer's input: q, k, v, both low ranks, the strength. */
const projected = (o: KdaOptions): number => 3 * inner(o) + 2 * o.rank + o.heads;

function resolve(raw: RawOptions, { hidden }: BlockContext): KdaOptions {
  const headDim = numberOr(raw, "head_dim", 128);
  return {
    heads: numberOr(raw, "heads", Math.max(1, Math.round(hidden / headDim))),
    headDim,
    conv: numberOr(raw, "conv", 4),
    rank: headDim,
  };
}

function parameters(o: KdaOptions, context: BlockContext): readonly ParameterTensor[] {
  const { hidden } = context;
  const d = inner(o);
  return [
    preNorm(context),
    ...["q", "k", "v"].map((name) => matrix(`mixer.${name}_proj.weight`, d, hidden)),
    ...convolution(3 * d, o.conv, false),
    matrix("mixer.f_a_proj.weight", o.rank, hidden),
    matrix("mixer.f_b_proj.weight", d, o.rank),
    ...vector("mixer.dt_bias", d),
    ...vector("mixer.A_log", o.heads),
    matrix("mixer.b_proj.weight", o.heads, hidden),
    matrix("mixer.g_a_proj.weight", o.rank, hidden),
    matrix("mixer.g_b_proj.weight", d, o.rank),
    ...vector("mixer.o_norm.weight", o.headDim),
    matrix("mixer.o_proj.weight", hidden, d),
  ];
}

function flops(o: KdaOptions, { hidden }: BlockContext, work: Workload): LayerFlops {
  const tokens = work.batch * work.sequence;
  const d = inner(o);
  const products =
    tokens * 2 * (hidden * (projected(o) + d) + 2 * o.rank * d) + convolutionFlops(work, 3 * d, o.conv);
  return {
    forward: products + tokens * deltaRuleFlops(o.heads, o.headDim, o.headDim),
    backward: 2 * products + tokens * deltaRuleGradientFlops(o.heads, o.headDim, o.headDim),
  };
}

function recurrence(o: KdaOptions): Recurrence {
  return {
    convChannels: 3 * inner(o),
    taps: o.conv,
    stateElements: stateElements(o),
    flopsPerToken: deltaRuleFlops(o.heads, o.headDim, o.headDim),
    channels: 5 * inner(o) + o.heads,
  };
}

function inference(o: KdaOptions, { hidden }: BlockContext, pass: InferencePass): readonly LayerOperation[] {
  const rows = passTokens(pass);
  const d = inner(o);
  return [
    inward(rows, hidden, projected(o)),
    { ...product(rows, o.rank, d), times: 2 },
    ...recurrenceOperations(recurrence(o), pass),
    { operation: { kind: "gated_rms_norm", rows, cols: d, groups: o.heads } },
    outward(rows, d, hidden),
  ];
}

function rescale(raw: RawOptions, from: BlockContext, to: BlockContext): Record<string, unknown> {
  const old = resolve(raw, from);
  const { heads, headDim } = scaledHeads(old.heads, old.headDim, to.hidden / from.hidden);
  return { ...raw, heads: Math.max(1, Math.round(heads)), head_dim: headDim };
}

const schema: KindSchema = {
  title: "Kimi Delta Attention options",
  description: "Kimi Delta Attention layers (arXiv 2510.26692).",
  properties: {
    heads: countOption("Heads", "Heads of q, k, v and of the state. Default: hidden / head_dim.", {
      example: 32,
    }),
    head_dim: countOption("Head dimension", "Channels per head.", { maximum: 4096, default: 128 }),
    conv: convOption,
  },
  examples: [{ heads: 32, head_dim: 128, conv: 4 }],
};

/** The Kimi Delta Attention layer kind. */
export const kda: Block<KdaOptions> = {
  kind: "kda",
  symbol: "K",
  title: "Kimi Delta Attention",
  source: "arXiv 2510.26692, section 3",
  role: "recurrent",
  schema,
  resolve,
  check: () => [],
  notes: () => [],
  parameters,
  flops,
  trainingBuffers: (o, _, work) =>
    outputBuffers([projected(o), 2 * inner(o), 3 * inner(o), inner(o), inner(o)], stateElements(o), work),
  kvElementsPerToken: () => 0,
  stateElementsPerSequence: (o) => stateElements(o) + convolutionWindow(recurrence(o)),
  recurrentElementsPerSequence: stateElements,
  shard: (o, ranks) => indivisible("heads of kda", o.heads, ranks) ?? { ...o, heads: o.heads / ranks },
  inference,
  widthOptions: ["heads", "head_dim"],
  rescale,
};
