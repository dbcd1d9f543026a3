// Causal softmax attention with grouped queries: q, k, v projections, optional RoPE, softmax(q k' /
// sqrt(head_dim)) v, o projection. heads * head_dim may differ from the hidden width. Options of published
// hybrids: a sliding window, a sigmoid gate on the output (Qwen3-Next: q_proj is twice as wide), RMSNorm of q and
// k (one weight per head's channel, or one per channel of all heads), biases. Sources:
// arXiv 1706.03762 (attention), 2305.13245 (grouped queries), 2104.09864 (RoPE, "rotate half" convention).

import type {
  Block,
  BlockContext,
  BlockIssue,
  InferencePass,
  LayerFlops,
  LayerOperation,
  ParameterTensor,
  TrainingBuffers,
  Workload,
} from "./block.js";
import { passTokens } from "./block.js";
import { gpuAttentionWorkspace } from "./gpu_workspace.js";
import { causalPairs } from "./operations.js";
import { choiceOption, countOption, flagOption, type KindSchema, positionOption } from "./option_schema.js";
import {
  given,
  indivisible,
  isCount,
  largestDivisor,
  numberOr,
  type RawOptions,
  scaledHeads,
} from "./raw_options.js";
import { inward, matrix, outward, preNorm, vector } from "./tensors.js";

export interface AttentionOptions {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** Channels of each head that are rotated; 0 = no position embedding. */
  readonly rotaryDim: number;
  readonly ropeTheta: number;
  /** Keys that a query sees at most, its own included; 0 = all. */
  readonly window: number;
  /** The output is multiplied by a sigmoid gate of its own projection. */
  readonly gated: boolean;
  readonly qkNorm: "none" | "head" | "all";
  readonly qkvBias: boolean;
  readonly outputBias: boolean;
}

/**
 * Head dimension when neither heads nor head_dim is given: the largest power of two up to 128 that leaves
 * four heads.
 */
function defaultHeadDim(hidden: number): number {
  for (let dim = 128; dim > 1; dim /= 2) {
    if (hidden % dim === 0 && hidden / dim >= 4) return dim;
  }
  return hidden;
}

/** RoPE of a position option, for heads of `headDim` channels. */
function positionOf(raw: RawOptions, headDim: number): Pick<AttentionOptions, "rotaryDim" | "ropeTheta"> {
  const position = raw.position;
  const rope: RawOptions =
    typeof position === "object" && position !== null
      ? (position as RawOptions)
      : { kind: position ?? "none" };
  const rotated = rope.kind === "rope" ? Math.floor(headDim * numberOr(rope, "fraction", 1)) : 0;
  return { rotaryDim: rotated, ropeTheta: numberOr(rope, "theta", 10_000) };
}

function resolve(raw: RawOptions, context: BlockContext): AttentionOptions {
  const headDim = given(raw, "head_dim")
    ? numberOr(raw, "head_dim", 0)
    : given(raw, "heads")
      ? context.hidden / numberOr(raw, "heads", 1)
      : defaultHeadDim(context.hidden);
  const heads = numberOr(raw, "heads", context.hidden / headDim);
  return {
    heads,
    kvHeads: numberOr(raw, "kv_heads", heads),
    headDim,
    ...positionOf(raw, headDim),
    window: numberOr(raw, "window", 0),
    gated: raw.gated === true,
    qkNorm: (raw.qk_norm as AttentionOptions["qkNorm"] | undefined) ?? "none",
    qkvBias: raw.qkv_bias === true,
    outputBias: raw.output_bias === true,
  };
}

function check(o: AttentionOptions, context: BlockContext): readonly BlockIssue[] {
  if (!isCount(o.headDim)) {
    return [
      {
        option: "heads",
        message: `Expected heads to divide the hidden width ${context.hidden}, got ${o.heads}`,
        help: [`set heads to ${largestDivisor(context.hidden, o.heads)}, or give head_dim too`],
      },
    ];
  }
  if (!isCount(o.heads)) {
    return [
      {
        option: "head_dim",
        message: `Expected head_dim to divide the hidden width ${context.hidden}, got ${o.headDim}`,
        help: [`set head_dim to ${largestDivisor(context.hidden, o.headDim)}, or give heads too`],
      },
    ];
  }
  const issues: BlockIssue[] = [];
  if (o.heads % o.kvHeads !== 0) {
    issues.push({
      option: "kv_heads",
      message: `Expected kv_heads to divide the ${o.heads} heads, got ${o.kvHeads}`,
      help: [`set kv_heads to ${largestDivisor(o.heads, o.kvHeads)}`],
    });
  }
  if (o.rotaryDim % 2 !== 0) {
    issues.push({
      option: "position",
      message: `Expected RoPE to rotate an even number of the ${o.headDim} channels of a head, got ${o.rotaryDim}`,
      help: ["choose a fraction that gives an even number, such as 0.5 or 1"],
    });
  }
  return issues;
}

/** Columns of the projection in: queries (twice with a gate), keys, values. */
const packedWidth = (o: AttentionOptions): number =>
  ((o.gated ? 2 : 1) * o.heads + 2 * o.kvHeads) * o.headDim;

function parameters(o: AttentionOptions, context: BlockContext): readonly ParameterTensor[] {
  const { hidden } = context;
  const queries = o.heads * o.headDim;
  const keys = o.kvHeads * o.headDim;
  const rows = { q: o.gated ? 2 * queries : queries, k: keys, v: keys };
  const normed = o.qkNorm === "head" ? { q: o.headDim, k: o.headDim } : { q: queries, k: keys };
  return [
    preNorm(context),
    ...Object.entries(rows).flatMap(([name, out]) => [
      { ...matrix(`mixer.${name}_proj.weight`, out, hidden), fused: "qkv" },
      ...vector(`mixer.${name}_proj.bias`, out, o.qkvBias),
    ]),
    ...vector("mixer.q_norm.weight", normed.q, o.qkNorm !== "none"),
    ...vector("mixer.k_norm.weight", normed.k, o.qkNorm !== "none"),
    matrix("mixer.o_proj.weight", hidden, queries),
    ...vector("mixer.o_proj.bias", hidden, o.outputBias),
  ];
}

// Projections, and q k' and p v over the pairs that the causal mask and the window leave.
function flops(o: AttentionOptions, { hidden }: BlockContext, { batch, sequence }: Workload): LayerFlops {
  const queries = o.heads * o.headDim;
  const projections = batch * sequence * 2 * hidden * (packedWidth(o) + queries);
  const pairs = batch * causalPairs(sequence, o.window === 0 ? sequence : o.window);
  const forward = projections + pairs * 4 * queries;
  return { forward, backward: 2 * forward };
}

// attn_layer_flops of Megatron's training.py (main), operation for operation; windows and gates are not counted.
function megatronForwardFlops(o: AttentionOptions, { hidden }: BlockContext, work: Workload): number {
  const tokens = BigInt(work.batch) * BigInt(work.sequence);
  const squared = tokens * BigInt(work.sequence);
  const p = (o.headDim * o.heads) / hidden;
  const projections = Number(4n * tokens * BigInt(hidden)) * p * (hidden + hidden * (o.kvHeads / o.heads));
  return projections + Number(2n * squared * BigInt(hidden)) * p;
}

// Saved: packed q, k, v; the output; the log of the softmax denominator. Transient: the gradients of the
// first two.
function trainingBuffers(
  o: AttentionOptions,
  _: BlockContext,
  { batch, sequence }: Workload,
): TrainingBuffers {
  const queries = batch * sequence * o.heads * o.headDim;
  const packed = batch * sequence * packedWidth(o);
  return {
    savedActivations: [packed, queries],
    savedStatistics: [batch * o.heads * sequence],
    gpuWorkspace: gpuAttentionWorkspace(batch, sequence, o),
    transient: [queries, packed],
    workspace: 0,
  };
}

function rescale(raw: RawOptions, from: BlockContext, to: BlockContext): Record<string, unknown> {
  const old = resolve(raw, from);
  const scaled = scaledHeads(old.heads, old.headDim, to.hidden / from.hidden);
  const queriesPerKey = old.heads / old.kvHeads;
  const kvHeads = Math.max(1, Math.round(scaled.heads / queriesPerKey));
  const heads = kvHeads * Math.max(1, Math.min(queriesPerKey, Math.round(scaled.heads / kvHeads)));
  return { ...raw, heads, kv_heads: kvHeads, head_dim: scaled.headDim };
}

// Where there are fewer key heads than devices, each key head is held by several of them.
function shard(o: AttentionOptions, ranks: number): AttentionOptions | string {
  const shared = Math.min(o.kvHeads, ranks);
  return (
    indivisible("heads of attention", o.heads, ranks) ??
    indivisible("kv_heads of attention", o.kvHeads, shared) ?? {
      ...o,
      heads: o.heads / ranks,
      kvHeads: o.kvHeads / shared,
    }
  );
}

function inference(
  o: AttentionOptions,
  { hidden }: BlockContext,
  pass: InferencePass,
): readonly LayerOperation[] {
  const rows = passTokens(pass);
  const { batch } = pass;
  const queries = o.heads * o.headDim;
  const heads = { batch, heads: o.heads, kvHeads: o.kvHeads, headDim: o.headDim };
  const time = pass.phase === "prefill" ? pass.time : 1;
  const window = o.window === 0 ? {} : { window: o.window };
  const elementwise = (width: number, reads: number): LayerOperation => ({
    operation: { kind: "elementwise", rows, reads: reads * width, writes: width },
  });
  return [
    inward(rows, hidden, packedWidth(o)),
    ...(o.qkNorm === "none" ? [] : [elementwise((o.heads + o.kvHeads) * o.headDim, 1)]),
    { operation: { kind: "cache_append", ...heads, time } },
    {
      operation:
        pass.phase === "prefill"
          ? { kind: "attention_prefill", ...heads, time, ...window }
          : { kind: "attention_decode", ...heads, context: cachedTokens(o, pass.context) },
    },
    ...(o.gated ? [elementwise(queries, 2)] : []),
    outward(rows, queries, hidden),
  ];
}

const cachedTokens = (o: AttentionOptions, context: number): number =>
  o.window === 0 ? context : Math.min(context, o.window);

function nativeGap(o: AttentionOptions): string | undefined {
  if (o.window > 0) return "a sliding window";
  if (o.gated) return "a gate on the output";
  if (o.qkNorm !== "none") return "norms of q and k";
  return o.qkvBias || o.outputBias ? "biases" : undefined;
}

/** Options of attention; the kinds that are composed of it have them too. */
export const attentionSchema: KindSchema = {
  title: "Attention options",
  description: "Causal softmax attention with grouped queries.",
  properties: {
    heads: countOption("Heads", "Query heads. Default: hidden / head_dim.", { example: 32 }),
    kv_heads: countOption(
      "Key-value heads",
      "Heads of keys and values; must divide heads. Default: heads (multi-head attention).",
      { example: 8 },
    ),
    head_dim: countOption("Head dimension", "Channels per head. Default: hidden / heads.", {
      maximum: 4096,
      example: 128,
    }),
    position: positionOption,
    window: countOption(
      "Window",
      "Sliding window: a query sees this many keys, its own included. Default: all of them.",
      { maximum: 1_073_741_824, example: 4096 },
    ),
    gated: flagOption("Gated", "true: a sigmoid gate on the output, as in Qwen3-Next."),
    qk_norm: choiceOption(
      "Norm of q and k",
      "RMSNorm of queries and keys: none, head (over each head, one weight for all heads) or all (over all heads at once).",
      ["none", "head", "all"],
    ),
    qkv_bias: flagOption("Bias of q, k, v", "true: the q, k and v projections have a bias."),
    output_bias: flagOption("Bias of the output", "true: the output projection has a bias."),
  },
  examples: [{ heads: 32, kv_heads: 8, head_dim: 128, position: "none" }],
};

/** The attention layer kind. */
export const attention: Block<AttentionOptions> = {
  kind: "attention",
  symbol: "*",
  title: "Attention",
  source: "arXiv 1706.03762; grouped queries: arXiv 2305.13245",
  role: "attention",
  schema: attentionSchema,
  resolve,
  check,
  notes: () => [],
  parameters,
  flops,
  megatron: { order: 1, forwardFlops: megatronForwardFlops },
  trainingBuffers,
  kvElementsPerToken: (o) => 2 * o.kvHeads * o.headDim,
  stateElementsPerSequence: () => 0,
  recurrentElementsPerSequence: () => 0,
  cachedTokens,
  shard,
  inference,
  widthOptions: ["heads", "kv_heads", "head_dim"],
  rescale,
  toNative: ({ heads, kvHeads, headDim, rotaryDim, ropeTheta }) => ({
    kind: "attention",
    heads,
    kvHeads,
    headDim,
    rotaryDim,
    ropeTheta,
  }),
  nativeGap,
};
