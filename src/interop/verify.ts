// Does layermix compute the function of a published model? Loads a Hugging Face checkpoint into the native
// library, feeds the recorded input, runs forward and backward, and measures the distance to the recorded
// logits, loss, hidden states and gradients. Labels are shifted as Hugging Face does: the target of token t
// is token t+1, the last has none.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { addonFor, isBuilt, loadNative } from "../run/load_native.js";
import type { NativeLibrary, NativeModelConfig, NativeTrainer, Precision } from "../run/native.js";
import { fromNativeError } from "../run/native_error.js";
import { HuggingFaceCheckpoint } from "./huggingface_checkpoint.js";
import { invalidFile } from "./interop_error.js";
import { weightsOnly } from "./model_weights.js";
import { type Reference, readReference } from "./reference.js";
import {
  bf16Limits,
  type Distances,
  exactLimits,
  gradientFloor,
  type Limits,
  within,
} from "./verify_limits.js";

export interface VerifyRequest {
  /** Checkpoint folder: config.json and weights. */
  readonly folder: string;
  /** Recorded run; DIR/io.safetensors when absent. */
  readonly reference?: string;
  readonly device: string;
  readonly precision: Precision;
}

/** The `data` of `layermix verify --json`. */
export interface Verification {
  readonly logitsMaxAbs: number;
  /** Null when the reference has no loss. */
  readonly lossAbs: number | null;
  readonly hiddenMaxAbs: readonly number[];
  /** By parameter. */
  readonly gradients: Readonly<Record<string, number>>;
  /** The largest of `gradients`, 0 when there are none. */
  readonly worstGradient: number;
  /** What each may be at most: in bf16 twice what a plain bf16 implementation is off. */
  readonly limits: Limits;
  readonly ok: boolean;
}

/** Runs the comparison. Throws LMX30xx (native library), LMX50xx and LMX51xx (files). */
export async function verify(
  request: VerifyRequest,
  native: NativeLibrary = loadNative(isBuilt("cuda") ? addonFor(request.device) : "cpu"),
): Promise<Verification> {
  const checkpoint = new HuggingFaceCheckpoint(request.folder);
  try {
    return await compare(request, checkpoint, native);
  } catch (error) {
    throw fromNativeError(error);
  } finally {
    checkpoint.close();
  }
}

async function compare(
  request: VerifyRequest,
  checkpoint: HuggingFaceCheckpoint,
  native: NativeLibrary,
): Promise<Verification> {
  const { model } = checkpoint;
  // A tiny trainer knows the parameters; the one that runs needs the reference's batch, which needs the
  // parameters' shapes.
  const tensors = withTrainer(native, trainerConfig(model, request, 1, 1), (trainer) => trainer.tensors);
  checkpoint.check(tensors);
  const reference = readReference(request.reference ?? recordedRun(request.folder), {
    hidden: model.hidden,
    vocab: model.vocab,
    layers: model.layers.length,
    shapes: new Map(tensors.map(({ name, shape }) => [name, shape])),
  });
  const distancesOn = async (device: string): Promise<Measured> => {
    const on = { ...request, device };
    const trainer = new native.Trainer(trainerConfig(model, on, reference.batch, reference.sequence));
    try {
      for (const { name } of tensors) trainer.write(name, "value", checkpoint.read(name));
      return await measure(trainer, reference, checkpoint.hiddenStates, gradientFloor(request.precision));
    } finally {
      trainer.dispose();
    }
  };
  const got = await distancesOn(request.device);
  const limits =
    request.precision === "bf16"
      ? bf16Limits(await distancesOn("reference"))
      : exactLimits(reference.gradients.keys());
  const { logitsMaxAbs, lossAbs, hiddenMaxAbs, gradients } = got;
  const worstGradient = Object.values(gradients).reduce(largest, 0);
  return { logitsMaxAbs, lossAbs, hiddenMaxAbs, gradients, worstGradient, limits, ok: within(got, limits) };
}

interface Measured extends Distances {
  readonly hiddenMaxAbs: readonly number[];
}

async function measure(
  trainer: NativeTrainer,
  reference: Reference,
  hiddenStates: readonly number[],
  floorShare: number,
): Promise<Measured> {
  const got = await trainer.probe(reference.inputIds, shiftedTargets(reference));
  const logitsMaxAbs = maxAbsDifference(got.logits, reference.logits);
  const logitsRms = differenceNorm(got.logits, reference.logits) / Math.sqrt(reference.logits.length);
  const lossAbs = reference.loss === undefined ? null : Math.abs(got.loss - reference.loss);
  const hiddenMaxAbs = reference.hidden.map((expected, index) => {
    const start = hiddenStates[index]! * expected.length;
    return maxAbsDifference(got.hidden.subarray(start, start + expected.length), expected);
  });
  const norms = [...reference.gradients.values()].map(norm);
  const floor = floorShare * norms.reduce((a, b) => Math.max(a, b), 0);
  const gradients: Record<string, number> = {};
  for (const [name, expected] of reference.gradients) {
    const error = differenceNorm(trainer.read(name, "gradient", "float64"), expected);
    gradients[name] = error === 0 ? 0 : error / Math.max(norm(expected), floor);
  }
  return { logitsMaxAbs, logitsRms, lossAbs, hiddenMaxAbs, gradients };
}

/** The recorded run beside a checkpoint. Throws LMX5104 where there is none. */
function recordedRun(folder: string): string {
  const path = join(folder, "io.safetensors");
  if (existsSync(path)) return path;
  throw invalidFile(
    "LMX5104",
    `Expected a recorded run at ${path}, found none`,
    "name one with --against, or let layermix export hf write one with --record 64",
  );
}

function shiftedTargets(reference: Reference): Int32Array {
  return Int32Array.from(reference.inputIds, (_, row) =>
    (row + 1) % reference.sequence === 0 ? -1 : reference.inputIds[row + 1]!,
  );
}

function trainerConfig(model: NativeModelConfig, request: VerifyRequest, batch: number, sequence: number) {
  const { device, precision } = request;
  return weightsOnly(model, { batch, microBatch: batch, sequence, device, precision, initStd: 0 });
}

function withTrainer<T>(
  native: NativeLibrary,
  config: ReturnType<typeof trainerConfig>,
  use: (trainer: NativeTrainer) => T,
): T {
  const trainer = new native.Trainer(config);
  try {
    return use(trainer);
  } finally {
    trainer.dispose();
  }
}

// Math.max, but NaN also when only one of the two is.
function largest(a: number, b: number): number {
  return a >= b ? a : b >= a ? b : Number.NaN;
}

function maxAbsDifference(a: Float64Array, b: Float64Array): number {
  let most = 0;
  for (let i = 0; i < b.length; i++) most = largest(most, Math.abs(a[i]! - b[i]!));
  return most;
}

function norm(a: Float64Array): number {
  return Math.sqrt(a.reduce((sum, value) => sum + value * value, 0));
}

function differenceNorm(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < b.length; i++) sum += (a[i]! - b[i]!) ** 2;
  return Math.sqrt(sum);
}
