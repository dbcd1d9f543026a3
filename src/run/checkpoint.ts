// Checkpoints: weights, both AdamW moments and the step, as safetensors (weights under their own names, so other tools
// read them). Nothing else is needed to go on exactly: random numbers are counter-based, the data cursor is the step,
// and the metrics written so far are named by length and hash. A checkpoint is checked whole - header, hash of the
// data, every shape, the metrics it names - before one number of it is used; else the one before it is taken, and with
// neither the trial starts over. Both ways lead to the same bits; a damaged checkpoint can only cost time.

import { createHash } from "node:crypto";
import { renameSync, rmSync } from "node:fs";
import { openSafetensors, type SafetensorsFile, writeSafetensors } from "../interop/safetensors.js";
import { discard, publish, temporaryPath } from "../study/atomic_file.js";
import { canonicalJson } from "../study/canonical_json.js";
import { type MetricsLine, type MetricsMark, readMetricsAt } from "../study/metrics_log.js";
import { errnoOf, onDisk, storageError } from "../study/storage_error.js";
import { trialLayout } from "../study/study_layout.js";
import type { NativeTrainer, TensorPart } from "./native.js";

/** Raised when the layout of a checkpoint changes; others are then not resumed from. */
const checkpointFormat = "layermix/2";

const prefixes: readonly (readonly [TensorPart, string])[] = [
  ["value", ""],
  ["expAvg", "optimizer.exp_avg."],
  ["expAvgSq", "optimizer.exp_avg_sq."],
];

/** A trainer with what a checkpoint of it must say. */
export interface CheckpointedTrainer {
  readonly trainer: NativeTrainer;
  /** Trial id. */
  readonly id: string;
  /** As tensors are stored: the precision of the trial. */
  readonly type: "float32" | "float64";
}

export interface CheckpointMark {
  /** The metrics written when the checkpoint was taken, already durable. */
  readonly metrics: MetricsMark;
  /** lmx_build_info of the library that computed it: other builds may round differently. */
  readonly build: string;
}

/** A checkpoint that passed every check, its weights already in the trainer. */
export interface RestoredCheckpoint {
  readonly step: number;
  readonly metricsBytes: number;
  readonly lines: readonly MetricsLine[];
}

/** Saves the trainer; the checkpoint before it stays until this one is durable. Throws LMX4001..4003, LMX5005. */
export function saveCheckpoint(trialFolder: string, saved: CheckpointedTrainer, mark: CheckpointMark): void {
  const path = trialLayout.checkpoint(trialFolder);
  const temporary = temporaryPath(path);
  const tensors = sources(saved);
  const described = {
    format: checkpointFormat,
    trial: saved.id,
    step: String(saved.trainer.stepIndex),
    metrics_bytes: String(mark.metrics.bytes),
    metrics_sha256: mark.metrics.sha256,
    build: mark.build,
  };
  const contents = tensors.map(({ name, data }) => [name, data] as const);
  const metadata = { ...described, sha256: hashInOrder(described, contents) };
  try {
    writeSafetensors(temporary, tensors, metadata, { sync: true });
    keepPrevious(path, trialLayout.previousCheckpoint(trialFolder));
    publish(temporary, path);
  } catch (error) {
    discard(temporary);
    throw error;
  }
}

/** Puts the newest usable checkpoint of the trial into the trainer; undefined when there is none. */
export function restoreCheckpoint(
  trialFolder: string,
  into: CheckpointedTrainer,
): RestoredCheckpoint | undefined {
  for (const path of [trialLayout.checkpoint(trialFolder), trialLayout.previousCheckpoint(trialFolder)]) {
    const restored = restoreFrom(path, trialLayout.metrics(trialFolder), into);
    if (restored !== undefined) return restored;
  }
  return undefined;
}

/** Removes the checkpoints of a trial that needs them no more. */
export function removeCheckpoints(trialFolder: string): void {
  for (const path of [trialLayout.checkpoint(trialFolder), trialLayout.previousCheckpoint(trialFolder)]) {
    onDisk("write", path, () => rmSync(path, { force: true }));
  }
}

interface LazyTensor {
  readonly name: string;
  readonly dtype: "F32" | "F64";
  readonly shape: readonly number[];
  /** Copies the tensor out of the trainer: one is in memory at a time. */
  readonly data: () => Uint8Array;
}

function sources({ trainer, type }: CheckpointedTrainer): LazyTensor[] {
  return prefixes.flatMap(([part, prefix]) =>
    trainer.tensors.map(({ name, shape }) => ({
      name: prefix + name,
      dtype: type === "float64" ? ("F64" as const) : ("F32" as const),
      shape,
      data: () =>
        bytesOf(type === "float64" ? trainer.read(name, part, type) : trainer.read(name, part, type)),
    })),
  );
}

function restoreFrom(
  path: string,
  metricsPath: string,
  into: CheckpointedTrainer,
): RestoredCheckpoint | undefined {
  const file = openIfUsable(path);
  if (file === undefined) return undefined;
  try {
    const { sha256, ...metadata } = file.metadata;
    if (metadata.format !== checkpointFormat || metadata.trial !== into.id) return undefined;
    const metricsBytes = Number(metadata.metrics_bytes);
    const lines = readMetricsAt(metricsPath, { bytes: metricsBytes, sha256: metadata.metrics_sha256 ?? "" });
    const wanted = sources(into);
    if (lines === undefined || !sameTensors(file, wanted)) return undefined;
    const contents = wanted.map(({ name }) => [name, () => file.read(name)] as const);
    if (hashInOrder(metadata, contents) !== sha256) return undefined;
    const { trainer, type } = into;
    for (const [part, prefix] of prefixes) {
      for (const { name } of trainer.tensors)
        trainer.write(name, part, numbersOf(file.read(prefix + name), type));
    }
    trainer.stepIndex = Number(metadata.step);
    return { step: trainer.stepIndex, metricsBytes, lines };
  } catch (error) {
    // A disk that fails is no fault of the trial, and half of a checkpoint in the trainer is no place to go on from.
    throw storageError("read", path, (error as Error).cause ?? error);
  } finally {
    file.close();
  }
}

/** The file, or undefined when it is missing or its header is damaged. */
function openIfUsable(path: string): SafetensorsFile | undefined {
  try {
    return openSafetensors(path);
  } catch {
    return undefined;
  }
}

function sameTensors(file: SafetensorsFile, wanted: readonly LazyTensor[]): boolean {
  if (file.tensors.size !== wanted.length) return false;
  return wanted.every(({ name, dtype, shape }) => {
    const entry = file.tensors.get(name);
    return entry?.dtype === dtype && entry.shape.join() === shape.join();
  });
}

/** Hash over what the checkpoint says of itself, and over names and bytes of its tensors in the trainer's order. */
function hashInOrder(
  metadata: Readonly<Record<string, string>>,
  tensors: readonly (readonly [string, () => Uint8Array])[],
): string {
  const hash = createHash("sha256").update(canonicalJson(metadata));
  for (const [name, data] of tensors) hash.update(`\n${name}\n`).update(data());
  return hash.digest("hex");
}

function keepPrevious(path: string, previous: string): void {
  try {
    renameSync(path, previous);
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") {
      throw storageError("write", previous, error);
    }
  }
}

function bytesOf(numbers: Float32Array | Float64Array): Uint8Array {
  return new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
}

/** `bytes` are a buffer of their own (openSafetensors.read), so they are aligned. */
function numbersOf(bytes: Uint8Array<ArrayBuffer>, type: "float32" | "float64"): Float32Array | Float64Array {
  return type === "float64" ? new Float64Array(bytes.buffer) : new Float32Array(bytes.buffer);
}
