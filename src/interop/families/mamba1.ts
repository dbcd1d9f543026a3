// Models of Mamba-1: mamba and falcon_mamba (which normalises dt, B and C without weights) alone, and Jamba, where every
// eighth mixer is attention and every second feed-forward layer a mixture of experts.

import type { ConfigFields } from "../config_fields.js";
import { type Draft, flagged, options, type RawKind } from "../imported_model.js";
import {
  activation,
  attentionHeads,
  followedBy,
  gatedMlp,
  mixersByIndex,
  mixersByType,
} from "./shared_fields.js";

/** "auto" is the kind's own default, hidden / 16. */
function rank(config: ConfigFields, field: string): number | undefined {
  const value = config.get(field);
  return value === undefined || value === "auto" ? undefined : config.count(field);
}

function pure(config: ConfigFields, further: RawKind): Draft {
  return {
    layers: new Array<string>(config.depth("num_hidden_layers")).fill("mamba1"),
    tieEmbeddings: config.flag("tie_word_embeddings", true),
    normEps: config.number("layer_norm_epsilon", 1e-5),
    options: {
      mamba1: () =>
        options({
          state: config.count("state_size", 16),
          expand: config.number("expand", 2),
          conv: config.count("conv_kernel", 4),
          dt_rank: rank(config, "time_step_rank"),
          bias: flagged(config.flag("use_bias", false)),
          conv_bias: config.flag("use_conv_bias", true) ? undefined : false,
          ...further,
        }),
    },
  };
}

export const mamba = (config: ConfigFields): Draft => pure(config, {});
export const falconMamba = (config: ConfigFields): Draft => pure(config, { parameter_norm: "plain" });

export function jamba(config: ConfigFields): Draft {
  const layers = config.depth("num_hidden_layers");
  const every = (period: string, offset: string, periods: number, offsets: number) => {
    const step = config.count(period, periods);
    const first = config.number(offset, offsets);
    return (index: number) => index % step === first;
  };
  const isAttention = every("attn_layer_period", "attn_layer_offset", 8, 4);
  const isExpert = every("expert_layer_period", "expert_layer_offset", 2, 1);
  const experts = config.count("num_experts", 16);
  const mixers =
    mixersByType(config, "layers_block_type", "mamba1") ??
    mixersByIndex(layers, (index) => (isAttention(index) ? "attention" : "mamba1"));
  const width = config.count("intermediate_size");
  return {
    layers: followedBy(mixers, (index) => (isExpert(index) && experts > 1 ? "moe" : "mlp")),
    tieEmbeddings: config.flag("tie_word_embeddings", false),
    normEps: config.number("rms_norm_eps", 1e-6),
    options: {
      mamba1: () =>
        options({
          state: config.count("mamba_d_state", 16),
          expand: config.number("mamba_expand", 2),
          conv: config.count("mamba_d_conv", 4),
          dt_rank: rank(config, "mamba_dt_rank"),
          parameter_norm: "weighted",
          bias: flagged(config.flag("mamba_proj_bias", false)),
          conv_bias: config.flag("mamba_conv_bias", true) ? undefined : false,
        }),
      attention: () => attentionHeads(config),
      mlp: () => gatedMlp(config, width),
      moe: () => ({
        experts,
        top_k: config.count("num_experts_per_tok", 2),
        width,
        activation: activation(config, "hidden_act", "silu"),
        gated: true,
      }),
    },
  };
}
