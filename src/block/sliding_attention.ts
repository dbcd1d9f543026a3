// Attention that looks back over a window only: the attention kind with a window unless one is given, as a kind
// of its own so that a model can have both. Sources: arXiv 2004.05150; Megatron-LM dev, symbol W.

import { type AttentionOptions, attention, attentionSchema } from "./attention.js";
import type { Block } from "./block.js";

const defaultWindow = 4096;
const withWindow = <T extends object>(raw: T): T & { window: unknown } => ({ window: defaultWindow, ...raw });
const { position, window, ...others } = attentionSchema.properties;
// Neither Megatron-LM main nor the native library has such a layer.
const { megatron: _megatron, toNative: _toNative, nativeGap: _nativeGap, ...base } = attention;

/** The sliding-window attention layer kind. */
export const slidingAttention: Block<AttentionOptions> = {
  ...base,
  kind: "sliding_attention",
  symbol: "W",
  title: "sliding-window attention",
  source: "arXiv 2004.05150",
  schema: {
    title: "Sliding-window attention options",
    description: "Attention that looks back over a window; options as for attention.",
    properties: { window: { ...window, default: defaultWindow }, position: position!, ...others },
    examples: [{ heads: 32, kv_heads: 8, head_dim: 128, window: 4096 }],
  },
  resolve: (raw, context) => attention.resolve(withWindow(raw), context),
  rescale: (raw, from, to) => attention.rescale(withWindow(raw), from, to),
};
