// config.json of a Hugging Face model -> the native model it describes, for the two classes whose function
// layermix computes exactly: nemotron_h (layers M, * and -) and mamba2 (one group: its gated norm ignores
// groups). Everything that would change the function and is not built is refused by name; defaults are those
// of transformers 5.18.0.

import type { NativeLayer } from "../block/block.js";
import type { NativeModelConfig } from "../run/native.js";
import { ConfigFields, toNumber } from "./config_fields.js";
import { invalidFile } from "./interop_error.js";
import type { Json } from "./strict_json.js";

type LayerKind = NativeLayer["kind"];
type MlpActivation = Extract<NativeLayer, { kind: "mlp" }>["activation"];

const kindBySymbol: Readonly<Record<string, LayerKind>> = { M: "mamba2", "*": "attention", "-": "mlp" };
const symbolByBlockType: Readonly<Record<string, string>> = {
  linear_attention: "M",
  full_attention: "*",
  mlp: "-",
  moe: "E",
  mamba: "M", // names before transformers 5
  attention: "*",
};
const activations: Readonly<Record<string, MlpActivation>> = {
  relu2: "relu2",
  silu: "silu",
  swish: "silu",
  gelu: "gelu_erf",
  gelu_new: "gelu",
  gelu_pytorch_tanh: "gelu",
};

export interface HuggingFaceModel {
  readonly model: NativeModelConfig;
  /**
   * Which of the native hidden states (0 = embedding, i = output of layer i - 1, layers + 1 = final norm) the
   * class returns as hidden_states.N: nemotron_h the inputs of its layers, mamba2 their outputs, both end
   * with the final norm.
   */
  readonly hiddenStates: readonly number[];
}

/** The native model of a config.json. Throws LMX5101 (bad field) or LMX5102 (not built). */
export function readHuggingFaceConfig(text: string, file: string): HuggingFaceModel {
  const config = new ConfigFields(text, file);
  const type = config.text("model_type");
  if (type === "nemotron_h") return withHiddenStates(nemotronH(config), 0);
  if (type === "mamba2") return withHiddenStates(mamba2(config), 1);
  throw notBuilt(config, `model_type ${type}`, "layermix runs nemotron_h and mamba2 checkpoints.");
}

function withHiddenStates(model: NativeModelConfig, first: number): HuggingFaceModel {
  return { model, hiddenStates: [...model.layers.map((_, layer) => layer + first), model.layers.length + 1] };
}

function nemotronH(config: ConfigFields): NativeModelConfig {
  refuse(config, "use_bias", false);
  refuse(config, "mamba_proj_bias", false);
  refuse(config, "mlp_bias", false);
  refuse(config, "use_conv_bias", true);
  refuse(config, "mamba_hidden_act", "silu");
  if (config.get("sliding_window") !== undefined) throw notBuilt(config, "sliding_window");
  const headDim = config.count("head_dim", 128);
  const layers: Readonly<Record<LayerKind, () => NativeLayer>> = {
    mamba2: () => ({
      kind: "mamba2",
      heads: config.count("mamba_num_heads", 128),
      headDim: config.count("mamba_head_dim", 64),
      groups: config.count("n_groups", 8),
      state: config.count("ssm_state_size", 128),
      conv: config.count("conv_kernel", 4),
      chunk: config.count("chunk_size", 128),
      dtMin: config.number("time_step_min", 0.001), // clamps dt; time_step_limit is ignored by the class
    }),
    attention: () => ({
      kind: "attention",
      heads: config.count("num_attention_heads", 32),
      kvHeads: config.count("num_key_value_heads", 8),
      headDim,
      rotaryDim: 0,
      ropeTheta: 10000,
    }),
    mlp: () => ({
      kind: "mlp",
      width: config.count("intermediate_size", 21504),
      activation: mlpActivation(config),
      gated: false,
    }),
  };
  return {
    hidden: config.count("hidden_size", 4096),
    vocab: config.count("vocab_size", 131072),
    tieEmbeddings: false, // the class never ties them, whatever tie_word_embeddings says
    normEps: config.number("layer_norm_epsilon", 1e-5),
    layers: layerKinds(config).map((kind) => layers[kind]()),
  };
}

function mamba2(config: ConfigFields): NativeModelConfig {
  refuse(config, "use_bias", false);
  refuse(config, "use_conv_bias", true);
  refuse(config, "hidden_act", "silu");
  const groups = config.count("n_groups", 8);
  if (groups !== 1) {
    const why =
      "Mamba2ForCausalLM normalises over all channels whatever n_groups is; layermix normalises each group.";
    throw notBuilt(config, `n_groups ${groups} in model_type mamba2`, why);
  }
  const [dtMin, dtMax] = (config.list("time_step_limit") ?? [0, Number.POSITIVE_INFINITY]).map(toNumber);
  if (dtMin === undefined || dtMax === undefined) throw config.wrong("time_step_limit", "two numbers");
  if (dtMax !== Number.POSITIVE_INFINITY) throw notBuilt(config, `a time_step_limit that ends at ${dtMax}`);
  const hidden = config.count("hidden_size", 4096);
  const heads = config.count("num_heads", 128);
  const headDim = config.count("head_dim", 64);
  if (hidden * config.number("expand", 2) !== heads * headDim) {
    throw config.wrong(
      "num_heads",
      `hidden_size * expand / head_dim (${heads * headDim} channels otherwise)`,
    );
  }
  const layer: NativeLayer = {
    kind: "mamba2",
    heads,
    headDim,
    groups,
    state: config.count("state_size", 128),
    conv: config.count("conv_kernel", 4),
    chunk: config.count("chunk_size", 256),
    dtMin,
  };
  return {
    hidden,
    vocab: config.count("vocab_size", 32768),
    tieEmbeddings: config.flag("tie_word_embeddings", false),
    normEps: config.number("layer_norm_epsilon", 1e-5),
    layers: new Array<NativeLayer>(config.count("num_hidden_layers", 64)).fill(layer),
  };
}

// layers_block_type wins over hybrid_override_pattern, as in the class.
function layerKinds(config: ConfigFields): readonly LayerKind[] {
  const blockTypes = config.list("layers_block_type");
  const symbols = blockTypes
    ? blockTypes.map((type) => lookUp(symbolByBlockType, type) ?? String(type))
    : [...config.text("hybrid_override_pattern")];
  return symbols.map((symbol, index) => {
    const kind = lookUp(kindBySymbol, symbol);
    if (kind === undefined) throw notBuilt(config, `layer ${index} of kind ${JSON.stringify(symbol)}`);
    return kind;
  });
}

// A name from the file in one of the tables above; "constructor" is in none.
function lookUp<T>(table: Readonly<Record<string, T>>, name: Json): T | undefined {
  return typeof name === "string" && Object.hasOwn(table, name) ? table[name] : undefined;
}

function mlpActivation(config: ConfigFields): MlpActivation {
  const name = config.get("mlp_hidden_act") ?? "relu2";
  const known = lookUp(activations, name);
  if (known === undefined) throw notBuilt(config, `mlp_hidden_act ${JSON.stringify(name)}`);
  return known;
}

function refuse(config: ConfigFields, name: string, only: boolean | string): void {
  const value = config.get(name) ?? only;
  if (value !== only)
    throw notBuilt(config, `${name} ${JSON.stringify(value)}`, `Only ${name} ${only} is built.`);
}

function notBuilt(config: ConfigFields, what: string, ...help: readonly string[]): Error {
  return invalidFile(
    "LMX5102",
    `Expected a model that layermix can run, got ${what} in ${config.file}`,
    ...help,
  );
}
