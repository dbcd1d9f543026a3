// What a plan costs: exact parameters, FLOPs, training memory and inference state. Plain numbers: bytes and
// FLOPs. The field names are those of `layermix plan --json`.

export interface ParameterCount {
  readonly total: number;
  /** Parameters used per token (less than total only with mixtures of experts). */
  readonly active: number;
  readonly embedding: number;
  readonly nonEmbedding: number;
  /**
   * By kind (as counts list them), norms counted with their layer; the final norm, the head and meta tokens are under
   * "other".
   */
  readonly byKind: Readonly<Record<string, number>>;
}

export interface FlopCount {
  readonly sequence: number;
  readonly batch: number;
  /** Exact forward FLOPs of `batch` sequences of `sequence` tokens. */
  readonly forward: number;
  /** Exact forward + backward FLOPs. */
  readonly train: number;
  /** Megatron's num_floating_point_operations, bit for bit; null where it has no such layer. */
  readonly megatronTrain: number | null;
  readonly trainPerToken: number;
}

export interface TrainingMemory {
  readonly weights: number;
  readonly gradients: number;
  readonly optimizer: number;
  readonly activations: number;
  readonly total: number;
}

export interface Cost {
  readonly params: ParameterCount;
  readonly flops: FlopCount;
  readonly memory: {
    readonly training: TrainingMemory;
    /** KV cache bytes that one more token of a sequence takes in a long context, 16-bit. */
    readonly kvBytesPerToken: number;
    /** KV cache bytes of layers with a sliding window, once it is full, 16-bit; they grow no further. */
    readonly windowBytesPerSequence: number;
    /** Recurrent state bytes per sequence (conv + SSM), 16-bit. */
    readonly stateBytesPerSequence: number;
  };
}
