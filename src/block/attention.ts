// Causal softmax attention with grouped queries: q, k, v projections, optional RoPE, softmax(q k' /
// sqrt(head_dim)) v, o projection. No biases. heads * head_dim may differ from the hidden width. Sources:
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
import {
  given,
  indivisible,
  isCount,
  largestDivisor,
  numberOr,
  type RawOptions,
  scaledHeads,
} from "./raw_options.js";

export interface AttentionOptions {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** Channels of each head that are rotated; 0 = no position embedding. */
  readonly rotaryDim: number;
  readonly ropeTheta: number;
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
  return { heads, kvHeads: numberOr(raw, "kv_heads", heads), headDim, ...positionOf(raw, headDim) };
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

function parameters(o: AttentionOptions, { hidden }: BlockContext): readonly ParameterTensor[] {
  const queries = o.heads * o.headDim;
  const keys = o.kvHeads * o.headDim;
  return [
    { name: "norm.weight", shape: [hidden], decayed: false },
    { name: "mixer.q_proj.weight", shape: [queries, hidden], decayed: true, fused: "qkv" },
    { name: "mixer.k_proj.weight", shape: [keys, hidden], decayed: true, fused: "qkv" },
    { name: "mixer.v_proj.weight", shape: [keys, hidden], decayed: true, fused: "qkv" },
    { name: "mixer.o_proj.weight", shape: [hidden, queries], decayed: true },
  ];
}

// Projections, and q k' and p v over the sequence * (sequence + 1) / 2 pairs that the causal mask leaves.
function flops(o: AttentionOptions, { hidden }: BlockContext, { batch, sequence }: Workload): LayerFlops {
  const queries = o.heads * o.headDim;
  const projections = batch * sequence * 2 * hidden * (2 * queries + 2 * o.kvHeads * o.headDim);
  const pairs = (batch * sequence * (sequence + 1)) / 2;
  const forward = projections + pairs * 4 * queries;
  return { forward, backward: 2 * forward };
}

// attn_layer_flops of Megatron's training.py (main), operation for operation.
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
  const packed = batch * sequence * (o.heads + 2 * o.kvHeads) * o.headDim;
  return {
    savedActivations: [packed, queries],
    savedStatistics: [batch * o.heads * sequence],
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
  const packed = (o.heads + 2 * o.kvHeads) * o.headDim;
  const heads = { batch, heads: o.heads, kvHeads: o.kvHeads, headDim: o.headDim };
  const time = pass.phase === "prefill" ? pass.time : 1;
  return [
    { operation: { kind: "norm_linear", rows, in: hidden, out: packed, logits: false } },
    { operation: { kind: "cache_append", ...heads, time } },
    {
      operation:
        pass.phase === "prefill"
          ? { kind: "attention_prefill", ...heads, time }
          : { kind: "attention_decode", ...heads, context: pass.context },
    },
    { operation: { kind: "linear", rows, in: queries, out: hidden }, partial: true },
  ];
}

/** The attention layer kind. */
export const attention: Block<AttentionOptions> = {
  kind: "attention",
  symbol: "*",
  title: "Attention",
  source: "arXiv 1706.03762; grouped queries: arXiv 2305.13245",
  resolve,
  check,
  notes: () => [],
  parameters,
  flops,
  megatronForwardFlops,
  trainingBuffers,
  kvElementsPerToken: (o) => 2 * o.kvHeads * o.headDim,
  stateElementsPerSequence: () => 0,
  recurrentElementsPerSequence: () => 0,
  shard,
  inference,
  widthOptions: ["heads", "kv_heads", "head_dim"],
  rescale,
  toNative: (o) => ({ kind: "attention", ...o }),
};
