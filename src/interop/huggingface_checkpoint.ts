// A Hugging Face checkpoint folder: config.json, and the weights in model.safetensors or in the shards that
// model.safetensors.index.json lists. Names are brought to the hub's prefix `backbone.` (transformers also
// writes `model.`); multi-token-prediction weights (mtp.*) are left out, as the class does.

import { existsSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { type Diagnostic, exitCodes, LayermixError } from "../diag/diagnostic.js";
import { systemReason } from "../diag/system_reason.js";
import type { NativeTensor } from "../run/native.js";
import { type HuggingFaceModel, readHuggingFaceConfig } from "./huggingface_config.js";
import { invalidFile, problem } from "./interop_error.js";
import { openSafetensors, type SafetensorsFile } from "./safetensors.js";
import { parseStrictJson } from "./strict_json.js";
import { toFloat64 } from "./tensor_data.js";

interface StoredTensor {
  readonly file: SafetensorsFile;
  readonly storedName: string;
}

/** An open checkpoint. Owns file descriptors: close() it. */
export class HuggingFaceCheckpoint {
  readonly folder: string;
  readonly model: HuggingFaceModel["model"];
  readonly hiddenStates: HuggingFaceModel["hiddenStates"];
  readonly #files: SafetensorsFile[] = [];
  readonly #tensors = new Map<string, StoredTensor>();

  /** Reads the configuration and all headers. Throws LMX5001 to LMX5006, LMX5101 to LMX5103. */
  constructor(folder: string) {
    this.folder = folder;
    const config = join(folder, "config.json");
    ({ model: this.model, hiddenStates: this.hiddenStates } = readHuggingFaceConfig(
      readText(config),
      config,
    ));
    try {
      for (const path of weightFiles(folder)) this.#open(path);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  #open(path: string): void {
    const file = openSafetensors(path);
    this.#files.push(file);
    for (const storedName of file.tensors.keys()) {
      if (storedName.startsWith("mtp.")) continue;
      const name = hubName(storedName);
      const twin = this.#tensors.get(name);
      if (twin) {
        const message = `Expected one tensor ${name}, got ${twin.storedName} in ${twin.file.path} and ${storedName} in ${path}`;
        throw invalidFile("LMX5103", message);
      }
      this.#tensors.set(name, { file, storedName });
    }
  }

  /**
   * Throws LMX5103, one diagnostic per tensor that is missing, unexpected or of another shape than the
   * model's.
   */
  check(expected: readonly Pick<NativeTensor, "name" | "shape">[]): void {
    const problems: Diagnostic[] = [];
    const unexpected = new Set(this.#tensors.keys());
    if (this.model.tieEmbeddings) unexpected.delete("lm_head.weight"); // a stored copy of the embeddings
    for (const { name, shape } of expected) {
      unexpected.delete(name);
      const stored = this.#tensors.get(name);
      const got = stored && stored.file.tensors.get(stored.storedName)!.shape;
      if (got && got.length === shape.length && got.every((size, axis) => size === shape[axis])) continue;
      const found = got ? `shape [${got.join(", ")}]` : "no such tensor";
      problems.push(
        problem("LMX5103", `Expected ${name} of shape [${shape.join(", ")}], got ${found} in ${this.folder}`),
      );
    }
    for (const name of unexpected) {
      problems.push(
        problem("LMX5103", `Expected no tensor ${name} in this model, got one in ${this.folder}`),
      );
    }
    if (problems.length > 0) throw new LayermixError(problems, exitCodes.invalidFile);
  }

  /** Values of one tensor, by hub name. */
  read(name: string): Float64Array<ArrayBuffer> {
    const stored = this.#tensors.get(name);
    if (!stored) throw invalidFile("LMX5103", `Expected a tensor ${name} in ${this.folder}, got none`);
    const { dtype } = stored.file.tensors.get(stored.storedName)!;
    return toFloat64(name, dtype, stored.file.read(stored.storedName));
  }

  close(): void {
    for (const file of this.#files) file.close();
  }
}

/** `model.layers.0.norm.weight` -> `backbone.layers.0.norm.weight`. */
export function hubName(name: string): string {
  return name.startsWith("model.") ? `backbone.${name.slice("model.".length)}` : name;
}

function weightFiles(folder: string): readonly string[] {
  const single = join(folder, "model.safetensors");
  const index = join(folder, "model.safetensors.index.json");
  if (existsSync(single) || !existsSync(index)) return [single];
  const shards = new Set<string>();
  for (const shard of Object.values(weightMap(index))) {
    if (typeof shard !== "string" || shard !== basename(shard) || shard === "..") {
      throw invalidFile("LMX5101", `Expected names of files in the same folder at weight_map in ${index}`);
    }
    shards.add(shard);
  }
  return [...shards].sort().map((shard) => join(folder, shard));
}

function weightMap(index: string): object {
  let document: unknown;
  try {
    document = parseStrictJson(readText(index));
  } catch (error) {
    if (error instanceof LayermixError) throw error;
    throw invalidFile("LMX5101", `Expected JSON in ${index}, got: ${(error as Error).message}`);
  }
  const map = (document as { weight_map?: unknown } | null)?.weight_map;
  if (typeof map !== "object" || map === null)
    throw invalidFile("LMX5101", `Expected a weight_map in ${index}`);
  return map;
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const help = "A checkpoint folder has config.json and model.safetensors, or shards with an index.";
    throw invalidFile("LMX5005", `Expected to read ${path}, got: ${systemReason(error)}`, help);
  }
}
