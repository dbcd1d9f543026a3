// The recurrent block of Griffin and RecurrentGemma: two projections to `width` channels, one through a causal
// convolution and the RG-LRU, h <- a h + sqrt(1 - a^2) (i x), the other through GeLU as its gate; then back. The
// gates a and i come from block-diagonal matrices, one block per head. Every projection has a bias. Source: arXiv
// 2402.19427, section 2.4.

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
import { given, indivisible, largestDivisor, numberOr, type RawOptions } from "./raw_options.js";
import {
  convolutionWindow,
  elementwise,
  outputBuffers,
  type Recurrence,
  recurrenceOperations,
} from "./recurrence.js";
import { convolution, convolutionFlops, inward, matrix, outward, preNorm, vector } from "./tensors.js";

export interface RgLruOptions {
  readonly width: number;
  /** Blocks of the gates' matrices. */
  readonly heads: number;
  readonly conv: number;
}

function resolve(raw: RawOptions, { hidden }: BlockContext): RgLruOptions {
  const width = numberOr(raw, "width", hidden);
  return {
    width,
    heads: numberOr(raw, "heads", largestDivisor(width, Math.max(1, Math.round(width / 256)))),
    conv: numberOr(raw, "conv", 4),
  };
}

function check(o: RgLruOptions): readonly BlockIssue[] {
  if (o.width % o.heads === 0) return [];
  return [
    {
      option: "heads",
      message: `Expected heads to divide the ${o.width} channels of the recurrence, got ${o.heads}`,
      help: [`set heads to ${largestDivisor(o.width, o.heads)}`],
    },
  ];
}

const block = (o: RgLruOptions): number => o.width / o.heads;

function parameters(o: RgLruOptions, context: BlockContext): readonly ParameterTensor[] {
  const { hidden } = context;
  const gate = (name: string): readonly ParameterTensor[] => [
    { name: `mixer.rg_lru.${name}_gate_weight`, shape: [o.heads, block(o), block(o)], decayed: true },
    { name: `mixer.rg_lru.${name}_gate_bias`, shape: [o.heads, block(o)], decayed: false },
  ];
  return [
    preNorm(context),
    ...["linear_y", "linear_x"].flatMap((name) => [
      matrix(`mixer.${name}.weight`, o.width, hidden),
      ...vector(`mixer.${name}.bias`, o.width),
    ]),
    ...convolution(o.width, o.conv, true),
    ...vector("mixer.rg_lru.recurrent_param", o.width),
    ...gate("input"),
    ...gate("recurrent"),
    matrix("mixer.linear_out.weight", hidden, o.width),
    ...vector("mixer.linear_out.bias", hidden),
  ];
}

// The recurrence per channel: a h, the input scaled and added; backward da, dh, and the input's two gradients.
const lruFlops = (o: RgLruOptions): number => 3 * o.width;
const lruGradientFlops = (o: RgLruOptions): number => 5 * o.width;

function flops(o: RgLruOptions, { hidden }: BlockContext, work: Workload): LayerFlops {
  const tokens = work.batch * work.sequence;
  const projections = tokens * 2 * o.width * (3 * hidden + 2 * block(o));
  const products = projections + convolutionFlops(work, o.width, o.conv);
  return {
    forward: products + tokens * lruFlops(o),
    backward: 2 * products + tokens * lruGradientFlops(o),
  };
}

function recurrence(o: RgLruOptions): Recurrence {
  return {
    convChannels: o.width,
    taps: o.conv,
    stateElements: o.width,
    flopsPerToken: lruFlops(o),
    channels: 4 * o.width,
  };
}

function inference(
  o: RgLruOptions,
  { hidden }: BlockContext,
  pass: InferencePass,
): readonly LayerOperation[] {
  const rows = passTokens(pass);
  const [conv, scan] = recurrenceOperations(recurrence(o), pass);
  // A block-diagonal matrix reads every block once; a row visits all of them.
  const gate: LayerOperation = {
    operation: { kind: "expert_linear", rows: rows * o.heads, experts: o.heads, in: block(o), out: block(o) },
    times: 2,
  };
  return [
    inward(rows, hidden, 2 * o.width),
    conv!,
    gate,
    scan!,
    elementwise(pass, o.width, 2),
    outward(rows, o.width, hidden),
  ];
}

function rescale(raw: RawOptions, from: BlockContext, to: BlockContext): Record<string, unknown> {
  const old = resolve(raw, from);
  const heads = Math.max(1, Math.round((old.heads * to.hidden) / from.hidden));
  if (!given(raw, "width") && to.hidden % heads === 0) return { ...raw, heads };
  const width = (old.width * to.hidden) / from.hidden;
  return { ...raw, heads, width: heads * Math.max(1, Math.round(width / heads)) };
}

const schema: KindSchema = {
  title: "RG-LRU options",
  description: "Recurrent blocks of Griffin and RecurrentGemma (arXiv 2402.19427).",
  properties: {
    width: countOption("Width", "Channels of the recurrence. Default: hidden.", {
      maximum: 1_048_576,
      example: 2560,
    }),
    heads: countOption(
      "Heads",
      "Blocks of the gates' block-diagonal matrices; must divide width. Default: width / 256.",
      { example: 10 },
    ),
    conv: convOption,
  },
  examples: [{ width: 2560, heads: 10, conv: 4 }],
};

/** The RG-LRU layer kind. */
export const rgLru: Block<RgLruOptions> = {
  kind: "rg_lru",
  symbol: "R",
  title: "RG-LRU",
  source: "arXiv 2402.19427, section 2.4",
  role: "recurrent",
  schema,
  resolve,
  check,
  notes: () => [],
  parameters,
  flops,
  trainingBuffers: (o, _, work) =>
    outputBuffers([2 * o.width, o.width, 2 * o.width, o.width, o.width], o.width, work),
  kvElementsPerToken: () => 0,
  stateElementsPerSequence: (o) => o.width + convolutionWindow(recurrence(o)),
  recurrentElementsPerSequence: (o) => o.width,
  shard: (o, ranks) =>
    indivisible("heads of rg_lru", o.heads, ranks) ?? {
      ...o,
      heads: o.heads / ranks,
      width: o.width / ranks,
    },
  inference,
  widthOptions: ["width", "heads"],
  rescale,
};
