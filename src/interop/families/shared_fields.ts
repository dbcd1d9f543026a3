// Fields that many configurations have in common: activations, RoPE, kinds by layer type, Mamba-2 under the names that
// Bamba began. Defaults are those of transformers 5.18.0.

import type { ConfigFields } from "../config_fields.js";
import { flagged, options, type RawKind } from "../imported_model.js";
import { invalidFile } from "../interop_error.js";
import type { Json } from "../strict_json.js";

const activations: Readonly<Record<string, string>> = {
  relu2: "relu2",
  silu: "silu",
  swish: "silu",
  gelu: "gelu_erf",
  gelu_new: "gelu",
  gelu_pytorch_tanh: "gelu",
};

/** Something that layermix has not, by name. */
export function notBuilt(config: ConfigFields, what: string, ...help: readonly string[]): Error {
  return invalidFile(
    "LMX5102",
    `Expected a model that layermix can ${config.purpose}, got ${what} in ${config.file}`,
    ...help,
  );
}

/** A name from the file in a table; "constructor" is in none. */
export function lookUp<T>(table: Readonly<Record<string, T>>, name: Json): T | undefined {
  return typeof name === "string" && Object.hasOwn(table, name) ? table[name] : undefined;
}

/** The activation under `field`, by layermix's name. */
export function activation(config: ConfigFields, field: string, fallback: string): string {
  const name = config.get(field) ?? fallback;
  const known = lookUp(activations, name);
  if (known === undefined) throw notBuilt(config, `${field} ${JSON.stringify(name)}`);
  return known;
}

/** A gated MLP, as nearly all of these models have it. */
export function gatedMlp(config: ConfigFields, width: number, bias = false, act = "hidden_act"): RawKind {
  return options({
    width,
    activation: activation(config, act, "silu"),
    gated: true,
    bias: flagged(bias),
  });
}

const scaledRope = "scaled RoPE frequencies";

/** RoPE under its names before and since transformers 5. */
export function rope(config: ConfigFields, fraction = 1): RawKind {
  const parameters = config.section("rope_parameters");
  return {
    kind: "rope",
    theta: (parameters ?? config).number("rope_theta", 10_000),
    fraction: (parameters ?? config).number(
      "partial_rotary_factor",
      config.number("partial_rotary_factor", fraction),
    ),
  };
}

/** What RoPE does beside rotating with theta. */
export function ropeScaling(config: ConfigFields): string | undefined {
  const parameters = config.section("rope_parameters") ?? config.section("rope_scaling");
  const kind = parameters?.get("rope_type") ?? parameters?.get("type") ?? "default";
  return kind === "default" ? undefined : `${scaledRope} (${String(kind)})`;
}

/** Heads of attention; further options beside them. */
export function attentionHeads(config: ConfigFields, further: RawKind = {}): RawKind {
  const heads = config.count("num_attention_heads");
  return options({
    heads,
    kv_heads: config.count("num_key_value_heads", heads),
    head_dim: config.get("head_dim") === undefined ? undefined : config.count("head_dim"),
    ...further,
  });
}

/** Biases of all four projections. */
export function attentionBias(config: ConfigFields): RawKind {
  const bias = flagged(config.flag("attention_bias", false));
  return options({ qkv_bias: bias, output_bias: bias });
}

/** Names of layer types, before and since transformers 5. */
const layerTypes: Readonly<Record<string, "recurrent" | "attention">> = {
  linear_attention: "recurrent",
  mamba: "recurrent",
  conv: "recurrent",
  recurrent: "recurrent",
  full_attention: "attention",
  attention: "attention",
};

/** The mixer of every layer from a list of types; undefined without the list. */
export function mixersByType(
  config: ConfigFields,
  field: string,
  recurrent: string,
  attention = "attention",
): readonly string[] | undefined {
  return config.list(field)?.map((type, index) => {
    const role = lookUp(layerTypes, type);
    if (role === undefined) throw notBuilt(config, `layer ${index} of type ${JSON.stringify(type)}`);
    return role === "recurrent" ? recurrent : attention;
  });
}

/** `count` layers, the mixer of each by its index. */
export function mixersByIndex(count: number, mixer: (index: number) => string): readonly string[] {
  return Array.from({ length: count }, (_, index) => mixer(index));
}

/** Every mixer followed by a feed-forward layer. */
export function followedBy(
  mixers: readonly string[],
  feedForward: (index: number) => string,
): readonly string[] {
  return mixers.flatMap((mixer, index) => [mixer, feedForward(index)]);
}

/** Mamba-2 under the names of Bamba (mamba_n_heads, mamba_d_head ...); `further` options replace these. */
export function bambaMixer(config: ConfigFields, further: RawKind = {}): RawKind {
  const expand = config.number("mamba_expand", 2);
  const heads = config.count("mamba_n_heads", 128);
  const headDim = config.get("mamba_d_head");
  return options({
    heads,
    head_dim:
      typeof headDim === "number"
        ? config.count("mamba_d_head")
        : (expand * config.count("hidden_size")) / heads,
    groups: config.count("mamba_n_groups", 1),
    state: config.count("mamba_d_state", 256),
    conv: config.count("mamba_d_conv", 4),
    chunk: config.count("mamba_chunk_size", 256),
    bias: flagged(config.flag("mamba_proj_bias", false)),
    conv_bias: config.flag("mamba_conv_bias", true) ? undefined : false,
    ...further,
  });
}

/** The gated norm of these classes takes all channels at once, whatever the groups; layermix takes each group. */
export function ungroupedNorm(groups: number): string | undefined {
  return groups === 1 ? undefined : `a gated norm over all channels instead of each of the ${groups} groups`;
}

/** A multiplier that is not 1. */
export function multiplier(config: ConfigFields, field: string): number | undefined {
  const value = config.number(field, 1);
  return value === 1 ? undefined : value;
}

/** "embedding multiplier 12" for scalars that study files have no place for. */
export function scalar(config: ConfigFields, field: string): string | undefined {
  const value = multiplier(config, field);
  return value === undefined ? undefined : `${field} ${value}`;
}
