// A real study that trains in a second: three candidates, two tasks, two seeds, a model of a few thousand parameters.
// Only sizes are small; everything is what a user's study is made of.
import { type PreparedStudy, prepareStudy } from "../../src/search/prepare_study.js";
import { parseStudy } from "../../src/spec/parse_study.js";
import { createStudyFolder } from "../../src/study/create_study.js";

export interface TinyOptions {
  readonly tokens?: string;
  readonly seeds?: number;
  /** Of the optimizer: "lr: 1e-2, weight_decay: 0". */
  readonly optimizer?: string;
  /** Further lines of the proxy section, indented by two. */
  readonly proxy?: string;
}

/** Text of the study file. */
export function tinyStudyText(options: TinyOptions = {}): string {
  const { tokens = "10K", seeds = 2, optimizer = "lr: 1e-3", proxy = "" } = options;
  return `layermix: 1
name: tiny
model:
  layers: 8
  hidden: 32
  vocab: 64
  mix: { mamba2: 50%, attention: 0%, mlp: 50% }
  blocks:
    mamba2: { state: 8, head_dim: 8, groups: 1 }
    attention: { heads: 2, kv_heads: 1, head_dim: 8 }
    mlp: { width: 32 }
sweep:
  over: { mix.attention: [0%, 25%, 50%], mix.mlp: [50%] }
  fill: mamba2
proxy:
  model: { layers: 4, hidden: 16 }
  sequence: 32
  batch_tokens: 256
  tokens: ${tokens}
  seeds: ${seeds}
  evaluate_every: 25%
  optimizer: { kind: adamw, ${optimizer} }
  tasks:
    - { task: recall, pairs: 4, vocab: 64, evaluation_tokens: 512 }
    - { task: copy, tokens_to_copy: 8, evaluation_tokens: 512 }
${proxy}`;
}

export async function prepareTiny(options: TinyOptions = {}): Promise<PreparedStudy> {
  const { spec } = parseStudy(tinyStudyText(options), { file: "tiny.yaml", folder: "." });
  return prepareStudy(spec, { seed: 0, device: "cpu", version: "test" });
}

/** Prepares the study and writes its folder. */
export async function createTiny(folder: string, options: TinyOptions = {}): Promise<PreparedStudy> {
  const study = await prepareTiny(options);
  createStudyFolder(folder, study, "# tiny\n");
  return study;
}
