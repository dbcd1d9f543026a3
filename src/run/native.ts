// The whole native surface, typed by hand: what layermix_cpu.node and layermix_cuda.node (kernels/addon) export. Mirrors
// kernels/include/layermix.h; every value is checked again on the native side. Failures are Errors with a
// `code` (NativeErrorCode). load_native.ts finds and loads it.

import type { NativeLayer } from "../block/block.js";
import type { Operation } from "../block/operations.js";

export type Precision = "fp32" | "fp64" | "bf16";
export type LearningRateSchedule = "constant" | "cosine" | "wsd";

/** Why a native call failed: the `code` of the Error. */
export type NativeErrorCode =
  | "invalid_argument" // a value is outside what the library can run; the message names it
  | "out_of_memory"
  | "no_device"
  | "not_found" // no tensor of that name
  | "internal"
  | "device_fault" // the GPU is at fault, and further calls of this process to it fail too
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
  /**
   * "cpu"; "cuda:N" where the library is built with CUDA; "reference", what a plain implementation in bf16 computes:
   * slow, to measure the error of bf16 by.
   */
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

export interface NativeBatch {
  /** (batch, sequence). */
  readonly tokens: Int32Array;
  /** (batch, sequence); a target < 0 is not counted. */
  readonly targets: Int32Array;
}

export interface NativeStepResult {
  /** Mean over the targets of the batch, nats. */
  readonly loss: number;
  /** Before clipping. */
  readonly gradNorm: number;
  readonly learningRate: number;
  /** Steps taken so far, this one included. */
  readonly step: number;
  /** That a GPU spent on it, by its own clock (the mean of steps queued together); 0 on the CPU. */
  readonly deviceSeconds: number;
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
  /**
   * An optimizer step for each batch, in order, with the bits of as many calls of one. A GPU works through them without waiting for the
   * host in between. Where one batch is invalid no step is taken.
   */
  train(batches: readonly NativeBatch[]): Promise<readonly NativeStepResult[]>;
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

export interface NativeDecoderConfig {
  readonly model: NativeModelConfig;
  /** Sequences decoded side by side; all are at the same position. */
  readonly batch: number;
  /** Tokens a sequence can reach: what the KV cache has room for. */
  readonly context: number;
  /** The longest prompt given at once, in tokens per sequence; decides the scratch memory. */
  readonly prompt: number;
  /** The CPU runs fp32 and fp64, a GPU bf16; any can be planned. */
  readonly precision: Precision;
  /** Type of the SSM state: that of the precision's statistics (fp32; fp64 in fp64), or bf16 on a GPU. */
  readonly stateType: "full" | "bf16";
  readonly device: string;
  readonly threads: number;
  /** Initial weights: those of a trainer with the same seed. */
  readonly seed: number | bigint;
  readonly initStd: number;
}

/** Bytes of a decoder, exact (kernels/model/DECODING.md). */
export interface NativeDecoderMemory {
  readonly weights: number;
  /** KV cache of all sequences at full context. */
  readonly cache: number;
  /** Convolution windows and SSM states of all sequences. */
  readonly state: number;
  readonly scratch: number;
  readonly workspace: number;
  readonly total: number;
}

/**
 * A model that generates. One asynchronous call at a time, as for NativeTrainer. Logits are those of the last position of every
 * sequence, (batch, vocab).
 */
export interface NativeDecoder {
  readonly memory: NativeDecoderMemory;
  readonly tensors: readonly NativeTensor[];
  /** Tokens every sequence has seen. */
  readonly position: number;
  /** Writes a parameter. */
  write(name: string, data: Float32Array | Float64Array): void;
  /** Feeds (batch, time) tokens, from the current position on. */
  prefill(tokens: Int32Array): Promise<Float64Array>;
  /** Feeds one token per sequence. */
  step(tokens: Int32Array): Promise<Float64Array>;
  /** `count` steps, each fed with the most likely token of the step before: (count, batch). */
  generate(count: number): Promise<Int32Array>;
  /** Back to an empty context. */
  reset(): void;
  /** Pretends that `position` tokens were seen: caches and states hold random values. For measuring. */
  fill(position: number, seed: number): void;
  /** Seconds of each of `count` greedy steps, timed on the device. */
  timeSteps(count: number): Promise<Float64Array>;
  /** Seconds of each of `count` prefills of `time` random tokens per sequence, from an empty context. */
  timePrefills(time: number, count: number): Promise<Float64Array>;
  dispose(): void;
}

/**
 * One operation of prefill or decoding, at one shape: those of src/block/operations.ts that have a kernel. Types are those of
 * the device: bf16 on a GPU, fp32 on the CPU.
 */
export type NativeOperation =
  | Exclude<
      Operation,
      {
        kind:
          | "attention_prefill"
          | "ssd_update"
          | "expert_linear"
          | "elementwise"
          | "scan_prefill"
          | "state_update";
      }
    >
  | Omit<Extract<Operation, { kind: "attention_prefill" }>, "window">
  | (Extract<Operation, { kind: "ssd_update" }> & { readonly stateType: "full" | "bf16" })
  /** Device memory to device memory; bytes read plus bytes written is twice this. */
  | { readonly kind: "copy"; readonly bytes: number }
  /** An operation without work: what one more operation in a step costs. */
  | { readonly kind: "launch" };

export interface NativeMeasurement {
  /** Median time of one call among many, back to back as in a step (one CUDA graph). */
  readonly seconds: number;
  /** Tenth and ninetieth percentile. */
  readonly low: number;
  readonly high: number;
  /** How many timed samples the median is of; each is the mean of several calls. */
  readonly samples: number;
  /** Bytes that must move through memory: every input read once, every output written once. */
  readonly bytes: number;
  readonly flops: number;
}

/**
 * Times single operations on one device. Operands are random and rotated, so that they come from memory, not from a cache.
 * One asynchronous call at a time.
 */
export interface NativeMeter {
  /** About `seconds` of measuring, after a warm-up. */
  measure(operation: NativeOperation, seconds: number): Promise<NativeMeasurement>;
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
  readonly Decoder: new (config: NativeDecoderConfig) => NativeDecoder;
  /** device: "cpu" measures fp32 on `threads` threads (0 = all cores), "cuda:N" bf16. */
  readonly Meter: new (config: {
    readonly device: string;
    readonly threads: number;
  }) => NativeMeter;
  /** What a trainer would allocate. Needs no device. */
  planMemory(config: NativeTrainerConfig): NativeMemory;
  /** What a decoder would allocate. Needs no device. */
  planDecoderMemory(config: NativeDecoderConfig): NativeDecoderMemory;
  /** Version, and one line on how it was built: compiler, vector width, BLAS. */
  info(): { readonly version: string; readonly build: string };
  devices(): NativeDevices;
}
