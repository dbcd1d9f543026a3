// Mixture of experts: a router picks top_k of `experts` feed-forward networks for every token; shared experts see
// every token. Options of published models: gated experts, a gate on the shared expert (Qwen3-Next), experts that work
// in a narrower latent space (Nemotron-3). What balances the load (the router's correction bias) is a buffer there, not
// a parameter. Sources: arXiv 1701.06538; shared experts: arXiv 2401.06066; latent: arXiv 2601.18089.

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
import { activationOption, keepsInput, type MlpActivation } from "./mlp.js";
import { countOption, flagOption, type KindSchema, widestLayer } from "./option_schema.js";
import { given, indivisible, nearestMultiple, numberOr, type RawOptions } from "./raw_options.js";
import { outputBuffers } from "./recurrence.js";
import { matrix, outward, preNorm, product, vector } from "./tensors.js";

export interface MoeOptions {
  readonly experts: number;
  /** Experts that a token visits. */
  readonly topK: number;
  /** Inner width of one expert. */
  readonly width: number;
  /** Inner width of the shared experts together; 0 = none. */
  readonly sharedWidth: number;
  readonly sharedGate: boolean;
  /** Width in which experts work; 0 = the hidden width. */
  readonly latent: number;
  readonly activation: MlpActivation;
  readonly gated: boolean;
  readonly routerBias: boolean;
}

function resolve(raw: RawOptions, { hidden }: BlockContext): MoeOptions {
  const experts = numberOr(raw, "experts", 8);
  return {
    experts,
    topK: numberOr(raw, "top_k", Math.min(2, experts)),
    width: numberOr(raw, "width", 4 * hidden),
    sharedWidth: numberOr(raw, "shared_width", 0),
    sharedGate: raw.shared_gate === true,
    latent: numberOr(raw, "latent", 0),
    activation: (raw.activation as MlpActivation | undefined) ?? "gelu",
    gated: raw.gated === true,
    routerBias: raw.router_bias === true,
  };
}

function check(o: MoeOptions): readonly BlockIssue[] {
  const issues: BlockIssue[] = [];
  if (o.topK > o.experts) {
    issues.push({
      option: "top_k",
      message: `Expected a token to visit at most the ${o.experts} experts there are, got ${o.topK}`,
      help: [`set top_k to ${o.experts} at most`],
    });
  }
  if (o.sharedGate && o.sharedWidth === 0) {
    issues.push({
      option: "shared_gate",
      message: "Expected shared experts for the gate on them, got none",
      help: ["give shared_width, or remove shared_gate"],
    });
  }
  return issues;
}

/** Width that the experts read and write. */
const outer = (o: MoeOptions, hidden: number): number => (o.latent === 0 ? hidden : o.latent);
/** Columns of the first matrix over the inner width. */
const columns = (o: MoeOptions): number => (o.gated ? 2 : 1);

function parameters(o: MoeOptions, context: BlockContext): readonly ParameterTensor[] {
  const { hidden } = context;
  const l = outer(o, hidden);
  const expert = (name: string, out: number, from: number): ParameterTensor => ({
    name: `mixer.experts.${name}`,
    shape: [o.experts, out, from],
    decayed: true,
    visited: o.topK,
  });
  const shared = o.sharedWidth > 0;
  return [
    preNorm(context),
    matrix("mixer.gate.weight", o.experts, hidden),
    ...vector("mixer.gate.bias", o.experts, o.routerBias),
    ...(o.latent === 0
      ? []
      : [
          matrix("mixer.fc1_latent_proj.weight", l, hidden),
          matrix("mixer.fc2_latent_proj.weight", hidden, l),
        ]),
    expert(o.gated ? "gate_up_proj" : "up_proj", columns(o) * o.width, l),
    expert("down_proj", l, o.width),
    ...(shared
      ? [
          matrix("mixer.shared_experts.up_proj.weight", columns(o) * o.sharedWidth, hidden),
          matrix("mixer.shared_experts.down_proj.weight", hidden, o.sharedWidth),
        ]
      : []),
    ...(o.sharedGate ? [matrix("mixer.shared_expert_gate.weight", 1, hidden)] : []),
  ];
}

function flops(o: MoeOptions, { hidden }: BlockContext, { batch, sequence }: Workload): LayerFlops {
  const l = outer(o, hidden);
  const matrices = columns(o) + 1;
  const perToken =
    hidden * (o.experts + (o.sharedGate ? 1 : 0)) +
    (o.latent === 0 ? 0 : 2 * hidden * l) +
    matrices * (o.topK * l * o.width + hidden * o.sharedWidth);
  const forward = 2 * batch * sequence * perToken;
  return { forward, backward: 2 * forward };
}

// moe_layer_flops of Megatron's training.py (main): the router is not counted, gated experts count as swiglu's.
function megatronForwardFlops(o: MoeOptions, context: BlockContext, work: Workload): number | bigint {
  const tokens = BigInt(work.batch) * BigInt(work.sequence);
  const hidden = BigInt(context.hidden);
  const l = BigInt(outer(o, context.hidden));
  const products = 4n * tokens * (l * BigInt(o.width * o.topK) + hidden * BigInt(o.sharedWidth));
  const through = o.latent === 0 ? 0n : 4n * tokens * hidden * l;
  return o.gated ? Number(products) * (3 / 2) + Number(through) : products + through;
}

/** Experts that `tokens` tokens visit together, each visiting `topK` at random: the expectation. */
export function visitedExperts(experts: number, topK: number, tokens: number): number {
  return experts * (1 - (1 - topK / experts) ** tokens);
}

function inference(o: MoeOptions, { hidden }: BlockContext, pass: InferencePass): readonly LayerOperation[] {
  const rows = passTokens(pass);
  const l = outer(o, hidden);
  const pairs = rows * o.topK;
  const visited = visitedExperts(o.experts, o.topK, rows);
  const experts = (from: number, to: number) =>
    ({ kind: "expert_linear", rows: pairs, experts: visited, in: from, out: to }) as const;
  const { sharedWidth: width, activation, gated } = o;
  return [
    { operation: { kind: "rms_norm", rows, cols: hidden } },
    product(rows, hidden, o.experts + (o.sharedGate ? 1 : 0)), // the router, and the gate beside it
    ...(o.latent === 0 ? [] : [product(rows, hidden, l)]),
    { operation: experts(l, columns(o) * o.width) },
    { operation: experts(o.width, l), ...(o.latent === 0 ? { partial: true } : {}) },
    ...(o.latent === 0 ? [] : [outward(rows, l, hidden)]),
    ...(width === 0
      ? []
      : [
          { operation: { kind: "mlp_up", rows, hidden, width, activation, gated } } as const,
          product(rows, width, hidden),
        ]),
  ];
}

function shard(o: MoeOptions, ranks: number): MoeOptions | string {
  return (
    indivisible("channels of an expert", o.width, ranks) ??
    indivisible("channels of the shared experts", o.sharedWidth, ranks) ?? {
      ...o,
      width: o.width / ranks,
      sharedWidth: o.sharedWidth / ranks,
    }
  );
}

function rescale(raw: RawOptions, from: BlockContext, to: BlockContext): Record<string, unknown> {
  const scale = to.hidden / from.hidden;
  const scaled: Record<string, unknown> = { ...raw };
  for (const key of ["width", "shared_width", "latent"]) {
    if (given(raw, key)) scaled[key] = nearestMultiple(numberOr(raw, key, 0) * scale, 8);
  }
  return scaled;
}

const schema: KindSchema = {
  title: "Mixture of experts options",
  description: "Mixtures of feed-forward experts; a token visits a few of them.",
  properties: {
    experts: countOption("Experts", "Routed experts.", { default: 8, example: 128 }),
    top_k: countOption("Experts per token", "Routed experts that a token visits.", { default: 2 }),
    width: countOption("Width", "Inner width of one expert. Default: 4 x hidden.", {
      maximum: widestLayer,
      example: 1856,
    }),
    shared_width: countOption(
      "Width of shared experts",
      "Inner width of the experts that every token visits, all together. Default: none.",
      { maximum: widestLayer, example: 3712 },
    ),
    shared_gate: flagOption("Gate of shared experts", "true: a sigmoid gate on the shared experts."),
    latent: countOption(
      "Latent width",
      "Width in which routed experts work, between two projections. Default: the hidden width.",
      { maximum: 1_048_576, example: 1024 },
    ),
    activation: activationOption,
    gated: flagOption("Gated", "true: experts have a third matrix as gate (with silu: SwiGLU)."),
    router_bias: flagOption(
      "Router bias",
      "true: the router has a trained bias. Biases that only balance the load are no parameters.",
    ),
  },
  examples: [{ experts: 128, top_k: 6, width: 1856, shared_width: 3712, activation: "relu2" }],
};

/** The mixture of experts layer kind. */
export const moe: Block<MoeOptions> = {
  kind: "moe",
  symbol: "E",
  title: "mixture of experts",
  source: "arXiv 1701.06538; shared experts: arXiv 2401.06066",
  role: "feed_forward",
  schema,
  resolve,
  check,
  notes: () => [],
  parameters,
  flops,
  megatron: { order: 4, forwardFlops: megatronForwardFlops },
  trainingBuffers: (o, { hidden }, work) => {
    const saved = keepsInput(o) ? columns(o) + 1 : 1;
    const routed = o.topK * saved * o.width;
    const shared = saved * o.sharedWidth;
    const latent = o.latent === 0 ? 0 : 2 * o.latent;
    return outputBuffers([o.experts, latent, routed, shared, o.topK * outer(o, hidden)], 0, work);
  },
  kvElementsPerToken: () => 0,
  stateElementsPerSequence: () => 0,
  recurrentElementsPerSequence: () => 0,
  shard,
  inference,
  widthOptions: ["width", "shared_width", "latent"],
  rescale,
};
