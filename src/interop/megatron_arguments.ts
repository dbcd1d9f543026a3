// A plan as launch arguments of Megatron-LM (main, August 2026): --hybrid-layer-pattern, which alone makes a model a
// hybrid, and every dimension that its layers need. What Megatron would compute differently is refused by name; what
// only reads differently is said in a note. Defaults on that side: state 128, head_dim 64, groups 8, conv 4 (fixed),
// gated norm of eps 1e-5 (fixed) in groups, no dt clamp, init N(0, 0.02).

import type { NativeLayer } from "../block/block.js";
import { type Diagnostic, exitCodes, LayermixError } from "../diag/diagnostic.js";
import { toNativeModel } from "../plan/native_model.js";
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

type LayerOf<K extends NativeLayer["kind"]> = Extract<NativeLayer, { kind: K }>;

/** Options that the arguments below carry; others have to be absent or off. */
const expressed: Readonly<Record<string, readonly string[]>> = {
  mamba2: ["heads", "headDim", "groups", "state", "conv", "chunk", "dtMin"],
  attention: ["heads", "kvHeads", "headDim", "rotaryDim", "ropeTheta"],
  mlp: ["width", "activation", "gated"],
};

/** Throws LMX5211, one diagnostic per reason, when Megatron cannot run the plan. */
export function megatronArguments(plan: Plan, options: MegatronOptions): MegatronArguments {
  const { layers } = toNativeModel(plan);
  const reasons = [...kindReasons(layers), ...parallelReasons(plan, layers, options)];
  const mamba = one(layers, "mamba2");
  const attention = one(layers, "attention");
  const mlp = one(layers, "mlp");
  reasons.push(...shapeReasons(mamba, attention, mlp));
  if (reasons.length > 0) throw refuse(reasons);
  const pattern = cutIntoStages(plan.pattern, options.pipelineParallel);
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
      ...(mamba === undefined ? [] : mambaArguments(mamba)),
      ...attentionArguments(attention, options),
      ...(mlp === undefined ? [] : mlpArguments(mlp)),
      ["--normalization", "RMSNorm"],
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
    notes: [...vocabulary.notes, ...modelNotes(plan, mamba, attention)],
  };
}

function mambaArguments(layer: LayerOf<"mamba2">): string[][] {
  return [
    ["--mamba-state-dim", String(layer.state)],
    ["--mamba-head-dim", String(layer.headDim)],
    ["--mamba-num-groups", String(layer.groups)],
    ["--mamba-num-heads", String(layer.heads)],
  ];
}

// Megatron asks for a number of heads even where no layer has any.
function attentionArguments(layer: LayerOf<"attention"> | undefined, options: MegatronOptions): string[][] {
  if (layer === undefined) {
    return [
      ["--num-attention-heads", String(options.tensorParallel)],
      ["--position-embedding-type", "none"],
    ];
  }
  const { heads, kvHeads, headDim, rotaryDim, ropeTheta } = layer;
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
  ];
}

function mlpArguments({ width, activation, gated }: LayerOf<"mlp">): string[][] {
  const form = gated
    ? [["--swiglu"]]
    : activation === "relu2"
      ? [["--squared-relu"]]
      : activation === "gelu" // the tanh form; without a flag Megatron takes the erf form
        ? [["--openai-gelu"]]
        : [];
  return [["--ffn-hidden-size", String(width)], ...form];
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

function modelNotes(
  plan: Plan,
  mamba: LayerOf<"mamba2"> | undefined,
  attention: LayerOf<"attention"> | undefined,
): string[] {
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

function one<K extends NativeLayer["kind"]>(layers: readonly NativeLayer[], kind: K): LayerOf<K> | undefined {
  return layers.find((layer): layer is LayerOf<K> => layer.kind === kind);
}

function kindReasons(layers: readonly NativeLayer[]): string[] {
  const reasons = new Set<string>();
  const firsts = new Map<string, string>();
  for (const layer of layers) {
    const known = expressed[layer.kind];
    if (known === undefined) {
      reasons.add(`${layer.kind} layers, whose options layermix does not write for Megatron`);
      continue;
    }
    const text = JSON.stringify(layer);
    if ((firsts.get(layer.kind) ?? text) !== text) reasons.add(`${layer.kind} layers of different shapes`);
    firsts.set(layer.kind, text);
    for (const [option, value] of Object.entries(layer)) {
      const off = value === undefined || value === null || value === false || value === 0 || value === "none";
      if (option !== "kind" && !known.includes(option) && !off) {
        reasons.add(`${layer.kind} with ${option} ${JSON.stringify(value)}`);
      }
    }
  }
  return [...reasons];
}

function shapeReasons(
  mamba: LayerOf<"mamba2"> | undefined,
  attention: LayerOf<"attention"> | undefined,
  mlp: LayerOf<"mlp"> | undefined,
): string[] {
  const reasons: string[] = [];
  if (mamba !== undefined && mamba.conv !== 4) {
    reasons.push(`a convolution of ${mamba.conv} taps (Megatron's has 4, and no argument for it)`);
  }
  if (mamba !== undefined && mamba.dtMin > 0)
    reasons.push(`dt clamped at ${mamba.dtMin} (Megatron never clamps)`);
  if (attention !== undefined && attention.rotaryDim > 0 && !Number.isInteger(attention.ropeTheta)) {
    reasons.push(`a RoPE base of ${attention.ropeTheta} (--rotary-base is an integer)`);
  }
  if (mlp?.gated === true && mlp.activation !== "silu") {
    reasons.push(`a gated MLP with ${mlp.activation} (--swiglu is the gated form)`);
  }
  if (mlp?.gated === false && mlp.activation === "silu") {
    reasons.push("an MLP with silu and no gate (Megatron has gelu and squared ReLU)");
  }
  return reasons;
}

function parallelReasons(
  plan: Plan,
  layers: readonly NativeLayer[],
  { tensorParallel, pipelineParallel }: MegatronOptions,
): string[] {
  const reasons: string[] = [];
  const divides = (what: string, count: number | undefined) => {
    if (count === undefined || count % tensorParallel === 0) return;
    reasons.push(`${count} ${what} for ${tensorParallel} tensor-parallel ranks (they have to divide evenly)`);
  };
  const mamba = one(layers, "mamba2");
  const attention = one(layers, "attention");
  divides("Mamba heads", mamba?.heads);
  divides("Mamba groups", mamba?.groups);
  divides("attention heads", attention?.heads);
  // Fewer KV heads than ranks are replicated; otherwise they divide evenly.
  if (attention !== undefined && tensorParallel % attention.kvHeads !== 0) {
    divides("KV heads", attention.kvHeads);
  }
  divides("MLP channels", one(layers, "mlp")?.width);
  if (pipelineParallel > plan.pattern.length) {
    reasons.push(`${plan.pattern.length} layers for ${pipelineParallel} pipeline stages`);
  }
  return reasons;
}

function refuse(reasons: readonly string[]): LayermixError {
  const problems: Diagnostic[] = reasons.map((reason) =>
    problem("LMX5211", `Expected a model that Megatron's arguments can express, got ${reason}`),
  );
  return new LayermixError(problems, exitCodes.infeasible);
}
