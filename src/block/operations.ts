// What inference consists of: operations with their shapes, and what each of them must do at least - floating
// point operations, and elements moved through memory by class. Kinds and fields are those by which the native
// library measures (src/run/native.ts); the last four are estimated only, for layers that have no kernel here.
//
// A class of elements has one type in memory: `weights` are matrices, which may be quantised; `parameters` the
// other tensors (norms, convolutions, embedding rows); `kv` the KV cache; `state` recurrent state; `window` what
// a convolution looks back at; `activations` everything between layers; `statistics` is always fp32 (logits).

export type Operation =
  /** y = x w' + residual. */
  | { readonly kind: "linear"; readonly rows: number; readonly in: number; readonly out: number }
  /** y = RMSNorm(x) w'; `logits` writes fp32. */
  | {
      readonly kind: "norm_linear";
      readonly rows: number;
      readonly in: number;
      readonly out: number;
      readonly logits: boolean;
    }
  /** a = act(RMSNorm(x) w_up'), gated: act(x w_gate') * (x w_up'). */
  | {
      readonly kind: "mlp_up";
      readonly rows: number;
      readonly hidden: number;
      readonly width: number;
      readonly activation: "gelu" | "gelu_erf" | "relu2" | "silu";
      readonly gated: boolean;
    }
  | { readonly kind: "rms_norm"; readonly rows: number; readonly cols: number }
  | { readonly kind: "gated_rms_norm"; readonly rows: number; readonly cols: number; readonly groups: number }
  /** Causal, from an empty context; a query sees at most `window` keys, its own included. */
  | {
      readonly kind: "attention_prefill";
      readonly batch: number;
      readonly time: number;
      readonly heads: number;
      readonly kvHeads: number;
      readonly headDim: number;
      readonly window?: number;
    }
  /** One token per sequence against `context` cached tokens, its own included. */
  | {
      readonly kind: "attention_decode";
      readonly batch: number;
      readonly context: number;
      readonly heads: number;
      readonly kvHeads: number;
      readonly headDim: number;
    }
  /** Rotates q and k, and appends k and v of `time` tokens per sequence to the cache. */
  | {
      readonly kind: "cache_append";
      readonly batch: number;
      readonly time: number;
      readonly heads: number;
      readonly kvHeads: number;
      readonly headDim: number;
    }
  | {
      readonly kind: "ssd_prefill";
      readonly batch: number;
      readonly time: number;
      readonly heads: number;
      readonly headDim: number;
      readonly groups: number;
      readonly state: number;
    }
  | {
      readonly kind: "ssd_update";
      readonly batch: number;
      readonly heads: number;
      readonly headDim: number;
      readonly groups: number;
      readonly state: number;
    }
  | {
      readonly kind: "conv_prefill";
      readonly batch: number;
      readonly time: number;
      readonly channels: number;
      readonly width: number;
    }
  | { readonly kind: "conv_step"; readonly batch: number; readonly channels: number; readonly width: number }
  | { readonly kind: "embedding"; readonly rows: number; readonly cols: number; readonly vocab: number }
  /** The most likely token of every row. */
  | { readonly kind: "argmax"; readonly rows: number; readonly vocab: number }
  /** Products with the matrices of `experts` different experts; `rows` counts token-expert pairs. */
  | {
      readonly kind: "expert_linear";
      readonly rows: number;
      readonly experts: number;
      readonly in: number;
      readonly out: number;
    }
  /** `reads` and `writes` are elements per row. */
  | { readonly kind: "elementwise"; readonly rows: number; readonly reads: number; readonly writes: number }
  /** A linear recurrence over a prompt: `state` elements per sequence, `channels` elements read and written per token. */
  | {
      readonly kind: "scan_prefill";
      readonly batch: number;
      readonly time: number;
      readonly state: number;
      readonly channels: number;
      readonly flopsPerToken: number;
    }
  /** The same for one token per sequence. */
  | {
      readonly kind: "state_update";
      readonly batch: number;
      readonly state: number;
      readonly channels: number;
      readonly flopsPerToken: number;
    };

export type OperationKind = Operation["kind"];

export const trafficClasses = [
  "weights",
  "parameters",
  "kv",
  "state",
  "window",
  "activations",
  "statistics",
] as const;
export type TrafficClass = (typeof trafficClasses)[number];

/** Elements read plus elements written, by class; what is absent is 0. */
export type Traffic = Readonly<Partial<Record<TrafficClass, number>>>;

export interface OperationCost {
  /** A multiply and an add each count one, as in docs/flops.md. */
  readonly flops: number;
  readonly traffic: Traffic;
}

type CostRules = {
  readonly [K in OperationKind]: (operation: Extract<Operation, { kind: K }>) => OperationCost;
};

/** Query-key pairs of one sequence under the causal mask, each query seeing at most `window` keys. */
export function causalPairs(time: number, window = time): number {
  const ramp = Math.min(time, window);
  return (ramp * (ramp + 1)) / 2 + (time - ramp) * ramp;
}

/** Taps of a causal convolution over one sequence: the first tokens reach 1, 2, ... back. */
const taps = (time: number, width: number): number => causalPairs(time, width);

// The recurrence of docs/flops.md: 5 N + 3 per channel and token.
const ssdFlops = (tokens: number, channels: number, state: number): number =>
  tokens * channels * (5 * state + 3);

/** Per token: x, B, C and dt are read, y is written. */
const ssdChannels = (o: { heads: number; headDim: number; groups: number; state: number }): number =>
  2 * o.heads * o.headDim + 2 * o.groups * o.state + o.heads;

const rules: CostRules = {
  linear: (o) => ({
    flops: 2 * o.rows * o.in * o.out,
    traffic: { weights: o.in * o.out, activations: o.rows * (o.in + 2 * o.out) },
  }),
  norm_linear: (o) => ({
    flops: 2 * o.rows * o.in * o.out,
    traffic: {
      weights: o.in * o.out,
      parameters: o.in,
      activations: o.rows * (o.in + (o.logits ? 0 : o.out)),
      statistics: o.logits ? o.rows * o.out : 0,
    },
  }),
  mlp_up: (o) => {
    const columns = o.width * (o.gated ? 2 : 1);
    return {
      flops: 2 * o.rows * o.hidden * columns,
      traffic: {
        weights: o.hidden * columns,
        parameters: o.hidden,
        activations: o.rows * (o.hidden + o.width),
      },
    };
  },
  rms_norm: (o) => ({ flops: 0, traffic: { parameters: o.cols, activations: 2 * o.rows * o.cols } }),
  gated_rms_norm: (o) => ({ flops: 0, traffic: { parameters: o.cols, activations: 3 * o.rows * o.cols } }),
  attention_prefill: (o) => ({
    flops: 4 * o.batch * causalPairs(o.time, o.window) * o.heads * o.headDim,
    traffic: {
      kv: 2 * o.batch * o.time * o.kvHeads * o.headDim,
      activations: 2 * o.batch * o.time * o.heads * o.headDim,
    },
  }),
  attention_decode: (o) => ({
    flops: 4 * o.batch * o.context * o.heads * o.headDim,
    traffic: {
      kv: 2 * o.batch * o.context * o.kvHeads * o.headDim,
      activations: 2 * o.batch * o.heads * o.headDim,
    },
  }),
  cache_append: (o) => ({
    flops: 0,
    traffic: {
      kv: 2 * o.batch * o.time * o.kvHeads * o.headDim,
      activations: 2 * o.batch * o.time * (o.heads + o.kvHeads) * o.headDim,
    },
  }),
  ssd_prefill: (o) => ({
    flops: ssdFlops(o.batch * o.time, o.heads * o.headDim, o.state),
    traffic: {
      state: o.batch * o.heads * o.headDim * o.state,
      activations: o.batch * o.time * ssdChannels(o),
    },
  }),
  ssd_update: (o) => ({
    flops: ssdFlops(o.batch, o.heads * o.headDim, o.state),
    traffic: {
      state: 2 * o.batch * o.heads * o.headDim * o.state,
      activations: o.batch * ssdChannels(o),
    },
  }),
  conv_prefill: (o) => ({
    flops: 2 * o.batch * taps(o.time, o.width) * o.channels,
    traffic: {
      parameters: o.channels * (o.width + 1),
      window: o.batch * o.channels * (o.width - 1),
      activations: 2 * o.batch * o.time * o.channels,
    },
  }),
  conv_step: (o) => ({
    flops: 2 * o.batch * o.channels * o.width,
    traffic: {
      parameters: o.channels * (o.width + 1),
      window: 2 * o.batch * o.channels * (o.width - 1),
      activations: 2 * o.batch * o.channels,
    },
  }),
  embedding: (o) => ({
    flops: 0,
    traffic: { parameters: Math.min(o.rows, o.vocab) * o.cols, activations: o.rows * o.cols },
  }),
  argmax: (o) => ({ flops: 0, traffic: { statistics: o.rows * o.vocab } }),
  expert_linear: (o) => ({
    flops: 2 * o.rows * o.in * o.out,
    traffic: { weights: o.experts * o.in * o.out, activations: o.rows * (o.in + o.out) },
  }),
  elementwise: (o) => ({ flops: 0, traffic: { activations: o.rows * (o.reads + o.writes) } }),
  scan_prefill: (o) => ({
    flops: o.batch * o.time * o.flopsPerToken,
    traffic: { state: o.batch * o.state, activations: o.batch * o.time * o.channels },
  }),
  state_update: (o) => ({
    flops: o.batch * o.flopsPerToken,
    traffic: { state: 2 * o.batch * o.state, activations: o.batch * o.channels },
  }),
};

/** What an operation must compute and move at the least: every input read once, every output written once. */
export function operationCost(operation: Operation): OperationCost {
  return (rules[operation.kind] as (operation: Operation) => OperationCost)(operation);
}
