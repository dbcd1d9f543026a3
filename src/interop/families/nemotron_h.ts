// NemotronH: any order of Mamba-2, attention without position embedding, MLP and mixtures of experts. Mamba-2 alone:
// mamba2 of transformers. Both are models that the native library runs, where it has their layers.

import type { ConfigFields } from "../config_fields.js";
import { toNumber } from "../config_fields.js";
import { type Draft, flagged, options } from "../imported_model.js";
import { activation, lookUp, notBuilt, ungroupedNorm } from "./shared_fields.js";

const kindBySymbol: Readonly<Record<string, string>> = {
  M: "mamba2",
  "*": "attention",
  "-": "mlp",
  E: "moe",
};
const symbolByBlockType: Readonly<Record<string, string>> = {
  linear_attention: "M",
  full_attention: "*",
  mlp: "-",
  moe: "E",
  mamba: "M", // names before transformers 5
  attention: "*",
};

export function nemotronH(config: ConfigFields): Draft {
  const slidingWindow = config.get("sliding_window");
  return {
    layers: layerKinds(config),
    hidden: config.count("hidden_size", 4096),
    vocab: config.count("vocab_size", 131_072),
    tieEmbeddings: false, // the class never ties them, whatever tie_word_embeddings says
    normEps: config.number("layer_norm_epsilon", 1e-5),
    notCarried: [
      slidingWindow === undefined ? undefined : `sliding_window ${JSON.stringify(slidingWindow)}`,
      config.number("num_nextn_predict_layers", 0) > 0 ? "multi-token prediction" : undefined,
    ],
    options: {
      mamba2: () =>
        options({
          heads: config.count("mamba_num_heads", 128),
          head_dim: config.count("mamba_head_dim", 64),
          groups: config.count("n_groups", 8),
          state: config.count("ssm_state_size", 128),
          conv: config.count("conv_kernel", 4),
          chunk: config.count("chunk_size", 128),
          dt_min: config.number("time_step_min", 0.001), // clamps dt; time_step_limit is ignored by the class
          bias: flagged(config.flag("use_bias", false)),
          conv_bias: config.flag("use_conv_bias", true) ? undefined : false,
        }),
      attention: () => ({
        heads: config.count("num_attention_heads", 32),
        kv_heads: config.count("num_key_value_heads", 8),
        head_dim: config.count("head_dim", 128),
      }),
      mlp: () =>
        options({
          width: config.count("intermediate_size", 21_504),
          activation: activation(config, "mlp_hidden_act", "relu2"),
          bias: flagged(config.flag("mlp_bias", false)),
        }),
      moe: () =>
        options({
          experts: config.count("n_routed_experts", 8),
          top_k: config.count("num_experts_per_tok", 2),
          width: config.count("moe_intermediate_size", 7688),
          shared_width:
            config.count("moe_shared_expert_intermediate_size", 7688) * config.number("n_shared_experts", 1),
          latent: config.get("moe_latent_size") === undefined ? undefined : config.count("moe_latent_size"),
          activation: activation(config, "mlp_hidden_act", "relu2"),
        }),
    },
  };
}

// layers_block_type wins over hybrid_override_pattern, as in the class.
function layerKinds(config: ConfigFields): readonly string[] {
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

export function mamba2(config: ConfigFields): Draft {
  const [dtMin, dtMax] = (config.list("time_step_limit") ?? [0, Number.POSITIVE_INFINITY]).map(toNumber);
  if (dtMin === undefined || dtMax === undefined) throw config.wrong("time_step_limit", "two numbers");
  const hidden = config.count("hidden_size", 4096);
  const heads = config.count("num_heads", 128);
  const headDim = config.count("head_dim", 64);
  if (hidden * config.number("expand", 2) !== heads * headDim) {
    throw config.wrong(
      "num_heads",
      `hidden_size * expand / head_dim (${heads * headDim} channels otherwise)`,
    );
  }
  const groups = config.count("n_groups", 8);
  return {
    layers: new Array<string>(config.depth("num_hidden_layers", 64)).fill("mamba2"),
    hidden,
    vocab: config.count("vocab_size", 32_768),
    tieEmbeddings: config.flag("tie_word_embeddings", false),
    normEps: config.number("layer_norm_epsilon", 1e-5),
    notCarried: [
      ungroupedNorm(groups),
      dtMax === Number.POSITIVE_INFINITY ? undefined : `a time_step_limit that ends at ${dtMax}`,
    ],
    options: {
      mamba2: () =>
        options({
          heads,
          head_dim: headDim,
          groups,
          state: config.count("state_size", 128),
          conv: config.count("conv_kernel", 4),
          chunk: config.count("chunk_size", 256),
          dt_min: dtMin,
          bias: flagged(config.flag("use_bias", false)),
          conv_bias: config.flag("use_conv_bias", true) ? undefined : false,
        }),
    },
  };
}
