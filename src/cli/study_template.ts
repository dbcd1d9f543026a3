// The text that `layermix init` writes: a study of its own to begin with, or a preset, with the first lines that make
// editors complete and check the file (VS Code's YAML extension and JetBrains read different ones).

import { existsSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";

const packageRoot = fileURLToPath(new URL("../../", import.meta.url));
const schemaInProject = "./node_modules/layermix/schemas/study.schema.json";

/** Both editor lines; the schema of the project's own layermix where there is one, else that of this installation. */
function modelines(folder: string): string {
  const local = existsSync(join(folder, schemaInProject));
  const schema = local ? schemaInProject : join(packageRoot, "schemas", "study.schema.json");
  return `# yaml-language-server: $schema=${schema}\n# $schema: ${schema}\n`;
}

const body = `# A layermix study: a model, what to vary about it, and the short runs that stand for it. Keys: docs/study-file.md
layermix: 1
name: NAME

model:
  layers: 56                # every symbol of the pattern is one layer
  hidden: 4096
  vocab: 256000
  tie_embeddings: false
  mix: { mamba2: 43%, attention: 7%, mlp: 50% } # must total 100%; or  pattern: "M-M-M*-..."
  placement: even           # even = Megatron's algorithm; alternate, halves, { every: 8 }, { at: [12, 24] }
  blocks:                   # what is left out follows from the hidden width
    mamba2: { state: 128, head_dim: 64, groups: 8, expand: 2, conv: 4 }
    attention: { heads: 32, kv_heads: 8, head_dim: 128, position: none }
    mlp: { width: 16384, activation: gelu, gated: false }

sweep:
  over:                     # every combination is a candidate
    mix.attention: [0%, 4%, 8%, 12.5%, 25%, 50%]
    mix.mlp: [50%]
  fill: mamba2              # takes what is left of 100%
  match: { params: 2% }     # candidates are resized to the same parameters
  strategy: grid

proxy:                      # the short run that stands for the real model
  model: { layers: 24, hidden: 256 }
  sequence: 512
  batch_tokens: 16384
  tokens: 20M
  seeds: 3
  optimizer: { kind: adamw, lr: 1e-3, warmup: 2%, schedule: cosine }
  tasks:                    # layermix task list
    - { task: recall, pairs: 32, weight: 1 }

rank: { by: score, confidence: 95% }

project:
  hardware: h200
  contexts: [4K, 32K, 128K]
  batch: 32
  baseline: transformer-8b
`;

/** The text for a new study at `file`. */
export function newStudyText(file: string, name: string): string {
  return modelines(dirname(resolve(file))) + body.replace("NAME", name);
}

/** A preset's text for a file elsewhere: its own editor lines replaced, the corpora it names found from there. */
export function presetText(text: string, file: string): string {
  const folder = dirname(resolve(file));
  const corpus = relative(folder, join(packageRoot, "presets", "corpus"))
    .split(sep)
    .join("/");
  const rest = text.replace(/^# yaml-language-server:.*\n/m, "");
  return modelines(folder) + rest.replaceAll('"../corpus/', `"${corpus}/`);
}
