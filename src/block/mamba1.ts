// Mamba-1 (selective state space): in_proj -> causal conv + SiLU on x -> x_proj gives dt (rank r), B and C ->
// dt_proj + softplus -> selective scan with a decay per channel and state -> gate -> out_proj. d inner channels.
// Jamba normalises dt, B and C with weights, Falcon-Mamba without. Source: arXiv 2312.00752, section 3; Jamba: arXiv
// 2403.19887, section 3.2.

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
import {
  choiceOption,
  convOption,
  countOption,
  expandOption,
  flagOption,
  type KindSchema,
} from "./option_schema.js";
import { given, indivisible, isCount, nearestMultiple, numberOr, type RawOptions } from "./raw_options.js";
import {
  convolutionWindow,
  elementwise,
  outputBuffers,
  type Recurrence,
  recurrenceOperations,
} from "./recurrence.js";
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

export interface Mamba1Options {
  /** Inner channels d. */
  readonly width: number;
  readonly state: number;
  readonly conv: number;
  /** Rank r of the projection of dt. */
  readonly dtRank: number;
  /** RMSNorm of dt, B and C: none, plain (no weights) or weighted. */
  readonly parameterNorm: "none" | "plain" | "weighted";
  readonly bias: boolean;
  readonly convBias: boolean;
}

function resolve(raw: RawOptions, { hidden }: BlockContext): Mamba1Options {
  return {
    width: numberOr(raw, "width", numberOr(raw, "expand", 2) * hidden),
    state: numberOr(raw, "state", 16),
    conv: numberOr(raw, "conv", 4),
    dtRank: numberOr(raw, "dt_rank", Math.ceil(hidden / 16)),
    parameterNorm: (raw.parameter_norm as Mamba1Options["parameterNorm"] | undefined) ?? "none",
    bias: raw.bias === true,
    convBias: raw.conv_bias !== false,
  };
}

function check(o: Mamba1Options, { hidden }: BlockContext): readonly BlockIssue[] {
  if (isCount(o.width)) return [];
  return [
    {
      option: "expand",
      message: `Expected expand * hidden to be a whole number of channels, got ${o.width}`,
      help: [`choose another expand, or give width; hidden is ${hidden}`],
    },
  ];
}

/** Columns of x_proj: dt, B, C. */
const selected = (o: Mamba1Options): number => o.dtRank + 2 * o.state;

function parameters(o: Mamba1Options, context: BlockContext): readonly ParameterTensor[] {
  const { hidden } = context;
  const d = o.width;
  const normed = o.parameterNorm === "weighted";
  return [
    preNorm(context),
    matrix("mixer.in_proj.weight", 2 * d, hidden),
    ...vector("mixer.in_proj.bias", 2 * d, o.bias),
    ...convolution(d, o.conv, o.convBias),
    matrix("mixer.x_proj.weight", selected(o), d),
    matrix("mixer.dt_proj.weight", d, o.dtRank),
    ...vector("mixer.dt_proj.bias", d),
    { name: "mixer.A_log", shape: [d, o.state], decayed: false },
    ...vector("mixer.D", d),
    ...vector("mixer.dt_layernorm.weight", o.dtRank, normed),
    ...vector("mixer.b_layernorm.weight", o.state, normed),
    ...vector("mixer.c_layernorm.weight", o.state, normed),
    matrix("mixer.out_proj.weight", hidden, d),
    ...vector("mixer.out_proj.bias", hidden, o.bias),
  ];
}

// Per channel and state: dt A (1), a h (1), (dt x) B added (2), h C (2); per channel dt x (1), D x added (2).
const scanFlops = (o: Mamba1Options): number => 6 * o.width * o.state + 3 * o.width;
// Backward: dh (2), dC (2), d(dt x) (2), dB (2), da (1) through the exponent (1) to dt (2) and A (2), a dh (1).
const scanGradientFlops = (o: Mamba1Options): number => 15 * o.width * o.state + 7 * o.width;

function flops(o: Mamba1Options, { hidden }: BlockContext, work: Workload): LayerFlops {
  const tokens = work.batch * work.sequence;
  const d = o.width;
  const products = tokens * 2 * d * (3 * hidden + selected(o) + o.dtRank) + convolutionFlops(work, d, o.conv);
  return {
    forward: products + tokens * scanFlops(o),
    backward: 2 * products + tokens * scanGradientFlops(o),
  };
}

function recurrence(o: Mamba1Options): Recurrence {
  return {
    convChannels: o.width,
    taps: o.conv,
    stateElements: o.width * o.state,
    flopsPerToken: scanFlops(o),
    channels: 3 * o.width + 2 * o.state,
  };
}

function inference(
  o: Mamba1Options,
  { hidden }: BlockContext,
  pass: InferencePass,
): readonly LayerOperation[] {
  const rows = passTokens(pass);
  const d = o.width;
  const [conv, scan] = recurrenceOperations(recurrence(o), pass);
  return [
    inward(rows, hidden, 2 * d),
    conv!,
    product(rows, d, selected(o)),
    product(rows, o.dtRank, d),
    scan!,
    elementwise(pass, d, 2),
    outward(rows, d, hidden),
  ];
}

function rescale(raw: RawOptions, from: BlockContext, to: BlockContext): Record<string, unknown> {
  const scale = to.hidden / from.hidden;
  const scaled: Record<string, unknown> = { ...raw };
  if (given(raw, "width")) scaled.width = nearestMultiple(numberOr(raw, "width", 0) * scale, 8);
  if (given(raw, "dt_rank")) scaled.dt_rank = Math.max(1, Math.round(numberOr(raw, "dt_rank", 1) * scale));
  return scaled;
}

const schema: KindSchema = {
  title: "Mamba-1 options",
  description: "Mamba-1 layers (arXiv 2312.00752).",
  properties: {
    state: countOption("State", "State dimension N of every channel.", { maximum: 4096, default: 16 }),
    expand: { ...expandOption, description: "Inner width = expand x hidden." },
    width: countOption("Width", "Inner width, instead of expand.", { maximum: 1_048_576, example: 8192 }),
    conv: convOption,
    dt_rank: countOption("Rank of dt", "Rank of the projection of dt. Default: hidden / 16, rounded up.", {
      example: 256,
    }),
    parameter_norm: choiceOption(
      "Norm of dt, B and C",
      "RMSNorm of dt, B and C: none, plain (without weights: Falcon-Mamba) or weighted (Jamba).",
      ["none", "plain", "weighted"],
    ),
    bias: flagOption("Bias", "true: the projections in and out have a bias."),
    conv_bias: flagOption("Convolution bias", "true: the convolution has a bias.", true),
  },
  examples: [{ state: 16, expand: 2, conv: 4 }],
};

/** The Mamba-1 layer kind. */
export const mamba1: Block<Mamba1Options> = {
  kind: "mamba1",
  symbol: "1",
  title: "Mamba-1",
  source: "arXiv 2312.00752, section 3",
  role: "recurrent",
  schema,
  resolve,
  check,
  notes: () => [],
  parameters,
  flops,
  trainingBuffers: (o, _, work) =>
    outputBuffers([2 * o.width, o.width, selected(o), o.width, o.width, o.width], o.width * o.state, work),
  kvElementsPerToken: () => 0,
  stateElementsPerSequence: (o) => o.width * o.state + convolutionWindow(recurrence(o)),
  recurrentElementsPerSequence: (o) => o.width * o.state,
  shard: (o, ranks) => indivisible("channels of mamba1", o.width, ranks) ?? { ...o, width: o.width / ranks },
  inference,
  widthOptions: ["expand", "width", "dt_rank"],
  rescale,
};
