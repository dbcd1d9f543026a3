// The feed-forward layer: hidden -> width, activation, width -> hidden; gated: act(gate x) * (up x) in the
// middle. Biases are an option. Sources: arXiv 1706.03762 section 3.3; gated: arXiv 2002.05202; squared ReLU: arXiv
// 2109.08668.

import type {
  Block,
  BlockContext,
  InferencePass,
  LayerFlops,
  LayerOperation,
  ParameterTensor,
  TrainingBuffers,
  Workload,
} from "./block.js";
import { passTokens } from "./block.js";
import {
  choiceOption,
  countOption,
  flagOption,
  type KindSchema,
  type OptionSchema,
  widestLayer,
} from "./option_schema.js";
import { given, indivisible, nearestMultiple, numberOr, type RawOptions } from "./raw_options.js";
import { matrix, outward, preNorm, vector } from "./tensors.js";

export type MlpActivation = "gelu" | "gelu_erf" | "relu2" | "silu";

export interface MlpOptions {
  readonly width: number;
  /** "gelu" is the tanh form. */
  readonly activation: MlpActivation;
  readonly gated: boolean;
  readonly bias: boolean;
}

/**
 * Megatron's widths: 4 hidden, or two thirds of that in steps of 64 when gated (so that both have as many
 * parameters).
 */
function defaultWidth(hidden: number, gated: boolean): number {
  return gated ? Math.max(64, Math.trunc((8 * hidden) / 3 / 64) * 64) : 4 * hidden;
}

function resolve(raw: RawOptions, { hidden }: BlockContext): MlpOptions {
  const gated = raw.gated === true;
  return {
    width: numberOr(raw, "width", defaultWidth(hidden, gated)),
    activation: (raw.activation as MlpActivation | undefined) ?? "gelu",
    gated,
    bias: raw.bias === true,
  };
}

function parameters(o: MlpOptions, context: BlockContext): readonly ParameterTensor[] {
  const { hidden } = context;
  const into = (name: string): readonly ParameterTensor[] => [
    { ...matrix(`mixer.${name}_proj.weight`, o.width, hidden), fused: "gate_up" },
    ...vector(`mixer.${name}_proj.bias`, o.width, o.bias),
  ];
  return [
    preNorm(context),
    ...(o.gated ? into("gate") : []),
    ...into("up"),
    matrix("mixer.down_proj.weight", hidden, o.width),
    ...vector("mixer.down_proj.bias", hidden, o.bias),
  ];
}

function flops(o: MlpOptions, { hidden }: BlockContext, { batch, sequence }: Workload): LayerFlops {
  const forward = batch * sequence * 2 * hidden * o.width * (o.gated ? 3 : 2);
  return { forward, backward: 2 * forward };
}

// mlp_layer_flops of Megatron's training.py (main), operation for operation; gated counts as its swiglu flag
// does.
function megatronForwardFlops(o: MlpOptions, { hidden }: BlockContext, work: Workload): number {
  const tokens = Number(BigInt(work.batch) * BigInt(work.sequence));
  return 4 * (o.width / hidden) * (o.gated ? 3 / 2 : 1) * tokens * Number(BigInt(hidden) ** 2n);
}

/**
 * Whether the backward pass needs the activation's input beside its output. That of relu2 without a gate does not: its
 * slope is twice the root of its output. keeps_input of kernels/backend.h.
 */
export function keepsInput({ activation, gated }: Pick<MlpOptions, "activation" | "gated">): boolean {
  return gated || activation !== "relu2";
}

// Saved: the up output (gate beside it) where it is needed, and the activation's output. Transient: the gradient of the first.
function trainingBuffers(o: MlpOptions, _: BlockContext, { batch, sequence }: Workload): TrainingBuffers {
  const rows = batch * sequence;
  const up = rows * o.width * (o.gated ? 2 : 1);
  const kept = keepsInput(o) ? [up] : [];
  return { savedActivations: [...kept, rows * o.width], savedStatistics: [], transient: [up], workspace: 0 };
}

function rescale(raw: RawOptions, from: BlockContext, to: BlockContext): Record<string, unknown> {
  if (!given(raw, "width")) return { ...raw };
  return { ...raw, width: nearestMultiple((numberOr(raw, "width", 0) * to.hidden) / from.hidden, 8) };
}

function inference(o: MlpOptions, { hidden }: BlockContext, pass: InferencePass): readonly LayerOperation[] {
  const rows = passTokens(pass);
  const { width, activation, gated } = o;
  return [
    { operation: { kind: "mlp_up", rows, hidden, width, activation, gated } },
    outward(rows, width, hidden),
  ];
}

/** The activation of a feed-forward layer. */
export const activationOption: OptionSchema = choiceOption(
  "Activation",
  "gelu (tanh form), gelu_erf (exact form), relu2 (squared ReLU) or silu.",
  ["gelu", "gelu_erf", "relu2", "silu"],
  "relu2",
);

const schema: KindSchema = {
  title: "MLP options",
  description: "Feed-forward layers.",
  properties: {
    width: countOption(
      "Width",
      "Inner width. Default: 4 x hidden; gated: two thirds of that, in steps of 64.",
      { maximum: widestLayer, example: 16_384 },
    ),
    activation: activationOption,
    gated: flagOption("Gated", "true: a third matrix gates the inner activations (with silu: SwiGLU)."),
    bias: flagOption("Bias", "true: every matrix has a bias."),
  },
  examples: [{ width: 16_384, activation: "gelu", gated: false }],
};

/** The feed-forward layer kind. */
export const mlp: Block<MlpOptions> = {
  kind: "mlp",
  symbol: "-",
  title: "MLP",
  source: "arXiv 1706.03762, section 3.3; gated: arXiv 2002.05202",
  role: "feed_forward",
  schema,
  resolve,
  check: () => [],
  notes: () => [],
  parameters,
  flops,
  megatron: { order: 2, forwardFlops: megatronForwardFlops },
  trainingBuffers,
  kvElementsPerToken: () => 0,
  stateElementsPerSequence: () => 0,
  recurrentElementsPerSequence: () => 0,
  shard: (o, ranks) => indivisible("channels of mlp", o.width, ranks) ?? { ...o, width: o.width / ranks },
  inference,
  widthOptions: ["width"],
  rescale,
  toNative: ({ width, activation, gated }) => ({ kind: "mlp", width, activation, gated }),
  nativeGap: (o) => (o.bias ? "biases" : undefined),
};
