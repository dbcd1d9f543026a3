// The feed-forward layer: hidden -> width, activation, width -> hidden; gated: act(gate x) * (up x) in the
// middle. No biases. Sources: arXiv 1706.03762 section 3.3; gated: arXiv 2002.05202; squared ReLU: arXiv
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
import { given, indivisible, nearestMultiple, numberOr, type RawOptions } from "./raw_options.js";

export type MlpActivation = "gelu" | "gelu_erf" | "relu2" | "silu";

export interface MlpOptions {
  readonly width: number;
  /** "gelu" is the tanh form. */
  readonly activation: MlpActivation;
  readonly gated: boolean;
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
  };
}

function parameters(o: MlpOptions, { hidden }: BlockContext): readonly ParameterTensor[] {
  const inward = (name: string): ParameterTensor => ({
    name: `mixer.${name}_proj.weight`,
    shape: [o.width, hidden],
    decayed: true,
    fused: "gate_up",
  });
  return [
    { name: "norm.weight", shape: [hidden], decayed: false },
    ...(o.gated ? [inward("gate")] : []),
    inward("up"),
    { name: "mixer.down_proj.weight", shape: [hidden, o.width], decayed: true },
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

// Saved: the up output (gate beside it) and the activation's output. Transient: the gradient of the first.
function trainingBuffers(o: MlpOptions, _: BlockContext, { batch, sequence }: Workload): TrainingBuffers {
  const rows = batch * sequence;
  const up = rows * o.width * (o.gated ? 2 : 1);
  return { savedActivations: [up, rows * o.width], savedStatistics: [], transient: [up], workspace: 0 };
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
    { operation: { kind: "linear", rows, in: width, out: hidden }, partial: true },
  ];
}

/** The feed-forward layer kind. */
export const mlp: Block<MlpOptions> = {
  kind: "mlp",
  symbol: "-",
  title: "MLP",
  source: "arXiv 1706.03762, section 3.3; gated: arXiv 2002.05202",
  resolve,
  check: () => [],
  notes: () => [],
  parameters,
  flops,
  megatronForwardFlops,
  trainingBuffers,
  kvElementsPerToken: () => 0,
  stateElementsPerSequence: () => 0,
  recurrentElementsPerSequence: () => 0,
  shard: (o, ranks) => indivisible("channels of mlp", o.width, ranks) ?? { ...o, width: o.width / ranks },
  inference,
  widthOptions: ["width"],
  rescale,
  toNative: (o) => ({ kind: "mlp", ...o }),
};
