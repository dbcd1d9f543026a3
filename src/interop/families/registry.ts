// The families of configurations that can be read, by their model_type. A new one is a function and an entry here.

import type { Family } from "../imported_model.js";
import { kimiLinear, lfm2, minimax, olmoHybrid, qwen3Next, recurrentGemma } from "./linear_attention.js";
import { falconMamba, jamba, mamba } from "./mamba1.js";
import { bamba, falconH1, graniteMoeHybrid, zamba2 } from "./mamba2_hybrids.js";
import { mamba2, nemotronH } from "./nemotron_h.js";
import { dense, mixtral } from "./transformers.js";

export const families: Readonly<Record<string, Family>> = {
  nemotron_h: nemotronH,
  mamba2,
  mamba,
  falcon_mamba: falconMamba,
  jamba,
  bamba,
  granitemoehybrid: graniteMoeHybrid,
  falcon_h1: falconH1,
  zamba2,
  qwen3_next: qwen3Next,
  olmo_hybrid: olmoHybrid,
  kimi_linear: kimiLinear,
  minimax,
  recurrent_gemma: recurrentGemma,
  lfm2,
  llama: dense,
  mistral: dense,
  mixtral,
};
