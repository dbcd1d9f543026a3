// The whole native surface, typed by hand: what layermix_cpu.node and layermix_cuda.node (kernels/addon) export. Mirrors
// kernels/include/layermix.h; every value is checked again on the native side. Failures are Errors with a
// `code` (NativeErrorCode). load_native.ts finds and loads it.

import type { NativeLayer } from "../block/block.js";

export type Precision = "fp32" | "fp64" | "bf16";
export type LearningRateSchedule = "constant" | "cosine" | "wsd";

/** Why a native call failed: the `code` of the Error. */
export type NativeErrorCode =
  | "invalid_argument" // a value is outside what the library can run; the message names it
  | "out_of_memory"
  | "no_device"
  | "not_found" // no tensor of that name
  | "internal"
  | "busy" // the promise of the call before is still open
  | "disposed";

export interface NativeModelConfig {
  readonly hidden: number;
  readonly vocab: number;
  readonly tieEmbeddings: boolean;
  readonly normEps: number;
  readonly layers: readonly NativeLayer[];
}

/** AdamW and its learning rate; the schedules are defined in kernels/train/schedule.h. */
export interface NativeOptimizerConfig {
  readonly learningRate: number;
  /** Where cosine and WSD end. */
  readonly minimumLearningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** Decoupled; matrices and conv weights only. */
  readonly weightDecay: number;
  /** Global gradient norm limit; 0 = off. */
  readonly clipNorm: number;
  readonly schedule: LearningRateSchedule;
  readonly totalSteps: number;
  readonly warmupSteps: number;
  /** WSD: steps of the final decay. */
  readonly decaySteps: number;
}

export interface NativeTrainerConfig {
  readonly model: NativeModelConfig;
  readonly optimizer: NativeOptimizerConfig;
  /** Sequences per step. */
  readonly batch: number;
  /** Sequences per forward pass; divides batch. */
  readonly microBatch: number;
  /** Tokens per sequence. */
  readonly sequence: number;
  /** The CPU runs fp32 and fp64, a GPU bf16 with fp32 masters; any can be planned. */
  readonly precision: Precision;
  /** "cpu"; "cuda:N" where the library is built with CUDA. */
  readonly device: string;
  /** CPU threads; 0 = all cores. Results do not depend on it. */
  readonly threads: number;
  /** Initial weights: 0 to 2^64 - 1. */
  readonly seed: number | bigint;
  /** Standard deviation of initial weight matrices (Megatron's 0.02). */
  readonly initStd: number;
}

/** Bytes of a trainer, exact: what is allocated is the sum (kernels/model/MEMORY.md). */
export interface NativeMemory {
  readonly weights: number;
  readonly gradients: number;
  readonly optimizer: number;
  readonly activations: number;
  readonly workspace: number;
  readonly total: number;
}

export interface NativeTensor {
  /** Hugging Face name: "backbone.layers.0.mixer.in_proj.weight". */
  readonly name: string;
  readonly shape: readonly number[];
  readonly count: number;
  /** Takes weight decay. */
  readonly decayed: boolean;
}

export type TensorPart = "value" | "gradient" | "expAvg" | "expAvgSq";

export interface NativeStepResult {
  /** Mean over the targets of the batch, nats. */
  readonly loss: number;
  /** Before clipping. */
  readonly gradNorm: number;
  readonly learningRate: number;
  /** Steps taken so far, this one included. */
  readonly step: number;
}

/**
 * Per row (sequence by sequence): loss in nats, 0 where the target is negative; 1 where the prediction was
 * right.
 */
export interface NativeEvaluation {
  readonly loss: Float32Array;
  readonly correct: Uint8Array;
}

export interface NativeProbe {
  readonly loss: number;
  /** (batch, sequence, vocab). */
  readonly logits: Float64Array;
  /** (layers + 2, batch, sequence, hidden): embedding output, output of every layer, final norm's output. */
  readonly hidden: Float64Array;
}

/**
 * A model in training. One asynchronous call at a time: while a promise is open, every other call throws
 * "busy". Token arrays are copied before a call returns. A target < 0 is not counted.
 */
export interface NativeTrainer {
  readonly memory: NativeMemory;
  /** Every parameter, in model order. */
  readonly tensors: readonly NativeTensor[];
  /** Optimizer steps taken; written when a run is resumed. */
  stepIndex: number;
  /** One optimizer step over (batch, sequence) tokens and targets. */
  step(tokens: Int32Array, targets: Int32Array): Promise<NativeStepResult>;
  /** Forward only, any number of sequences. Leaves training as it was. */
  evaluate(tokens: Int32Array, targets: Int32Array): Promise<NativeEvaluation>;
  /** Forward and backward without a step; gradients are left to be read. Needs microBatch equal to batch. */
  probe(tokens: Int32Array, targets: Int32Array): Promise<NativeProbe>;
  read(name: string, part: TensorPart, type: "float32"): Float32Array<ArrayBuffer>;
  read(name: string, part: TensorPart, type: "float64"): Float64Array<ArrayBuffer>;
  write(name: string, part: TensorPart, data: Float32Array | Float64Array): void;
  /** Frees the native memory now; later calls throw "disposed". May be called twice. */
  dispose(): void;
}

/** GPUs that "cuda:N" can mean: one line about each. */
export interface NativeDevices {
  readonly cuda: readonly string[];
  /** Why there is none: absent where there is one. */
  readonly reason?: string;
}

export interface NativeLibrary {
  readonly Trainer: new (config: NativeTrainerConfig) => NativeTrainer;
  /** What a trainer would allocate. Needs no device. */
  planMemory(config: NativeTrainerConfig): NativeMemory;
  /** Version, and one line on how it was built: compiler, vector width, BLAS. */
  info(): { readonly version: string; readonly build: string };
  devices(): NativeDevices;
}
