// Multi-head latent attention: keys and values are up-projections of one latent vector per token (kv_rank channels),
// which is what the cache keeps, beside rope_dim channels of a rotated key that all heads share. Queries come from
// the hidden width, or through a latent of their own (q_rank). Source: arXiv 2405.04434, section 2.1.

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
import { causalPairs } from "./operations.js";
import { countOption, flagOption, type KindSchema } from "./option_schema.js";
import { given, indivisible, numberOr, type RawOptions } from "./raw_options.js";
import { outputBuffers } from "./recurrence.js";
import { inward, matrix, outward, preNorm, product, vector } from "./tensors.js";

export interface MlaOptions {
  readonly heads: number;
  /** Latent of the queries; 0 = projected from the hidden width at once. */
  readonly qRank: number;
  readonly kvRank: number;
  /** Channels of a head's query and key without, and with, position. */
  readonly nopeDim: number;
  readonly ropeDim: number;
  readonly valueDim: number;
  /** Biases of the projections to the latents and of the output. */
  readonly bias: boolean;
}

function resolve(raw: RawOptions, { hidden }: BlockContext): MlaOptions {
  const nopeDim = numberOr(raw, "nope_dim", 128);
  return {
    heads: numberOr(raw, "heads", Math.max(1, Math.round(hidden / nopeDim))),
    qRank: numberOr(raw, "q_rank", 0),
    kvRank: numberOr(raw, "kv_rank", 512),
    nopeDim,
    ropeDim: numberOr(raw, "rope_dim", 64),
    valueDim: numberOr(raw, "value_dim", 128),
    bias: raw.bias === true,
  };
}

const queries = (o: MlaOptions): number => o.heads * (o.nopeDim + o.ropeDim);
const values = (o: MlaOptions): number => o.heads * o.valueDim;
/** What one token leaves in the cache. */
const latent = (o: MlaOptions): number => o.kvRank + o.ropeDim;
/** Columns projected from the layer's input. */
const projected = (o: MlaOptions): number => (o.qRank === 0 ? queries(o) : o.qRank) + latent(o);
/** Keys without position, and values, of all heads. */
const unfolded = (o: MlaOptions): number => o.heads * (o.nopeDim + o.valueDim);

function parameters(o: MlaOptions, context: BlockContext): readonly ParameterTensor[] {
  const { hidden } = context;
  const query =
    o.qRank === 0
      ? [matrix("mixer.q_proj.weight", queries(o), hidden)]
      : [
          matrix("mixer.q_a_proj.weight", o.qRank, hidden),
          ...vector("mixer.q_a_proj.bias", o.qRank, o.bias),
          ...vector("mixer.q_a_layernorm.weight", o.qRank),
          matrix("mixer.q_b_proj.weight", queries(o), o.qRank),
        ];
  return [
    preNorm(context),
    ...query,
    matrix("mixer.kv_a_proj_with_mqa.weight", latent(o), hidden),
    ...vector("mixer.kv_a_proj_with_mqa.bias", latent(o), o.bias),
    ...vector("mixer.kv_a_layernorm.weight", o.kvRank),
    matrix("mixer.kv_b_proj.weight", unfolded(o), o.kvRank),
    matrix("mixer.o_proj.weight", hidden, values(o)),
    ...vector("mixer.o_proj.bias", hidden, o.bias),
  ];
}

// As in training: keys and values are unfolded once per token, then attention over (nope + rope) and value channels.
function flops(o: MlaOptions, { hidden }: BlockContext, { batch, sequence }: Workload): LayerFlops {
  const perToken = hidden * (projected(o) + values(o)) + o.qRank * queries(o) + o.kvRank * unfolded(o);
  const pairs = batch * causalPairs(sequence);
  const forward = batch * sequence * 2 * perToken + pairs * 2 * (queries(o) + values(o));
  return { forward, backward: 2 * forward };
}

// Prefill unfolds keys and values. Decoding attends to the latents: the up-projections are applied to the query and to
// the result, head by head, and one latent head of (kv_rank + rope_dim) channels serves all queries.
function inference(o: MlaOptions, { hidden }: BlockContext, pass: InferencePass): readonly LayerOperation[] {
  const rows = passTokens(pass);
  const { batch } = pass;
  const perHead = (from: number, to: number): LayerOperation => ({
    operation: { kind: "expert_linear", rows: rows * o.heads, experts: o.heads, in: from, out: to },
  });
  const cached = { batch, kvHeads: 1, headDim: latent(o) / 2 };
  const time = pass.phase === "prefill" ? pass.time : 1;
  const attend: readonly LayerOperation[] =
    pass.phase === "prefill"
      ? [
          product(rows, o.kvRank, unfolded(o)),
          {
            operation: {
              kind: "attention_prefill",
              batch,
              time: pass.time,
              heads: o.heads,
              kvHeads: o.heads,
              headDim: (queries(o) + values(o)) / o.heads / 2,
            },
          },
        ]
      : [
          perHead(o.nopeDim, o.kvRank),
          {
            // Scores over kv_rank + rope_dim channels, results over kv_rank of them.
            operation: {
              kind: "attention_decode",
              ...cached,
              context: pass.context,
              heads: (o.heads * (2 * o.kvRank + o.ropeDim)) / latent(o),
            },
          },
          perHead(o.kvRank, o.valueDim),
        ];
  return [
    inward(rows, hidden, projected(o)),
    ...(o.qRank === 0 ? [] : [product(rows, o.qRank, queries(o))]),
    { operation: { kind: "cache_append", ...cached, heads: 0, time } },
    ...attend,
    outward(rows, values(o), hidden),
  ];
}

function rescale(raw: RawOptions, from: BlockContext, to: BlockContext): Record<string, unknown> {
  const old = resolve(raw, from);
  const scale = to.hidden / from.hidden;
  const rank = (value: number) => Math.max(8, Math.round((value * scale) / 8) * 8);
  return {
    ...raw,
    heads: Math.max(1, Math.round(old.heads * scale)),
    kv_rank: rank(old.kvRank),
    ...(given(raw, "q_rank") ? { q_rank: rank(old.qRank) } : {}),
  };
}

const schema: KindSchema = {
  title: "Multi-head latent attention options",
  description: "Multi-head latent attention (arXiv 2405.04434): the cache holds one latent vector per token.",
  properties: {
    heads: countOption("Heads", "Query heads. Default: hidden / nope_dim.", { example: 32 }),
    q_rank: countOption(
      "Rank of the queries",
      "Channels of the latent that queries come from. Default: none, queries come from the hidden width.",
      { example: 1536 },
    ),
    kv_rank: countOption("Rank of keys and values", "Channels of the latent in the cache.", {
      default: 512,
    }),
    nope_dim: countOption("Channels without position", "Of a head's query and key.", {
      maximum: 4096,
      default: 128,
    }),
    rope_dim: countOption(
      "Channels with position",
      "Of a head's query, and of the key that all heads share.",
      {
        maximum: 4096,
        default: 64,
      },
    ),
    value_dim: countOption("Value dimension", "Channels of a head's values.", {
      maximum: 4096,
      default: 128,
    }),
    bias: flagOption("Bias", "true: the projections to the latents and the output have a bias."),
  },
  examples: [{ heads: 32, kv_rank: 512, nope_dim: 128, rope_dim: 64, value_dim: 128 }],
};

/** The multi-head latent attention layer kind. */
export const mla: Block<MlaOptions> = {
  kind: "mla",
  symbol: "+",
  title: "multi-head latent attention",
  source: "arXiv 2405.04434, section 2.1",
  role: "attention",
  schema,
  resolve,
  check: () => [],
  notes: () => [],
  parameters,
  flops,
  // Megatron-LM main counts nothing for these layers.
  megatron: { order: 6, forwardFlops: () => 0n },
  trainingBuffers: (o, _, work) =>
    outputBuffers([projected(o), o.qRank === 0 ? 0 : queries(o), unfolded(o), values(o)], 0, work),
  kvElementsPerToken: latent,
  stateElementsPerSequence: () => 0,
  recurrentElementsPerSequence: () => 0,
  // The latent is held by every device.
  shard: (o, ranks) => indivisible("heads of mla", o.heads, ranks) ?? { ...o, heads: o.heads / ranks },
  inference,
  widthOptions: ["heads", "q_rank", "kv_rank", "nope_dim", "rope_dim", "value_dim"],
  rescale,
};
