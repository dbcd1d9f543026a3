// A plan as launch arguments of Megatron-LM (main, August 2026): --hybrid-layer-pattern, which alone makes a model a
// hybrid, and every dimension that its layers need. What Megatron would compute differently is refused by name; what
// only reads differently is said in a note. Defaults on that side: state 128, head_dim 64, groups 8, conv 4 (fixed),
// gated norm of eps 1e-5 (fixed) in groups, no dt clamp, init N(0, 0.02).

import type { AttentionOptions } from "../block/attention.js";
import type { Mamba2Options } from "../block/mamba2.js";
import type { MlpOptions } from "../block/mlp.js";
import type { MoeOptions } from "../block/moe.js";
import { type Diagnostic, exitCodes, LayermixError } from "../diag/diagnostic.js";
import type { Plan } from "../plan/plan_types.js";
import { problem } from "./interop_error.js";

export interface MegatronOptions {
  /** Tokens per sequence. */
  readonly sequence: number;
  /** --tensor-model-parallel-size and --pipeline-model-parallel-size. */
  readonly tensorParallel: number;
  readonly pipelineParallel: number;
  readonly initStd: number;
}

export interface MegatronArguments {
  /** Entry point in Megatron-LM that takes them. */
  readonly script: string;
  /** The layer pattern, cut into pipeline stages by `|`. */
  readonly pattern: string;
  /** Each with its values: ["--hidden-size", "4096"]. */
  readonly arguments: readonly (readonly string[])[];
  readonly notes: readonly string[];
}

/** The kinds that the arguments below describe, by their symbols in Megatron. */
const symbols: Readonly<Record<string, string>> = { mamba2: "M", attention: "*", mlp: "-", moe: "E" };

/** The options of each kind that the plan has. */
interface Shapes {
  readonly mamba2?: Mamba2Options;
  readonly attention?: AttentionOptions;
  readonly mlp?: MlpOptions;
  readonly moe?: MoeOptions;
}

/** Throws LMX5211, one diagnostic per reason, when Megatron cannot run the plan. */
export function megatronArguments(plan: Plan, options: MegatronOptions): MegatronArguments {
  const { shapes, reasons } = shapesOf(plan);
  const all = [...reasons, ...shapeReasons(shapes), ...parallelReasons(plan, shapes, options)];
  if (all.length > 0) throw refuse(all);
  const whole = plan.layers.map(({ block }) => symbols[block.kind]!).join("");
  const pattern = cutIntoStages(whole, options.pipelineParallel);
  const vocabulary = vocabularyArguments(plan.vocab, options.tensorParallel);
  return {
    script: "pretrain_hybrid.py",
    pattern,
    arguments: [
      // argparse would take a value that begins with a dash for another option.
      pattern.startsWith("-") ? [`--hybrid-layer-pattern=${pattern}`] : ["--hybrid-layer-pattern", pattern],
      ["--spec", "megatron.core.models.hybrid.hybrid_layer_specs", "hybrid_stack_spec"],
      ["--use-mcore-models"],
      ["--hidden-size", String(plan.hidden)],
      ...(shapes.mamba2 === undefined ? [] : mambaArguments(shapes.mamba2)),
      ...attentionArguments(shapes.attention, options),
      ...feedForwardArguments(shapes),
      ["--normalization", plan.layerNorm === true ? "LayerNorm" : "RMSNorm"],
      ["--norm-epsilon", String(plan.normEps)],
      ["--disable-bias-linear"],
      ...(plan.tieEmbeddings ? [] : [["--untie-embeddings-and-output-weights"]]),
      ...vocabulary.arguments,
      ["--init-method-std", String(options.initStd)],
      ["--attention-dropout", "0.0"],
      ["--hidden-dropout", "0.0"],
      ["--seq-length", String(options.sequence)],
      ["--max-position-embeddings", String(options.sequence)],
      ["--tensor-model-parallel-size", String(options.tensorParallel)],
      ["--pipeline-model-parallel-size", String(options.pipelineParallel)],
    ],
    notes: [...vocabulary.notes, ...modelNotes(plan, shapes)],
  };
}

function mambaArguments(layer: Mamba2Options): string[][] {
  return [
    ["--mamba-state-dim", String(layer.state)],
    ["--mamba-head-dim", String(layer.headDim)],
    ["--mamba-num-groups", String(layer.groups)],
    ["--mamba-num-heads", String(layer.heads)],
  ];
}

// Megatron asks for a number of heads even where no layer has any.
function attentionArguments(layer: AttentionOptions | undefined, options: MegatronOptions): string[][] {
  if (layer === undefined) {
    return [
      ["--num-attention-heads", String(options.tensorParallel)],
      ["--position-embedding-type", "none"],
    ];
  }
  const { heads, kvHeads, headDim, rotaryDim, ropeTheta, qkNorm, qkvBias } = layer;
  return [
    ["--num-attention-heads", String(heads)],
    ["--kv-channels", String(headDim)],
    ...(kvHeads === heads ? [] : [["--group-query-attention"], ["--num-query-groups", String(kvHeads)]]),
    ...(rotaryDim === 0
      ? [["--position-embedding-type", "none"]]
      : [
          ["--position-embedding-type", "rope"],
          ["--rotary-base", String(ropeTheta)],
          ["--rotary-percent", String(rotaryDim / headDim)],
        ]),
    ...(qkNorm === "head" ? [["--qk-layernorm"]] : []),
    ...(qkvBias ? [["--add-qkv-bias"]] : []),
  ];
}

/** MLPs and experts share one activation. */
function feedForwardArguments({ mlp, moe }: Shapes): string[][] {
  const form = mlp ?? moe;
  if (form === undefined) return [];
  const activation = form.gated
    ? [["--swiglu"]]
    : form.activation === "relu2"
      ? [["--squared-relu"]]
      : form.activation === "gelu" // the tanh form; without a flag Megatron takes the erf form
        ? [["--openai-gelu"]]
        : [];
  return [
    ...(mlp === undefined ? [] : [["--ffn-hidden-size", String(mlp.width)]]),
    ...(moe === undefined ? [] : moeArguments(moe)),
    ...activation,
  ];
}

function moeArguments({ experts, topK, width, sharedWidth, latent }: MoeOptions): string[][] {
  return [
    ["--num-experts", String(experts)],
    ["--moe-router-topk", String(topK)],
    ["--moe-ffn-hidden-size", String(width)],
    ...(sharedWidth === 0 ? [] : [["--moe-shared-expert-intermediate-size", String(sharedWidth)]]),
    ...(latent === 0 ? [] : [["--moe-latent-size", String(latent)]]),
  ];
}

/** Megatron pads the vocabulary to a multiple of divisor * tp: the largest divisor up to 128 that pads nothing. */
function vocabularyArguments(
  vocab: number,
  tensorParallel: number,
): { readonly arguments: string[][]; readonly notes: string[] } {
  let divisor = 128;
  while (divisor > 1 && vocab % (divisor * tensorParallel) !== 0) divisor /= 2;
  const padded = Math.ceil(vocab / (divisor * tensorParallel)) * divisor * tensorParallel;
  const follows = `the vocabulary follows the tokenizer: give one of ${vocab} entries (NullTokenizer adds one to --vocab-size)`;
  const pads = `Megatron pads the vocabulary of ${vocab} to ${padded} for ${tensorParallel} tensor-parallel ranks`;
  return {
    arguments: [
      ["--vocab-size", String(vocab)],
      ["--make-vocab-size-divisible-by", String(divisor)],
    ],
    notes: padded === vocab ? [follows] : [follows, pads],
  };
}

function modelNotes(plan: Plan, { mamba2: mamba, attention, moe }: Shapes): string[] {
  const notes: string[] = [];
  if (mamba !== undefined && plan.normEps !== 1e-5) {
    notes.push(`Megatron's gated norm keeps eps 1e-5; layermix uses ${plan.normEps} there as well`);
  }
  if (mamba !== undefined && mamba.heads * mamba.headDim !== 2 * plan.hidden) {
    notes.push(
      `Megatron's throughput report assumes 2 x hidden = ${2 * plan.hidden} channels per Mamba layer; this model has ` +
        `${mamba.heads * mamba.headDim} (layermix plan prints both counts)`,
    );
  }
  if (moe !== undefined) {
    notes.push(
      "how the router scores, scales and balances is no part of a plan: add --moe-router-score-function and the like",
    );
  }
  if (attention === undefined)
    notes.push("--num-attention-heads is asked for and unused: no attention layer");
  return notes;
}

/** Stages of equal length, or one layer apart: `|` where one ends. */
function cutIntoStages(pattern: string, stages: number): string {
  const bound = (stage: number) => Math.round((stage * pattern.length) / stages);
  return Array.from({ length: stages }, (_, stage) => pattern.slice(bound(stage), bound(stage + 1))).join(
    "|",
  );
}

/** The options of each kind, and why some of them cannot be said: kinds, and shapes that differ. */
function shapesOf(plan: Plan): { readonly shapes: Shapes; readonly reasons: readonly string[] } {
  const reasons = new Set<string>();
  const shapes: Record<string, unknown> = {};
  for (const { kind, block, options } of plan.layers) {
    if (symbols[block.kind] === undefined) {
      reasons.add(`${kind} layers, whose options layermix does not write for Megatron`);
      continue;
    }
    const first = shapes[block.kind] ?? options;
    if (JSON.stringify(first) !== JSON.stringify(options)) {
      reasons.add(
        `${block.kind} layers of different shapes (Megatron has one set of dimensions for each kind)`,
      );
    }
    shapes[block.kind] = first;
  }
  if (Object.values(plan.scaling ?? {}).some((value) => value !== undefined)) reasons.add("multipliers");
  if ((plan.metaTokens ?? 0) > 0) reasons.add("meta tokens");
  if (plan.headBias === true) reasons.add("a bias of the head");
  if (plan.layerNorm === true && (shapes.attention as Shapes["attention"])?.qkNorm === "head")
    reasons.add("RMSNorms of q and k beside LayerNorms (Megatron has one kind for both)");
  return { shapes: shapes as Shapes, reasons: [...reasons] };
}

function shapeReasons({ mamba2: mamba, attention, mlp, moe }: Shapes): readonly string[] {
  const reasons: string[] = [];
  const when = (fault: boolean | undefined, reason: string) => {
    if (fault === true) reasons.push(reason);
  };
  when(
    mamba && mamba.conv !== 4,
    `a convolution of ${mamba?.conv} taps (Megatron's has 4, and no argument for it)`,
  );
  when(mamba && mamba.dtMin > 0, `dt clamped at ${mamba?.dtMin} (Megatron never clamps)`);
  when(mamba && !mamba.gatedNorm, "a gate without a norm in Mamba-2 layers");
  when(mamba?.bias, "biases of Mamba-2 projections");
  when(mamba && !mamba.convBias, "a convolution without bias");
  if (attention !== undefined) {
    const { rotaryDim, ropeTheta, window, gated, qkNorm, outputBias } = attention;
    when(
      rotaryDim > 0 && !Number.isInteger(ropeTheta),
      `a RoPE base of ${ropeTheta} (--rotary-base is an integer)`,
    );
    when(window > 0, "a sliding window in every attention layer");
    when(gated, "a gate on the output of attention");
    when(qkNorm === "all", "norms of q and k over all heads (Megatron's are per head)");
    when(outputBias, "a bias of the output projection alone");
  }
  for (const [what, form] of [
    ["an MLP", mlp],
    ["experts", moe],
  ] as const) {
    if (form === undefined) continue;
    const { gated, activation } = form;
    when(
      gated && activation !== "silu",
      `${what} with a gate and ${activation} (--swiglu is the gated form)`,
    );
    when(
      !gated && activation === "silu",
      `${what} with silu and no gate (Megatron has gelu and squared ReLU)`,
    );
  }
  when(mlp?.bias, "biases of MLPs alone");
  if (mlp !== undefined && moe !== undefined) {
    const same = mlp.gated === moe.gated && mlp.activation === moe.activation;
    when(!same, "MLPs and experts of different activations (Megatron has one for both)");
  }
  when(moe?.sharedGate, "a gate on the shared experts");
  when(moe?.routerBias, "a bias of the router");
  return reasons;
}

function parallelReasons(
  plan: Plan,
  { mamba2: mamba, attention, mlp, moe }: Shapes,
  { tensorParallel, pipelineParallel }: MegatronOptions,
): readonly string[] {
  const reasons: string[] = [];
  const divides = (what: string, count: number | undefined) => {
    if (count === undefined || count % tensorParallel === 0) return;
    reasons.push(`${count} ${what} for ${tensorParallel} tensor-parallel ranks (they have to divide evenly)`);
  };
  divides("Mamba heads", mamba?.heads);
  divides("Mamba groups", mamba?.groups);
  divides("attention heads", attention?.heads);
  // Fewer KV heads than ranks are replicated; otherwise they divide evenly.
  if (attention !== undefined && tensorParallel % attention.kvHeads !== 0)
    divides("KV heads", attention.kvHeads);
  divides("MLP channels", mlp?.width);
  divides("channels of an expert", moe?.width);
  if (pipelineParallel > plan.layers.length) {
    reasons.push(`${plan.layers.length} layers for ${pipelineParallel} pipeline stages`);
  }
  return reasons;
}

function refuse(reasons: readonly string[]): LayermixError {
  const problems: Diagnostic[] = reasons.map((reason) =>
    problem("LMX5211", `Expected a model that Megatron's arguments can express, got ${reason}`),
  );
  return new LayermixError(problems, exitCodes.infeasible);
}
