// Hybrids of linear attention and attention: Qwen3-Next and OLMo-Hybrid (gated DeltaNet), Kimi Linear (KDA and latent
// attention), MiniMax-01 (lightning attention), RecurrentGemma (RG-LRU), LFM2 (short convolutions).

import type { ConfigFields } from "../config_fields.js";
import { type Draft, flagged, options, type RawKind } from "../imported_model.js";
import {
  activation,
  attentionBias,
  attentionHeads,
  followedBy,
  gatedMlp,
  mixersByIndex,
  mixersByType,
  rope,
  ropeScaling,
  scalar,
} from "./shared_fields.js";

function gatedDeltaNet(config: ConfigFields): RawKind {
  return {
    key_heads: config.count("linear_num_key_heads"),
    value_heads: config.count("linear_num_value_heads"),
    key_dim: config.count("linear_key_head_dim"),
    value_dim: config.count("linear_value_head_dim"),
    conv: config.count("linear_conv_kernel_dim", 4),
  };
}

export function qwen3Next(config: ConfigFields): Draft {
  const interval = config.count("full_attention_interval", 4);
  const mixers =
    mixersByType(config, "layer_types", "gated_deltanet") ??
    mixersByIndex(config.depth("num_hidden_layers"), (index) =>
      (index + 1) % interval === 0 ? "attention" : "gated_deltanet",
    );
  const dense = config.list("mlp_only_layers") ?? [];
  const step = config.count("decoder_sparse_step", 1);
  const experts = config.number("num_experts", 0);
  const isSparse = (index: number) => experts > 0 && !dense.includes(index) && (index + 1) % step === 0;
  return {
    layers: followedBy(mixers, (index) => (isSparse(index) ? "moe" : "mlp")),
    tieEmbeddings: config.flag("tie_word_embeddings", false),
    normEps: config.number("rms_norm_eps", 1e-6),
    notCarried: [ropeScaling(config)],
    options: {
      gated_deltanet: () => gatedDeltaNet(config),
      attention: () =>
        attentionHeads(config, {
          position: rope(config, 0.25),
          gated: true,
          qk_norm: "head",
          ...attentionBias(config),
        }),
      mlp: () => gatedMlp(config, config.count("intermediate_size")),
      moe: () => ({
        experts,
        top_k: config.count("num_experts_per_tok"),
        width: config.count("moe_intermediate_size"),
        shared_width: config.count("shared_expert_intermediate_size"),
        shared_gate: true,
        activation: activation(config, "hidden_act", "silu"),
        gated: true,
      }),
    },
  };
}

export function olmoHybrid(config: ConfigFields): Draft {
  const mixers =
    mixersByType(config, "layer_types", "gated_deltanet") ??
    mixersByIndex(config.depth("num_hidden_layers"), (index) =>
      index % 4 === 3 ? "attention" : "gated_deltanet",
    );
  const usesRope = config.get("rope_parameters") !== undefined || config.get("rope_theta") !== undefined;
  return {
    layers: followedBy(mixers, () => "mlp"),
    tieEmbeddings: config.flag("tie_word_embeddings", false),
    normEps: config.number("rms_norm_eps", 1e-6),
    notCarried: [
      ropeScaling(config),
      "norms behind attention and its MLP instead of in front",
      config.flag("linear_allow_neg_eigval", true) ? "negative eigenvalues of the delta rule" : undefined,
    ],
    options: {
      gated_deltanet: () => gatedDeltaNet(config),
      attention: () =>
        attentionHeads(config, {
          ...(usesRope ? { position: rope(config) } : {}),
          qk_norm: "all",
          ...attentionBias(config),
        }),
      mlp: () => gatedMlp(config, config.count("intermediate_size")),
    },
  };
}

export function kimiLinear(config: ConfigFields): Draft {
  // On the hub the linear layers are listed, counted from 1, in a section of their own.
  const linear = config.section("linear_attn_config");
  const full = linear?.list("full_attn_layers") ?? [];
  const layers = config.depth("num_hidden_layers");
  const mixers =
    mixersByType(config, "layer_types", "kda", "mla") ??
    mixersByIndex(layers, (index) => (full.includes(index + 1) ? "mla" : "kda"));
  const types = config.list("mlp_layer_types");
  const dense = config.number("first_k_dense_replace", 1);
  const isSparse = (index: number) => (types === undefined ? index >= dense : types[index] === "sparse");
  const linearField = (name: string, own: string) => (linear ?? config).count(linear ? own : name);
  const width = config.count("moe_intermediate_size");
  const queryRank = config.get("q_lora_rank");
  return {
    layers: followedBy(mixers, (index) => (isSparse(index) ? "moe" : "mlp")),
    tieEmbeddings: false, // the class never ties them, whatever tie_word_embeddings says
    normEps: config.number("rms_norm_eps", 1e-5),
    notCarried: [scalar(config, "routed_scaling_factor")],
    options: {
      kda: () => ({
        heads: linearField("linear_num_heads", "num_heads"),
        head_dim: linearField("linear_head_dim", "head_dim"),
        conv: linearField("linear_conv_kernel_dim", "short_conv_kernel_size"),
      }),
      mla: () =>
        options({
          heads: config.count("num_attention_heads"),
          q_rank: queryRank === undefined ? undefined : config.count("q_lora_rank"),
          kv_rank: config.count("kv_lora_rank"),
          nope_dim: config.count("qk_nope_head_dim"),
          rope_dim: config.count("qk_rope_head_dim"),
          value_dim: config.count("v_head_dim"),
          bias: flagged(config.flag("attention_bias", false)),
        }),
      mlp: () => gatedMlp(config, config.count("intermediate_size")),
      moe: () => ({
        experts: config.count("num_experts"),
        top_k: config.count("num_experts_per_token"),
        width,
        shared_width: width * config.count("num_shared_experts", 1),
        activation: activation(config, "hidden_act", "silu"),
        gated: true,
      }),
    },
  };
}

export function minimax(config: ConfigFields): Draft {
  const mixers =
    mixersByType(config, "layer_types", "lightning") ??
    mixersByIndex(config.depth("num_hidden_layers"), (index) =>
      index % 2 === 0 ? "attention" : "lightning",
    );
  const factors = ["full_attn", "linear_attn", "mlp"].flatMap((part) => [
    `${part}_alpha_factor`,
    `${part}_beta_factor`,
  ]);
  const heads = config.count("num_attention_heads");
  return {
    layers: followedBy(mixers, () => "moe"),
    tieEmbeddings: config.flag("tie_word_embeddings", false),
    normEps: config.number("rms_norm_eps", 1e-5),
    notCarried: [ropeScaling(config), ...factors.map((field) => scalar(config, field))],
    options: {
      lightning: () =>
        options({
          heads,
          head_dim:
            config.get("head_dim") === undefined
              ? config.count("hidden_size") / heads
              : config.count("head_dim"),
        }),
      attention: () => attentionHeads(config, { position: rope(config) }),
      moe: () => ({
        experts: config.count("num_local_experts"),
        top_k: config.count("num_experts_per_tok"),
        width: config.count("intermediate_size"),
        activation: activation(config, "hidden_act", "silu"),
        gated: true,
      }),
    },
  };
}

export function recurrentGemma(config: ConfigFields): Draft {
  const types =
    mixersByType(config, "block_types", "rg_lru", "sliding_attention") ??
    (["rg_lru", "rg_lru", "sliding_attention"] as const);
  const hidden = config.count("hidden_size");
  const heads = config.count("num_attention_heads", 10);
  const mixers = mixersByIndex(config.depth("num_hidden_layers"), (index) => types[index % types.length]!);
  return {
    layers: followedBy(mixers, () => "mlp"),
    tieEmbeddings: config.flag("tie_word_embeddings", true),
    normEps: config.number("rms_norm_eps", 1e-6),
    scaling: options({
      embedding: Math.sqrt(hidden),
      softcap: config.get("logits_soft_cap") === undefined ? undefined : config.number("logits_soft_cap", 30),
    }),
    options: {
      rg_lru: () => ({
        width: config.count("lru_width", hidden),
        heads,
        conv: config.count("conv1d_width", 4),
      }),
      sliding_attention: () =>
        attentionHeads(config, {
          window: config.count("attention_window_size", 2048),
          position: rope(config, 0.5),
          qkv_bias: flagged(config.flag("attention_bias", false)),
          output_bias: true,
        }),
      // Both matrices of the gate have half the width that the configuration gives.
      mlp: () =>
        gatedMlp(config, Math.floor(config.count("intermediate_size") / 2), true, "hidden_activation"),
    },
  };
}

export function lfm2(config: ConfigFields): Draft {
  const attention = config.list("full_attn_idxs") ?? [];
  const mixers =
    mixersByType(config, "layer_types", "short_conv") ??
    mixersByIndex(config.depth("num_hidden_layers"), (index) =>
      attention.includes(index) ? "attention" : "short_conv",
    );
  return {
    layers: followedBy(mixers, () => "mlp"),
    tieEmbeddings: config.flag("tie_word_embeddings", true),
    normEps: config.number("norm_eps", 1e-5),
    notCarried: [ropeScaling(config)],
    options: {
      short_conv: () =>
        options({
          conv: config.count("conv_L_cache", 3),
          bias: flagged(config.flag("conv_bias", false)),
        }),
      attention: () => attentionHeads(config, { position: rope(config), qk_norm: "head" }),
      mlp: () => ({ width: lfm2Width(config), activation: "silu", gated: true }),
    },
  };
}

// Two thirds of the width times a multiplier, in whole steps, where the class adjusts it.
function lfm2Width(config: ConfigFields): number {
  const width = config.count("intermediate_size");
  if (!config.flag("block_auto_adjust_ff_dim", true)) return width;
  const adjusted = Math.trunc((2 * width) / 3);
  if (config.get("block_ffn_dim_multiplier") === undefined) return adjusted;
  const step = config.count("block_multiple_of", 256);
  return step * Math.ceil(Math.trunc(config.number("block_ffn_dim_multiplier", 1) * adjusted) / step);
}
