// A native model as the config.json of Hugging Face's NemotronH, the class whose layers are layermix's own: M, * and -
// in any order, each x + mixer(norm(x)). Written so that transformers computes the same function: time_step_min is the
// model's own clamp (the class default of 0.001 clamps dt in prefill but not in decode), use_cache is off without
// attention (its cache asks an attention layer for the length), token ids that a small vocabulary lacks are null.
// What the class cannot say is refused, with the class that could; nothing is left out silently.

import type { NativeLayer } from "../block/block.js";
import { type Diagnostic, exitCodes, LayermixError } from "../diag/diagnostic.js";
import { nativeGaps } from "../plan/native_model.js";
import type { Plan } from "../plan/plan_types.js";
import type { NativeModelConfig } from "../run/native.js";
import { problem } from "./interop_error.js";
import { classesThatHold, classOfKinds } from "./transformers_classes.js";

type LayerOf<K extends NativeLayer["kind"]> = Extract<NativeLayer, { kind: K }>;

/** Options of a layer that the class expresses; any other one has to be absent or off. */
const expressed: Readonly<Record<"mamba2" | "attention" | "mlp", readonly string[]>> = {
  mamba2: ["heads", "headDim", "groups", "state", "conv", "chunk", "dtMin"],
  attention: ["heads", "kvHeads", "headDim", "rotaryDim", "ropeTheta"],
  mlp: ["width", "activation", "gated"],
};
const symbols: Readonly<Record<string, string>> = { mamba2: "M", attention: "*", mlp: "-" };

/** Names of transformers' ACT2FN; "gelu" there is the erf form. */
export const activationNames: Readonly<Record<LayerOf<"mlp">["activation"], string>> = {
  relu2: "relu2",
  silu: "silu",
  gelu: "gelu_pytorch_tanh",
  gelu_erf: "gelu",
};

export interface NemotronHExport {
  /** The fields of config.json, in the order they are written. */
  readonly config: Readonly<Record<string, unknown>>;
  /** What a reader of the export should know, a sentence each. */
  readonly notes: readonly string[];
}

/** The configuration of `model`. Throws LMX5201, one diagnostic per reason, when the class cannot hold it. */
export function nemotronHConfig(model: NativeModelConfig, dtype: "float32" | "bfloat16"): NemotronHExport {
  const problems = inexpressible(model);
  if (problems.length > 0) throw new LayermixError(problems, exitCodes.infeasible);
  const mamba = firstOf(model, "mamba2");
  const attention = firstOf(model, "attention");
  const mlp = firstOf(model, "mlp");
  const notes: string[] = [];
  if (model.tieEmbeddings) {
    notes.push(
      "NemotronH never ties its embeddings: lm_head.weight is stored as a copy of them, and further training in transformers unties the two.",
    );
  }
  if (mamba !== undefined && mamba.dtMin > 0) {
    notes.push(
      `transformers clamps dt at ${mamba.dtMin} when it reads a prompt, but not when it decodes one token at a time (5.18): pass use_cache=False to generate().`,
    );
  }
  const config = {
    architectures: ["NemotronHForCausalLM"],
    model_type: "nemotron_h",
    dtype,
    vocab_size: model.vocab,
    hidden_size: model.hidden,
    num_hidden_layers: model.layers.length,
    hybrid_override_pattern: model.layers.map(({ kind }) => symbols[kind]).join(""),
    layer_norm_epsilon: model.normEps,
    tie_word_embeddings: false,
    ...(mamba !== undefined && {
      mamba_num_heads: mamba.heads,
      mamba_head_dim: mamba.headDim,
      n_groups: mamba.groups,
      ssm_state_size: mamba.state,
      conv_kernel: mamba.conv,
      chunk_size: mamba.chunk,
      mamba_hidden_act: "silu",
      use_conv_bias: true,
    }),
    time_step_min: mamba?.dtMin ?? 0,
    ...(attention !== undefined && {
      num_attention_heads: attention.heads,
      num_key_value_heads: attention.kvHeads,
      head_dim: attention.headDim,
      attention_dropout: 0,
    }),
    ...(mlp !== undefined && {
      intermediate_size: mlp.width,
      mlp_hidden_act: activationNames[mlp.activation],
    }),
    use_bias: false,
    mamba_proj_bias: false,
    attention_bias: false,
    mlp_bias: false,
    residual_in_fp32: false,
    use_cache: attention !== undefined,
    // A model trained here has no special tokens; the class defaults (0, 1, 2) are ordinary ones to it.
    pad_token_id: null,
    bos_token_id: null,
    eos_token_id: null,
  };
  return { config, notes };
}

/** Throws LMX5201 for a plan that the native library does not run: nobody could make its weights. */
export function refuseUntrainable(plan: Plan): void {
  const gaps = nativeGaps(plan);
  if (gaps.length === 0) return;
  const help = classOfKinds(new Set(plan.layers.map(({ block }) => block.kind)));
  const problems = gaps.map((gap) =>
    problem("LMX5201", `Expected a model that NemotronH can express, got ${gap}`, help),
  );
  throw new LayermixError(problems, exitCodes.infeasible);
}

/** Fields that the class declares as floats: transformers 5 checks types, and 0 is an integer to Python. */
const floatFields = /^( *"(?:layer_norm_epsilon|time_step_min|attention_dropout)": \d+)(,?)$/gm;

/** The text of config.json. */
export function configText(config: NemotronHExport["config"]): string {
  return `${JSON.stringify(config, undefined, 2).replace(floatFields, "$1.0$2")}\n`;
}

function firstOf<K extends NativeLayer["kind"]>(model: NativeModelConfig, kind: K): LayerOf<K> | undefined {
  return model.layers.find((layer): layer is LayerOf<K> => layer.kind === kind);
}

/** Every reason why NemotronH cannot hold the model. */
function inexpressible(model: NativeModelConfig): readonly Diagnostic[] {
  const reasons = new Map<string, string>();
  for (const [index, layer] of model.layers.entries()) {
    for (const reason of layerReasons(layer)) {
      if (!reasons.has(reason)) reasons.set(reason, `layer ${index}`);
    }
    const first = firstOf(model, layer.kind)!;
    if (JSON.stringify(first) !== JSON.stringify(layer)) {
      reasons.set(`${layer.kind} layers of different shapes`, `layer ${index}`);
    }
  }
  return [...reasons].map(([reason, where]) =>
    problem(
      "LMX5201",
      `Expected a model that NemotronH can express, got ${reason} (${where})`,
      classesThatHold(model),
    ),
  );
}

function layerReasons(layer: NativeLayer): readonly string[] {
  const known = (expressed as Readonly<Record<string, readonly string[] | undefined>>)[layer.kind];
  if (known === undefined) return [`${layer.kind} layers`];
  const reasons: string[] = [];
  if (layer.kind === "attention" && layer.rotaryDim > 0) {
    reasons.push(`attention with RoPE on ${layer.rotaryDim} of ${layer.headDim} channels`);
  }
  if (layer.kind === "mlp" && layer.gated) reasons.push(`a gated MLP (${layer.activation})`);
  for (const [option, value] of Object.entries(layer)) {
    if (option === "kind" || known.includes(option) || isOff(value)) continue;
    reasons.push(`${layer.kind} with ${option} ${JSON.stringify(value)}`);
  }
  return reasons;
}

/** An option that changes nothing. */
function isOff(value: unknown): boolean {
  return value === undefined || value === null || value === false || value === 0 || value === "none";
}
