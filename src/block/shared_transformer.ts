// The shared block of Zamba2: attention and an MLP whose weights a few copies hold for all layers of this kind, used in
// turn. Its input is the hidden state beside the embedding of the token (2 x hidden channels); its output goes through a
// projection of each layer's own and is added to the input of the mixer that follows. Low-rank adapters make the MLP
// (and, as an option, q, k and v) differ from layer to layer. Source: arXiv 2411.15242, section 2; parameters as
// transformers' Zamba2 holds them.

import { type AttentionOptions, attention } from "./attention.js";
import {
  type Block,
  type BlockContext,
  type BlockIssue,
  type InferencePass,
  type LayerFlops,
  type LayerOperation,
  type ParameterTensor,
  passTokens,
  type TrainingBuffers,
  type Workload,
} from "./block.js";
import { type MlpOptions, mlp } from "./mlp.js";
import { causalPairs } from "./operations.js";
import { countOption, flagOption, type KindSchema } from "./option_schema.js";
import { numberOr, type RawOptions } from "./raw_options.js";
import { matrix, outward, product, vector, within } from "./tensors.js";

export interface SharedTransformerOptions {
  /** Sets of shared weights; layer i uses set i modulo copies. */
  readonly copies: number;
  /** Rank of each layer's adapters; 0 = none. */
  readonly adapterRank: number;
  readonly attentionAdapters: boolean;
  readonly attention: AttentionOptions;
  readonly mlp: MlpOptions;
}

/** The context of the attention inside, which reads hidden state and embedding side by side. */
const wide = (context: BlockContext): BlockContext => ({ ...context, hidden: 2 * context.hidden });
const nested = (raw: RawOptions, key: string): RawOptions => (raw[key] ?? {}) as RawOptions;
/** The MLP of Zamba2 is gated unless the file says otherwise. */
const withGate = (raw: RawOptions): RawOptions => ({ gated: true, activation: "gelu_erf", ...raw });

function resolve(raw: RawOptions, context: BlockContext): SharedTransformerOptions {
  return {
    copies: numberOr(raw, "copies", 1),
    adapterRank: numberOr(raw, "adapter_rank", 0),
    attentionAdapters: raw.attention_adapters === true,
    attention: attention.resolve(nested(raw, "attention"), wide(context)),
    mlp: mlp.resolve(withGate(nested(raw, "mlp")), context),
  };
}

function check(o: SharedTransformerOptions, context: BlockContext): readonly BlockIssue[] {
  const issues = attention
    .check(o.attention, wide(context))
    .map((issue) => ({ ...issue, option: `attention.${issue.option}` }));
  if (!o.attentionAdapters || o.adapterRank > 0) return issues;
  return [
    ...issues,
    {
      option: "attention_adapters",
      message: "Expected a rank for the adapters of attention, got none",
      help: ["give adapter_rank, or remove attention_adapters"],
    },
  ];
}

/** Columns of the MLP's first matrix. */
const mlpColumns = (o: SharedTransformerOptions): number => (o.mlp.gated ? 2 : 1) * o.mlp.width;
const queries = (o: SharedTransformerOptions): number => o.attention.heads * o.attention.headDim;
const packed = (o: SharedTransformerOptions): number =>
  (o.attention.heads + 2 * o.attention.kvHeads) * o.attention.headDim;

/** What every layer has for itself: the projection out, and its adapters. */
function parameters(o: SharedTransformerOptions, { hidden }: BlockContext): readonly ParameterTensor[] {
  const adapter = (name: string, from: number, to: number): readonly ParameterTensor[] => [
    matrix(`mixer.${name}_adapter.0.weight`, o.adapterRank, from),
    matrix(`mixer.${name}_adapter.1.weight`, to, o.adapterRank),
  ];
  return [
    matrix("mixer.linear.weight", hidden, hidden),
    ...(o.adapterRank === 0 ? [] : adapter("gate_up", hidden, mlpColumns(o))),
    ...(o.attentionAdapters ? ["q", "k", "v"].flatMap((name) => adapter(name, 2 * hidden, 2 * hidden)) : []),
  ];
}

/** One set of shared weights for every copy that is used. */
function sharedParameters(
  o: SharedTransformerOptions,
  context: BlockContext,
  layers: number,
): readonly ParameterTensor[] {
  const { hidden } = context;
  const transformer = [
    ...vector("norm.weight", 2 * hidden),
    // The projection out of attention goes back to the hidden width.
    ...attention
      .parameters(o.attention, wide(context))
      .filter(({ name }) => name !== "norm.weight")
      .map((tensor) =>
        tensor.name === "mixer.o_proj.weight" ? matrix(tensor.name, hidden, queries(o)) : tensor,
      ),
    ...mlp
      .parameters(o.mlp, context)
      .map((tensor) => (tensor.name === "norm.weight" ? { ...tensor, name: "pre_ff_norm.weight" } : tensor)),
  ];
  const copies = Math.min(o.copies, layers);
  return Array.from({ length: copies }, (_, copy) =>
    transformer.map((tensor) => within(`shared.${copy}`, tensor)),
  ).flat();
}

/** Columns times rows of everything a token is multiplied with. */
function productsPerToken(o: SharedTransformerOptions, hidden: number): number {
  const rank = o.adapterRank;
  return (
    2 * hidden * packed(o) +
    queries(o) * hidden +
    hidden * (mlpColumns(o) + o.mlp.width) +
    hidden * hidden +
    rank * (hidden + mlpColumns(o)) +
    (o.attentionAdapters ? 3 * rank * 4 * hidden : 0)
  );
}

function flops(o: SharedTransformerOptions, { hidden }: BlockContext, work: Workload): LayerFlops {
  const { batch, sequence } = work;
  const { window } = o.attention;
  const pairs = batch * causalPairs(sequence, window === 0 ? sequence : window);
  const forward = 2 * batch * sequence * productsPerToken(o, hidden) + pairs * 4 * queries(o);
  return { forward, backward: 2 * forward };
}

function trainingBuffers(
  o: SharedTransformerOptions,
  context: BlockContext,
  work: Workload,
): TrainingBuffers {
  const inner = attention.trainingBuffers(o.attention, wide(context), work);
  const forward = mlp.trainingBuffers(o.mlp, context, work);
  const rows = work.batch * work.sequence;
  return {
    // Input of both norms, and what goes through the projection out.
    savedActivations: [
      rows * 2 * context.hidden,
      ...inner.savedActivations,
      rows * context.hidden,
      ...forward.savedActivations,
      rows * context.hidden,
    ],
    savedStatistics: [...inner.savedStatistics, 2 * rows],
    transient: [...inner.transient, ...forward.transient],
    workspace: 0,
  };
}

function inference(
  o: SharedTransformerOptions,
  context: BlockContext,
  pass: InferencePass,
): readonly LayerOperation[] {
  const { hidden } = context;
  const rows = passTokens(pass);
  const out = attention
    .inference(o.attention, wide(context), pass)
    .map(({ operation, ...rest }) =>
      operation.kind === "linear" ? outward(rows, queries(o), hidden) : { operation, ...rest },
    );
  const adapter = (from: number, to: number): readonly LayerOperation[] =>
    o.adapterRank === 0 ? [] : [product(rows, from, o.adapterRank), product(rows, o.adapterRank, to)];
  return [
    ...(o.attentionAdapters
      ? adapter(2 * hidden, 2 * hidden).map((operation) => ({ ...operation, times: 3 }))
      : []),
    ...out,
    ...adapter(hidden, mlpColumns(o)),
    ...mlp.inference(o.mlp, context, pass),
    product(rows, hidden, hidden),
  ];
}

function shard(o: SharedTransformerOptions, ranks: number): SharedTransformerOptions | string {
  const inner = attention.shard(o.attention, ranks);
  if (typeof inner === "string") return inner;
  const forward = mlp.shard(o.mlp, ranks);
  if (typeof forward === "string") return forward;
  return { ...o, attention: inner, mlp: forward };
}

function rescale(raw: RawOptions, from: BlockContext, to: BlockContext): Record<string, unknown> {
  const scaled: Record<string, unknown> = {
    ...raw,
    attention: attention.rescale(nested(raw, "attention"), wide(from), wide(to)),
    mlp: mlp.rescale(nested(raw, "mlp"), from, to),
  };
  const rank = numberOr(raw, "adapter_rank", 0);
  if (rank > 0) scaled.adapter_rank = Math.max(1, Math.round((rank * to.hidden) / from.hidden));
  return scaled;
}

const schema: KindSchema = {
  title: "Shared transformer options",
  description:
    "The shared block of Zamba2 (arXiv 2411.15242): attention and MLP with weights that all its layers share, adapters and a projection of each layer's own.",
  properties: {
    copies: countOption("Copies", "Sets of shared weights, used in turn.", { default: 1, example: 2 }),
    adapter_rank: countOption(
      "Rank of the adapters",
      "Rank of the adapters that each layer adds to the shared MLP. Default: no adapters.",
      { example: 128 },
    ),
    attention_adapters: flagOption("Adapters of attention", "true: q, k and v have adapters too."),
    attention: { $ref: "#/$defs/attention" },
    mlp: { $ref: "#/$defs/mlp" },
  },
  examples: [{ copies: 2, adapter_rank: 128, attention: { heads: 32 }, mlp: { width: 10_240 } }],
};

/** The layer kind of attention and MLP with weights shared by all its layers. */
export const sharedTransformer: Block<SharedTransformerOptions> = {
  kind: "shared_transformer",
  symbol: "Z",
  title: "shared transformer",
  source: "arXiv 2411.15242, section 2",
  role: "attention",
  schema,
  resolve,
  check,
  notes: () => [],
  parameters,
  sharedParameters,
  flops,
  trainingBuffers,
  kvElementsPerToken: (o) => attention.kvElementsPerToken(o.attention),
  cachedTokens: (o, context) => attention.cachedTokens?.(o.attention, context) ?? context,
  stateElementsPerSequence: () => 0,
  recurrentElementsPerSequence: () => 0,
  shard,
  inference,
  widthOptions: ["attention", "mlp", "adapter_rank"],
  rescale,
};
