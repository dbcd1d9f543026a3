// The layer kinds that stand for themselves; parallel.ts and shared_transformer.ts are composed of them.

import { attention } from "./attention.js";
import type { Block } from "./block.js";
import { gatedDeltaNet } from "./gated_deltanet.js";
import { kda } from "./kda.js";
import { lightning } from "./lightning.js";
import { mamba1 } from "./mamba1.js";
import { mamba2 } from "./mamba2.js";
import { mla } from "./mla.js";
import { mlp } from "./mlp.js";
import { moe } from "./moe.js";
import { rgLru } from "./rg_lru.js";
import { shortConv } from "./short_conv.js";
import { slidingAttention } from "./sliding_attention.js";

const all: readonly Block[] = [
  mamba2,
  mamba1,
  gatedDeltaNet,
  kda,
  rgLru,
  shortConv,
  lightning,
  attention,
  slidingAttention,
  mla,
  mlp,
  moe,
] as readonly Block[];

/** Kinds that mix along the sequence. */
export const mixers: readonly Block[] = all.filter(({ role }) => role !== "feed_forward");
/** Kinds that treat every token on its own. */
export const feedForwards: readonly Block[] = all.filter(({ role }) => role === "feed_forward");
