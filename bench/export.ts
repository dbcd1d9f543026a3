// Ten random hybrids, exported with a recorded run each, for bench/check_export.py:
//   node --import tsx bench/export.ts DIR [SEED]
// Patterns, widths, groups, heads, activations and vocabularies are drawn; among the ten are always one without
// attention (use_cache must be off) and one with tied embeddings (lm_head must be stored).

import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { RowRandom, streams } from "../src/task/row_random.js";

const layermix = fileURLToPath(new URL("../bin/run.js", import.meta.url));
const [folder, seedText = "0"] = process.argv.slice(2);
if (folder === undefined) {
  console.error("usage: node --import tsx bench/export.ts DIR [SEED]");
  process.exit(2);
}
const random = new RowRandom(Number(seedText), streams.train);

const pick = <T>(choices: readonly T[]): T => choices[random.below(choices.length)]!;

/** A study file of a random hybrid. */
function randomStudy(index: number): string {
  random.start(0, index);
  const symbols = index === 0 ? "M-" : "M*-";
  const length = 3 + random.below(8);
  const body = Array.from({ length }, () => symbols[random.below(symbols.length)]).join("");
  const pattern = index === 0 || body.includes("*") ? `M${body}` : `M${body}*`;
  const headDim = pick([4, 8, 16]);
  const heads = pick([4, 6, 8, 12]);
  const groups = pick([1, 2, heads]);
  const kvHeads = pick([1, 2, 4]);
  const queryHeads = kvHeads * pick([1, 2]);
  return `layermix: 1
name: random-${index}
model:
  pattern: "${pattern}"
  hidden: ${8 * (4 + random.below(9))}
  vocab: ${3 + random.below(200)}
  tie_embeddings: ${index === 1}
  norm: { kind: rmsnorm, eps: ${pick(["1e-5", "1e-6"])} }
  blocks:
    mamba2: { state: ${pick([4, 16, 33])}, heads: ${heads}, head_dim: ${headDim}, groups: ${groups}, conv: ${pick([2, 3, 4])} }
    attention: { heads: ${queryHeads}, kv_heads: ${kvHeads}, head_dim: ${pick([8, 16, 24])}, position: none }
    mlp: { width: ${8 * (1 + random.below(20))}, activation: ${pick(["gelu", "relu2", "silu"])} }
proxy: { init_std: 0.15, tokens: 20K, tasks: [{ task: copy }] } # wide initial weights, so that the logits spread
`;
}

mkdirSync(folder, { recursive: true });
for (let index = 0; index < 10; index++) {
  const study = join(folder, `random-${index}.yaml`);
  writeFileSync(study, randomStudy(index));
  const out = join(folder, `random-${index}`);
  const text = execFileSync(
    process.execPath,
    [
      layermix,
      "export",
      "hf",
      study,
      "-o",
      out,
      "--seed",
      String(index),
      "--record",
      "80",
      "--quiet",
      "--force",
    ],
    { encoding: "utf8" },
  );
  console.log(text.split("\n").slice(0, 3).join("\n"));
}
