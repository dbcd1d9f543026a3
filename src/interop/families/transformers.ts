// Transformers to compare hybrids with: Llama, Mistral and Mixtral. A block is two layers, attention and MLP.

import type { ConfigFields } from "../config_fields.js";
import { type Draft, options, type RawKind } from "../imported_model.js";
import {
  activation,
  attentionBias,
  attentionHeads,
  followedBy,
  gatedMlp,
  rope,
  ropeScaling,
} from "./shared_fields.js";

function transformer(
  config: ConfigFields,
  feedForward: "mlp" | "moe",
  further: Readonly<Record<string, () => RawKind>>,
): Draft {
  const window = config.get("sliding_window") === undefined ? undefined : config.count("sliding_window");
  return {
    layers: followedBy(
      new Array<string>(config.depth("num_hidden_layers")).fill("attention"),
      () => feedForward,
    ),
    tieEmbeddings: config.flag("tie_word_embeddings", false),
    normEps: config.number("rms_norm_eps", 1e-6),
    notCarried: [ropeScaling(config)],
    options: {
      attention: () =>
        attentionHeads(config, options({ position: rope(config), window, ...attentionBias(config) })),
      mlp: () => gatedMlp(config, config.count("intermediate_size"), config.flag("mlp_bias", false)),
      ...further,
    },
  };
}

/** Llama and Mistral, which differ in their window. */
export const dense = (config: ConfigFields): Draft => transformer(config, "mlp", {});

export function mixtral(config: ConfigFields): Draft {
  return transformer(config, "moe", {
    moe: () => ({
      experts: config.count("num_local_experts", 8),
      top_k: config.count("num_experts_per_tok", 2),
      width: config.count("intermediate_size"),
      activation: activation(config, "hidden_act", "silu"),
      gated: true,
    }),
  });
}
