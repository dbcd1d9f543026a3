// The contract of a layer kind. One file per kind implements it (mamba2.ts, attention.ts, mlp.ts);
// registry.ts lists them. Everything that depends on what a layer IS - options, shape, parameters, FLOPs,
// state - is asked through this interface, so a new kind is one new file here and one in kernels/.

import type { Operation } from "./operations.js";
import type { KindSchema } from "./option_schema.js";

/** What a block needs to know about the model around it. */
export interface BlockContext {
  readonly hidden: number;
  /** Sub-block layers in the model (Megatron scales output projections by it). */
  readonly layers: number;
}

/**
 * Something wrong with a block's options; `option` is the key below model.blocks.<kind>, "" for the block
 * itself.
 */
export interface BlockIssue {
  readonly option: string;
  readonly message: string;
  readonly help: readonly string[];
}

/** One parameter tensor of a layer, by its Hugging Face name below `backbone.layers.N.`. */
export interface ParameterTensor {
  readonly name: string;
  readonly shape: readonly number[];
  /** Takes weight decay (matrices and conv weights do; norms, biases, A_log, D, dt_bias do not). */
  readonly decayed: boolean;
  /**
   * Tensors of a layer that carry the same name here are stored as one matrix, in this order ("qkv",
   * "gate_up").
   */
  readonly fused?: string;
  /** Of the slices along the first dimension (experts), how many one token visits; all where absent. */
  readonly visited?: number;
}

/** Sequences and tokens of one forward pass. */
export interface Workload {
  readonly batch: number;
  readonly sequence: number;
}

/** Floating point operations of one layer, a multiply and an add each counting one. */
export interface LayerFlops {
  readonly forward: number;
  readonly backward: number;
}

/**
 * Buffers one layer needs in training (kernels/model/MEMORY.md): `activation` elements are fp32 on the CPU
 * and bf16 on a GPU, `statistic` elements are always fp32. Every entry is a buffer of its own.
 */
export interface TrainingBuffers {
  /** Kept from the forward to the backward pass, the mixer's own: elements of activation type. */
  readonly savedActivations: readonly number[];
  /** Kept as well: elements of statistic type. */
  readonly savedStatistics: readonly number[];
  /**
   * Used during the layer's backward pass alone, elements of activation type; the layers share one space for
   * them.
   */
  readonly transient: readonly number[];
  /**
   * fp32 elements of scratch that the hungriest of the mixer's operations takes (kernels/cpu/WORKSPACE.md).
   */
  readonly workspace: number;
  /** Scratch in bytes of the hungriest operation on a GPU, beside matrix products (kernels/cuda/WORKSPACE.md). */
  readonly gpuWorkspace?: number;
  /**
   * States saved at the start of every chunk of the sequence, of activation type: elements of one, for the whole
   * micro-batch, and the layer's chunk in tokens, which a GPU overrides with its own.
   */
  readonly chunkStates?: { readonly elements: number; readonly chunk: number };
}

/** One forward pass of inference, on one device. */
export type InferencePass =
  /** `time` prompt tokens of each of `batch` sequences, from an empty context. */
  | { readonly phase: "prefill"; readonly batch: number; readonly time: number }
  /** One token of each of `batch` sequences; `context` counts it and the tokens before it. */
  | { readonly phase: "decode"; readonly batch: number; readonly context: number };

/** Tokens that go through every layer of a pass. */
export function passTokens(pass: InferencePass): number {
  return pass.phase === "prefill" ? pass.batch * pass.time : pass.batch;
}

/** One operation of a layer in a pass. */
export interface LayerOperation {
  readonly operation: Operation;
  /**
   * Where the layer is divided among devices, the output (rows x hidden) is a partial sum: an all-reduce
   * follows.
   */
  readonly partial?: true;
  /** How often the layer does it; once by default. */
  readonly times?: number;
}

/** What the native library is told about one layer; mirrors lmx_layer_config. */
export type NativeLayer =
  | {
      readonly kind: "mamba2";
      readonly heads: number;
      readonly headDim: number;
      readonly groups: number;
      readonly state: number;
      readonly conv: number;
      readonly chunk: number;
      readonly dtMin: number;
    }
  | {
      readonly kind: "attention";
      readonly heads: number;
      readonly kvHeads: number;
      readonly headDim: number;
      /** 0 = no position embedding. */
      readonly rotaryDim: number;
      readonly ropeTheta: number;
    }
  | {
      readonly kind: "mlp";
      readonly width: number;
      readonly activation: "gelu" | "gelu_erf" | "relu2" | "silu";
      readonly gated: boolean;
    };

/**
 * What a kind does along the sequence, which is what placement goes by: it carries a state of fixed size, it
 * looks back at tokens, or it treats every token on its own.
 */
export type LayerRole = "recurrent" | "attention" | "feed_forward";

/** How Megatron counts the FLOPs of a kind. */
export interface MegatronCount<O> {
  /** Place in the sum over kinds; doubles do not forgive another order. */
  readonly order: number;
  /**
   * Forward FLOPs (num_floating_point_operations / 3), same order of IEEE operations. A bigint where Python
   * stays in integers, so that numbers above 2^53 round once, when the layers are added up, and not on the way.
   */
  forwardFlops(options: O, context: BlockContext, work: Workload): number | bigint;
}

/** A layer kind. `O` is its resolved options: every field present, numbers checked. */
export interface Block<O = unknown> {
  /** Name in study files: "mamba2". */
  readonly kind: string;
  /** Symbol in layer patterns: "M". */
  readonly symbol: string;
  readonly title: string;
  /** Where the definition comes from (paper and section). */
  readonly source: string;
  readonly role: LayerRole;
  /** The options as study files write them. */
  readonly schema: KindSchema;
  /** Fills defaults. `raw` has passed the schema; never throws, problems are reported by check(). */
  resolve(raw: Readonly<Record<string, unknown>>, context: BlockContext): O;
  check(options: O, context: BlockContext): readonly BlockIssue[];
  /**
   * Defaults the reader would not expect ("groups: 2, because there are only 2 heads"), one sentence each.
   */
  notes(raw: Readonly<Record<string, unknown>>, options: O, context: BlockContext): readonly string[];
  /** Every tensor of the layer, its pre-norm included. */
  parameters(options: O, context: BlockContext): readonly ParameterTensor[];
  /** Tensors that the `layers` layers of this kind hold together, once per model. */
  sharedParameters?(options: O, context: BlockContext, layers: number): readonly ParameterTensor[];
  /** Exact FLOPs of the layer for the whole workload, forward and backward (definition in docs/flops.md). */
  flops(options: O, context: BlockContext, work: Workload): LayerFlops;
  /** Absent where Megatron has no such layer. */
  readonly megatron?: MegatronCount<O>;
  /** `work` is one micro-batch. */
  trainingBuffers(options: O, context: BlockContext, work: Workload): TrainingBuffers;
  /** Elements added to the KV cache per token (0 for kinds without one). */
  kvElementsPerToken(options: O): number;
  /**
   * Elements of recurrent state per sequence (conv + SSM), independent of context (0 for kinds without one).
   */
  stateElementsPerSequence(options: O): number;
  /**
   * The part of stateElementsPerSequence that is recurrent state, which serving keeps in a type of its own
   * (fp32 as a rule); the rest is what convolutions look back at.
   */
  recurrentElementsPerSequence(options: O): number;
  /** Tokens of a context that stay in the KV cache; all of them where absent. */
  cachedTokens?(options: O, context: number): number;
  /**
   * The slice of a layer that one of `ranks` tensor-parallel devices holds, as options: parameters, caches and
   * operations of a device are those of its slice. A text says why the layer cannot be divided so.
   */
  shard(options: O, ranks: number): O | string;
  /** The operations of one layer in a pass, in order. */
  inference(options: O, context: BlockContext, pass: InferencePass): readonly LayerOperation[];
  /**
   * The options that follow the hidden width ("heads", "head_dim"): whoever overrides one of them decides
   * them all.
   */
  readonly widthOptions: readonly string[];
  /** Options scaled to another hidden width, keeping head dims and ratios: used by `match` and by proxies. */
  rescale(
    raw: Readonly<Record<string, unknown>>,
    from: BlockContext,
    to: BlockContext,
  ): Record<string, unknown>;
  /** What the native library is told; absent for kinds that are planned only. */
  toNative?(options: O, context: BlockContext): NativeLayer;
  /** An option that the native library does not build ("a sliding window"); undefined where it builds all. */
  nativeGap?(options: O): string | undefined;
}
