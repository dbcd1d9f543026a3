// Writes a Hugging Face checkpoint folder that transformers loads without a missing, unexpected or re-initialised key:
// config.json, model.safetensors under the hub's names (backbone.*) and the tokenizer that was trained with, then reads it back and compares every bit. A
// file is written beside its place and renamed, so a folder never holds half a file.

import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { exitCodes, LayermixError } from "../diag/diagnostic.js";
import { discard, publish, temporaryPath, writeFileAtomic } from "../study/atomic_file.js";
import { onDisk } from "../study/storage_error.js";
import { HuggingFaceCheckpoint } from "./huggingface_checkpoint.js";
import type { ModelWeights, NamedShape } from "./model_weights.js";
import { configText, nemotronHConfig } from "./nemotronh_config.js";
import { openSafetensors, type TensorSource, writeSafetensors } from "./safetensors.js";
import { roundToBfloat16 } from "./tensor_data.js";

export type ExportType = "float32" | "bfloat16";

export interface HuggingFaceExport {
  readonly folder: string;
  readonly pattern: string;
  readonly origin: string;
  readonly dtype: ExportType;
  readonly tensors: number;
  readonly parameters: number;
  /** Of model.safetensors. */
  readonly bytes: number;
  /** tokenizer.json of the trained tokenizer; null without one. */
  readonly tokenizer: string | null;
  readonly notes: readonly string[];
}

/** Kept in fp32 whatever the type of the matrices: rounding them to eight bits changes every decay of the state. */
const alwaysFloat32 = /\.(A_log|D|dt_bias)$/;

/**
 * Writes `weights` to `folder`. Throws LMX5201 (cannot be expressed), LMX5203 (files exist), LMX4001..4003 and
 * LMX5005 (disk), LMX5205 (what is on the disk is not what was written).
 */
export function exportHuggingFace(
  weights: ModelWeights,
  folder: string,
  options: { readonly dtype: ExportType; readonly overwrite: boolean },
): HuggingFaceExport {
  const { dtype, overwrite } = options;
  const { config, notes } = nemotronHConfig(weights.model, dtype);
  const configPath = join(folder, "config.json");
  const weightsPath = join(folder, "model.safetensors");
  const { files = new Map<string, Uint8Array>(), note } = weights.tokenizer ?? {};
  const tokenizerPaths = [...files.keys()].map((name) => join(folder, name));
  const taken = [configPath, weightsPath, `${weightsPath}.index.json`, ...tokenizerPaths].filter((path) =>
    existsSync(path),
  );
  if (taken.length > 0 && !overwrite) throw exists(taken[0]!);
  onDisk("write", folder, () => mkdirSync(folder, { recursive: true }));
  const sources = tensorSources(weights, dtype);
  const temporary = temporaryPath(weightsPath);
  try {
    writeSafetensors(temporary, sources, { format: "pt" }, { sync: true });
    publish(temporary, weightsPath);
  } catch (error) {
    discard(temporary);
    throw error;
  }
  writeFileAtomic(configPath, configText(config));
  for (const [name, content] of files) writeFileAtomic(join(folder, name), content);
  confirm(folder, weights.tensors, sources);
  const parameters = sources.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  const file = openSafetensors(weightsPath);
  const bytes = [...file.tensors.values()].reduce((end, t) => Math.max(end, t.byteOffset + t.byteLength), 0);
  file.close();
  return {
    folder,
    pattern: config.hybrid_override_pattern as string,
    origin: weights.origin,
    dtype,
    tensors: sources.length,
    parameters,
    bytes,
    tokenizer: tokenizerPaths[0] ?? null,
    notes: note === undefined ? notes : [...notes, note],
  };
}

type LazySource = TensorSource & { readonly data: () => Uint8Array };

function tensorSources(weights: ModelWeights, dtype: ExportType): readonly LazySource[] {
  const source = ({ name, shape }: NamedShape, stored = name): LazySource => {
    const float32 = dtype === "float32" || alwaysFloat32.test(name);
    return {
      name: stored,
      dtype: float32 ? "F32" : "BF16",
      shape,
      data: () => {
        const values = weights.read(name);
        return float32
          ? new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
          : new Uint8Array(roundToBfloat16(values).buffer);
      },
    };
  };
  const sources = weights.tensors.map((tensor) => source(tensor));
  if (weights.model.tieEmbeddings) {
    const embeddings = weights.tensors.find(({ name }) => name === "backbone.embeddings.weight")!;
    sources.push(source(embeddings, "lm_head.weight"));
  }
  return sources;
}

/** Opens the folder as a reader would and compares every tensor with what was to be written. */
function confirm(folder: string, tensors: readonly NamedShape[], sources: readonly LazySource[]): void {
  const checkpoint = new HuggingFaceCheckpoint(folder);
  const file = openSafetensors(join(folder, "model.safetensors"));
  try {
    const head = sources.find(({ name }) => name === "lm_head.weight")!;
    checkpoint.check(tensors.some(({ name }) => name === head.name) ? tensors : [...tensors, head]);
    for (const { name, data } of sources) {
      if (Buffer.compare(file.read(name), data()) !== 0) throw changed(folder, name);
    }
  } finally {
    file.close();
    checkpoint.close();
  }
}

function exists(path: string): LayermixError {
  return new LayermixError(
    {
      code: "LMX5203",
      severity: "error",
      message: `${path} exists already`,
      help: ["choose another folder, or add --force to overwrite it"],
    },
    exitCodes.usage,
  );
}

function changed(folder: string, name: string): LayermixError {
  return new LayermixError(
    {
      code: "LMX5205",
      severity: "error",
      message: `Expected the bits of ${name} in ${folder} as they were written, got others`,
      help: ["the disk or its file system is not reliable; export to another one"],
    },
    exitCodes.storage,
  );
}
