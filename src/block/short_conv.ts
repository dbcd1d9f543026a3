// Gated short convolution of LFM2: one projection gives B, C and x; y = C * conv(B * x); a projection back. The
// state is what the convolution looks back at. Source: LFM2 technical report, arXiv 2511.23404, section 2;
// parameters as transformers' Lfm2 holds them.

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
import { countOption, flagOption, type KindSchema } from "./option_schema.js";
import { given, indivisible, nearestMultiple, numberOr, type RawOptions } from "./raw_options.js";
import { elementwise, outputBuffers } from "./recurrence.js";
import { convolution, convolutionFlops, inward, matrix, outward, preNorm, vector } from "./tensors.js";

export interface ShortConvOptions {
  readonly width: number;
  readonly conv: number;
  readonly bias: boolean;
}

function resolve(raw: RawOptions, { hidden }: BlockContext): ShortConvOptions {
  return {
    width: numberOr(raw, "width", hidden),
    conv: numberOr(raw, "conv", 3),
    bias: raw.bias === true,
  };
}

function parameters(o: ShortConvOptions, context: BlockContext): readonly ParameterTensor[] {
  const { hidden } = context;
  return [
    preNorm(context),
    matrix("mixer.in_proj.weight", 3 * o.width, hidden),
    ...vector("mixer.in_proj.bias", 3 * o.width, o.bias),
    ...convolution(o.width, o.conv, o.bias),
    matrix("mixer.out_proj.weight", hidden, o.width),
    ...vector("mixer.out_proj.bias", hidden, o.bias),
  ];
}

function flops(o: ShortConvOptions, { hidden }: BlockContext, work: Workload): LayerFlops {
  const projections = work.batch * work.sequence * 2 * hidden * 4 * o.width;
  const forward = projections + convolutionFlops(work, o.width, o.conv);
  return { forward, backward: 2 * forward };
}

function inference(
  o: ShortConvOptions,
  { hidden }: BlockContext,
  pass: InferencePass,
): readonly LayerOperation[] {
  const rows = passTokens(pass);
  const conv = { batch: pass.batch, channels: o.width, width: o.conv };
  return [
    inward(rows, hidden, 3 * o.width),
    elementwise(pass, o.width, 2),
    {
      operation:
        pass.phase === "prefill"
          ? { kind: "conv_prefill", ...conv, time: pass.time }
          : { kind: "conv_step", ...conv },
    },
    elementwise(pass, o.width, 2),
    outward(rows, o.width, hidden),
  ];
}

function rescale(raw: RawOptions, from: BlockContext, to: BlockContext): Record<string, unknown> {
  if (!given(raw, "width")) return { ...raw };
  return { ...raw, width: nearestMultiple((numberOr(raw, "width", 0) * to.hidden) / from.hidden, 8) };
}

const schema: KindSchema = {
  title: "Short convolution options",
  description: "Gated short convolutions of LFM2 (arXiv 2511.23404).",
  properties: {
    width: countOption("Width", "Channels of the convolution. Default: hidden.", {
      maximum: 1_048_576,
      example: 2048,
    }),
    conv: countOption("Convolution", "Taps of the causal convolution.", { maximum: 64, default: 3 }),
    bias: flagOption("Bias", "true: projections and convolution have a bias."),
  },
  examples: [{ conv: 3 }],
};

/** The gated short convolution layer kind. */
export const shortConv: Block<ShortConvOptions> = {
  kind: "short_conv",
  symbol: "S",
  title: "gated short convolution",
  source: "arXiv 2511.23404, section 2",
  role: "recurrent",
  schema,
  resolve,
  check: () => [],
  notes: () => [],
  parameters,
  flops,
  trainingBuffers: (o, _, work) => outputBuffers([3 * o.width, o.width, o.width, o.width], 0, work),
  kvElementsPerToken: () => 0,
  stateElementsPerSequence: (o) => o.width * (o.conv - 1),
  recurrentElementsPerSequence: () => 0,
  shard: (o, ranks) =>
    indivisible("channels of short_conv", o.width, ranks) ?? { ...o, width: o.width / ranks },
  inference,
  widthOptions: ["width"],
  rescale,
};
