// Hybrids of Mamba-2 whose layers are a mixer and a feed-forward layer: Bamba, Granite 4 (with mixtures of experts and
// multipliers), Falcon-H1 (attention beside Mamba-2 in every layer), Zamba2 (a shared transformer block).

import type { ConfigFields } from "../config_fields.js";
import { type Draft, flagged, options } from "../imported_model.js";
import {
  activation,
  attentionBias,
  attentionHeads,
  bambaMixer,
  followedBy,
  gatedMlp,
  mixersByIndex,
  mixersByType,
  multiplier,
  notBuilt,
  rope,
  ropeScaling,
  scalar,
  ungroupedNorm,
} from "./shared_fields.js";

export function bamba(config: ConfigFields): Draft {
  const attention = config.list("attn_layer_indices") ?? [];
  const mixers =
    mixersByType(config, "layers_block_type", "mamba2") ??
    mixersByIndex(config.depth("num_hidden_layers"), (index) =>
      attention.includes(index) ? "attention" : "mamba2",
    );
  return {
    layers: followedBy(mixers, () => "mlp"),
    tieEmbeddings: config.flag("tie_word_embeddings", false),
    normEps: config.number("rms_norm_eps", 1e-5),
    notCarried: [ropeScaling(config), ungroupedNorm(config.count("mamba_n_groups", 1))],
    options: {
      mamba2: () => bambaMixer(config),
      attention: () => attentionHeads(config, { position: rope(config, 0.5), ...attentionBias(config) }),
      mlp: () => gatedMlp(config, config.count("intermediate_size"), config.flag("mlp_bias", false)),
    },
  };
}

export function graniteMoeHybrid(config: ConfigFields): Draft {
  const mixers =
    mixersByType(config, "layer_types", "mamba2") ?? mixersByType(config, "layers_block_type", "mamba2");
  if (mixers === undefined) throw config.wrong("layer_types", "a list of layer types");
  const experts = config.number("num_local_experts", 0);
  const sharedWidth = config.count("shared_intermediate_size", 1024);
  const position = config.get("position_embedding_type");
  const divisor = config.number("logits_scaling", 1);
  return {
    layers: followedBy(mixers, () => (experts > 0 ? "moe" : "mlp")),
    tieEmbeddings: config.flag("tie_word_embeddings", false),
    normEps: config.number("rms_norm_eps", 1e-6),
    scaling: options({
      embedding: multiplier(config, "embedding_multiplier"),
      residual: multiplier(config, "residual_multiplier"),
      logits: divisor === 1 ? undefined : 1 / divisor,
    }),
    notCarried: [
      scalar(config, "attention_multiplier"),
      ungroupedNorm(config.count("mamba_n_groups", 1)),
      position === "rope" ? ropeScaling(config) : undefined,
    ],
    options: {
      mamba2: () => bambaMixer(config),
      attention: () =>
        attentionHeads(config, {
          ...(position === "rope" ? { position: rope(config) } : {}),
          ...attentionBias(config),
        }),
      mlp: () => gatedMlp(config, sharedWidth),
      moe: () => ({
        experts,
        top_k: config.count("num_experts_per_tok"),
        width: config.count("intermediate_size"),
        shared_width: sharedWidth,
        activation: activation(config, "hidden_act", "silu"),
        gated: true,
      }),
    },
  };
}

export function falconH1(config: ConfigFields): Draft {
  const listed = [...(config.list("ssm_multipliers") ?? []), ...(config.list("mlp_multipliers") ?? [])];
  const inner = [
    "attention_in_multiplier",
    "attention_out_multiplier",
    "key_multiplier",
    "ssm_in_multiplier",
    "ssm_out_multiplier",
  ];
  return {
    layers: followedBy(new Array<string>(config.depth("num_hidden_layers")).fill("parallel"), () => "mlp"),
    tieEmbeddings: config.flag("tie_word_embeddings", false),
    normEps: config.number("rms_norm_eps", 1e-5),
    scaling: options({
      embedding: multiplier(config, "embedding_multiplier"),
      logits: multiplier(config, "lm_head_multiplier"),
    }),
    notCarried: [
      ropeScaling(config),
      ...inner.map((field) => scalar(config, field)),
      listed.some((value) => value !== 1) ? "ssm_multipliers and mlp_multipliers" : undefined,
      config.flag("mamba_rms_norm", false) && config.flag("mamba_norm_before_gate", true)
        ? "a norm in front of the gate"
        : undefined,
    ],
    options: {
      parallel: () => ({
        mamba2: bambaMixer(config, {
          gated_norm: config.flag("mamba_rms_norm", false) ? undefined : false,
          ...(config.flag("projectors_bias", false) === config.flag("mamba_proj_bias", false)
            ? {}
            : { output_bias: config.flag("projectors_bias", false) }),
        }),
        attention: attentionHeads(config, { position: rope(config), ...attentionBias(config) }),
      }),
      mlp: () => gatedMlp(config, config.count("intermediate_size"), config.flag("mlp_bias", false)),
    },
  };
}

export function zamba2(config: ConfigFields): Draft {
  const hidden = config.count("hidden_size");
  const heads = config.count("n_mamba_heads", 8);
  const types = config.list("layers_block_type");
  const hybrid = config.list("hybrid_layer_ids") ?? [];
  const isHybrid = (index: number): boolean => {
    const type = types?.[index];
    if (types === undefined) return hybrid.includes(index);
    if (type === "hybrid") return true;
    if (type === "mamba" || type === "linear_attention") return false;
    throw notBuilt(config, `layer ${index} of type ${JSON.stringify(type)}`);
  };
  const layers = Array.from({ length: types?.length ?? config.depth("num_hidden_layers") }, (_, index) =>
    isHybrid(index) ? ["shared_transformer", "mamba2"] : ["mamba2"],
  );
  const bias = flagged(config.flag("add_bias_linear", false));
  const attentionWidth = config.count("attention_hidden_size", 2 * hidden);
  const attentionHeadCount = config.count("num_attention_heads", 32);
  return {
    layers: layers.flat(),
    tieEmbeddings: config.flag("tie_word_embeddings", true),
    normEps: config.number("rms_norm_eps", 1e-5),
    notCarried: [
      config.flag("use_long_context", false) ? "scaled RoPE frequencies (long context)" : undefined,
    ],
    options: {
      mamba2: () =>
        options({
          heads,
          head_dim: (config.number("mamba_expand", 2) * hidden) / heads,
          groups: config.count("mamba_ngroups", 1),
          state: config.count("mamba_d_state", 64),
          conv: config.count("mamba_d_conv", 4),
          chunk: config.count("chunk_size", 256),
          bias,
          conv_bias: config.flag("use_conv_bias", true) ? undefined : false,
        }),
      shared_transformer: () =>
        options({
          copies: config.count("num_mem_blocks", 1),
          adapter_rank: config.count("adapter_rank", 128),
          attention_adapters: flagged(config.flag("use_shared_attention_adapter", false)),
          attention: options({
            heads: attentionHeadCount,
            kv_heads: config.count("num_key_value_heads", attentionHeadCount),
            head_dim: config.count("attention_head_dim", attentionWidth / attentionHeadCount),
            position: config.flag("use_mem_rope", false) ? rope(config) : undefined,
          }),
          mlp: options({
            width: config.count("intermediate_size", 4 * hidden),
            activation: activation(config, "hidden_act", "gelu"),
            bias,
          }),
        }),
    },
  };
}
