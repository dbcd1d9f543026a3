// Where the weights of an export come from: a checkpoint that `layermix train` wrote, or a native library that
// initialises a model from a seed. Both give one tensor at a time, by its Hugging Face name.

import { existsSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { exitCodes, LayermixError } from "../diag/diagnostic.js";
import type { NativeLibrary, NativeModelConfig, NativeTrainerConfig } from "../run/native.js";
import { fromNativeError } from "../run/native_error.js";
import { readJson } from "../study/json_file.js";
import { readStudy } from "../study/study_document.js";
import { studyLayout, trialLayout } from "../study/study_layout.js";
import type { TrialFile } from "../study/trial.js";
import { invalidFile } from "./interop_error.js";
import { openSafetensors } from "./safetensors.js";
import { toFloat64 } from "./tensor_data.js";
import { type TrainedTokenizer, trainedTokenizer } from "./trained_tokenizer.js";

export interface NamedShape {
  readonly name: string;
  readonly shape: readonly number[];
}

/** Weights of one model. Owns memory or a file: close() it. */
export interface ModelWeights {
  readonly model: NativeModelConfig;
  /** "trained 1,200 steps", "initialised from seed 0". */
  readonly origin: string;
  readonly tensors: readonly NamedShape[];
  /** What its text came through, where that was a tokenizer.json. */
  readonly tokenizer?: TrainedTokenizer;
  read(name: string): Float32Array<ArrayBuffer>;
  close(): void;
}

/** A trainer that exists for its weights, or for a forward and backward pass: nothing is learnt; one token unless changed. */
export function weightsOnly(
  model: NativeModelConfig,
  change: Partial<NativeTrainerConfig> = {},
): NativeTrainerConfig {
  const optimizer = {
    learningRate: 0,
    minimumLearningRate: 0,
    beta1: 0.9,
    beta2: 0.95,
    epsilon: 1e-8,
    weightDecay: 0,
    clipNorm: 0,
    schedule: "constant",
    totalSteps: 1,
    warmupSteps: 0,
    decaySteps: 0,
  } as const;
  return {
    model,
    optimizer,
    batch: 1,
    microBatch: 1,
    sequence: 1,
    precision: "fp32",
    device: "cpu",
    threads: 0,
    seed: 0,
    initStd: 0.02,
    ...change,
  };
}

/**
 * Initial weights as a proxy run would begin with. Throws LMX5204 when they would not fit into `memoryBytes`,
 * LMX30xx (native library).
 */
export function initialWeights(
  native: NativeLibrary,
  model: NativeModelConfig,
  options: { readonly seed: number; readonly initStd: number; readonly memoryBytes: number },
): ModelWeights {
  const { seed, initStd, memoryBytes } = options;
  const config = weightsOnly(model, { seed, initStd });
  try {
    const needed = native.planMemory(config).total;
    if (needed > memoryBytes) throw tooLarge(needed, memoryBytes);
    const trainer = new native.Trainer(config);
    return {
      model,
      origin: `initialised from seed ${seed}`,
      tensors: trainer.tensors,
      read: (name) => trainer.read(name, "value", "float32"),
      close: () => trainer.dispose(),
    };
  } catch (error) {
    throw fromNativeError(error);
  }
}

/**
 * The weights of a checkpoint: a trial's folder, its checkpoint.safetensors, or a study folder with one trained run.
 * Throws LMX5202 (none, or several), LMX5001 to LMX5006.
 */
export function trainedWeights(path: string): ModelWeights {
  const trial = trialFolder(path);
  const trialFile = readJson<TrialFile>(trialLayout.definition(trial));
  if (trialFile === undefined) {
    throw noCheckpoint(`Expected trial.json beside the checkpoint in ${trial}, got none`);
  }
  const { definition } = trialFile;
  const tokenizer = trainedTokenizer(trialFile);
  const file = openSafetensors(trialLayout.checkpoint(trial));
  const tensors = [...file.tensors.values()].filter(({ name }) => !name.startsWith("optimizer."));
  return {
    model: definition.model,
    origin: `trained ${Number(file.metadata.step).toLocaleString("en-US")} steps on ${definition.task.name}`,
    tensors,
    ...(tokenizer !== undefined && { tokenizer }),
    read: (name) => {
      const entry = file.tensors.get(name);
      const bytes = file.read(name);
      return entry!.dtype === "F32"
        ? new Float32Array(bytes.buffer)
        : Float32Array.from(toFloat64(name, entry!.dtype, bytes));
    },
    close: () => file.close(),
  };
}

/** Whether a path names trained weights rather than a study file. */
export function isCheckpointPath(path: string): boolean {
  if (path.endsWith(".safetensors")) return true;
  return existsSync(path) && statSync(path).isDirectory();
}

function trialFolder(path: string): string {
  if (path.endsWith(".safetensors")) return dirname(path);
  if (existsSync(trialLayout.definition(path))) {
    if (existsSync(trialLayout.checkpoint(path))) return path;
    throw noCheckpoint(`Expected checkpoint.safetensors in ${path}, got none`);
  }
  if (!existsSync(studyLayout.document(path))) {
    throw noCheckpoint(`Expected a study or trial folder at ${path}, got neither study.json nor trial.json`);
  }
  const ids = new Set(readStudy(path).trials.map(({ id }) => id));
  const kept = [...ids].filter((id) => existsSync(trialLayout.checkpoint(studyLayout.trial(path, id))));
  if (kept.length === 1) return studyLayout.trial(path, kept[0]!);
  if (kept.length === 0) throw noCheckpoint(`Expected a checkpoint in ${path}, got none`);
  throw noCheckpoint(
    `Expected one checkpoint in ${path}, got ${kept.length}`,
    `name the trial: ${join(path, "trials", kept[0]!)}`,
  );
}

function noCheckpoint(message: string, ...help: readonly string[]): LayermixError {
  return invalidFile(
    "LMX5202",
    message,
    ...help,
    "layermix train keeps its checkpoint, layermix sweep does not",
  );
}

function tooLarge(needed: number, available: number): LayermixError {
  const gib = (bytes: number) => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  const message = `Expected a model whose training state fits into ${gib(available)}, got one of ${gib(needed)}`;
  const help = ["make the model smaller, for example with --set model.layers=12 --set model.hidden=512"];
  return new LayermixError({ code: "LMX5204", severity: "error", message, help }, exitCodes.infeasible);
}
