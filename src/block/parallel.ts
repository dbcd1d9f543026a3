// Mixers side by side behind one norm, their outputs added: y = x + sum of mixer_i(norm(x)), as attention beside Mamba
// in Falcon-H1 and Hymba. The branches are given by kind, each with its options. Multipliers on inputs and outputs of
// the branches are scalars and not counted. Sources: arXiv 2411.13676; Falcon-H1: arXiv 2507.22448.

import type {
  Block,
  BlockContext,
  BlockIssue,
  LayerFlops,
  LayerOperation,
  ParameterTensor,
  TrainingBuffers,
  Workload,
} from "./block.js";
import type { KindSchema } from "./option_schema.js";
import type { RawOptions } from "./raw_options.js";
import { mixers } from "./simple_kinds.js";
import { preNorm, within } from "./tensors.js";

interface Branch {
  readonly block: Block;
  readonly options: unknown;
}

export interface ParallelOptions {
  readonly branches: readonly Branch[];
}

/** What a layer of attention beside Mamba-2 is when nothing is said. */
const defaultBranches: RawOptions = { mamba2: {}, attention: {} };

function given(raw: RawOptions): RawOptions {
  return mixers.some(({ kind }) => raw[kind] !== undefined) ? raw : defaultBranches;
}

function resolve(raw: RawOptions, context: BlockContext): ParallelOptions {
  const chosen = given(raw);
  const branches = mixers
    .filter(({ kind }) => chosen[kind] !== undefined)
    .map((block) => ({ block, options: block.resolve(chosen[block.kind] as RawOptions, context) }));
  return { branches };
}

function check({ branches }: ParallelOptions, context: BlockContext): readonly BlockIssue[] {
  const issues = branches.flatMap(({ block, options }) =>
    block.check(options, context).map((issue) => ({ ...issue, option: `${block.kind}.${issue.option}` })),
  );
  if (branches.length > 1) return issues;
  const alone = branches[0]!.block.kind;
  return [
    ...issues,
    {
      option: "",
      message: `Expected at least two mixers side by side, got ${alone} alone`,
      help: ["give options of another kind beside it, for example attention: {}"],
    },
  ];
}

/** The sum of a number over the branches. */
function total({ branches }: ParallelOptions, measure: (block: Block, options: unknown) => number): number {
  return branches.reduce((sum, { block, options }) => sum + measure(block, options), 0);
}

function parameters({ branches }: ParallelOptions, context: BlockContext): readonly ParameterTensor[] {
  return [
    preNorm(context),
    ...branches.flatMap(({ block, options }) =>
      block
        .parameters(options, context)
        .filter(({ name }) => name !== "norm.weight")
        .map((tensor) => within(block.kind, tensor)),
    ),
  ];
}

function flops({ branches }: ParallelOptions, context: BlockContext, work: Workload): LayerFlops {
  const parts = branches.map(({ block, options }) => block.flops(options, context, work));
  return {
    forward: parts.reduce((sum, part) => sum + part.forward, 0),
    backward: parts.reduce((sum, part) => sum + part.backward, 0),
  };
}

function trainingBuffers(o: ParallelOptions, context: BlockContext, work: Workload): TrainingBuffers {
  const parts = o.branches.map(({ block, options }) => block.trainingBuffers(options, context, work));
  return {
    savedActivations: parts.flatMap((part) => part.savedActivations),
    savedStatistics: parts.flatMap((part) => part.savedStatistics),
    // The branches are differentiated one after the other.
    transient: parts.reduce(
      (most, part) => (sum(part.transient) > sum(most) ? part.transient : most),
      [] as readonly number[],
    ),
    workspace: Math.max(...parts.map((part) => part.workspace)),
  };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a + b, 0);
}

// The branches' partial sums are added before they leave the device: one all-reduce, behind the last branch.
function inference(
  o: ParallelOptions,
  ...where: Parameters<Block["inference"]> extends [unknown, ...infer R] ? R : never
): readonly LayerOperation[] {
  const last = o.branches.length - 1;
  return o.branches.flatMap(({ block, options }, i) =>
    block
      .inference(options, ...where)
      .map(({ partial, ...operation }) => (partial && i === last ? { ...operation, partial } : operation)),
  );
}

/** Cached tokens on average over the branches' caches, so that kvElementsPerToken times it is what is kept. */
function cachedTokens(o: ParallelOptions, context: number): number {
  const perToken = total(o, (block, options) => block.kvElementsPerToken(options));
  if (perToken === 0) return context;
  const kept = total(
    o,
    (block, options) =>
      block.kvElementsPerToken(options) * (block.cachedTokens?.(options, context) ?? context),
  );
  return kept / perToken;
}

function shard(o: ParallelOptions, ranks: number): ParallelOptions | string {
  const branches: Branch[] = [];
  for (const { block, options } of o.branches) {
    const slice = block.shard(options, ranks);
    if (typeof slice === "string") return slice;
    branches.push({ block, options: slice });
  }
  return { branches };
}

function rescale(raw: RawOptions, from: BlockContext, to: BlockContext): Record<string, unknown> {
  const chosen = given(raw);
  const branches = mixers
    .filter(({ kind }) => chosen[kind] !== undefined)
    .map((block) => [block.kind, block.rescale(chosen[block.kind] as RawOptions, from, to)]);
  return { ...raw, ...Object.fromEntries(branches) };
}

const schema: KindSchema = {
  title: "Parallel options",
  description:
    "Mixers side by side behind one norm, their outputs added; name two or more with their options. Default: mamba2 and attention.",
  properties: Object.fromEntries(mixers.map(({ kind }) => [kind, { $ref: `#/$defs/${kind}` }])),
  examples: [{ mamba2: { heads: 24, head_dim: 128, groups: 1 }, attention: { heads: 12, kv_heads: 2 } }],
};

/** The layer kind of mixers side by side. */
export const parallel: Block<ParallelOptions> = {
  kind: "parallel",
  symbol: "P",
  title: "mixers in parallel",
  source: "arXiv 2507.22448; arXiv 2411.13676",
  role: "attention",
  schema,
  resolve,
  check,
  notes: () => [],
  parameters,
  flops,
  trainingBuffers,
  kvElementsPerToken: (o) => total(o, (block, options) => block.kvElementsPerToken(options)),
  cachedTokens,
  stateElementsPerSequence: (o) => total(o, (block, options) => block.stateElementsPerSequence(options)),
  recurrentElementsPerSequence: (o) =>
    total(o, (block, options) => block.recurrentElementsPerSequence(options)),
  shard,
  inference,
  widthOptions: mixers.map(({ kind }) => kind),
  rescale,
};
