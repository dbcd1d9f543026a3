// The shapes that `layermix calibrate` measures: every operation of prefill and decoding over the range in which models
// are served, in steps of one or two octaves. GPU shapes have widths of 1024, 1536, 4096, 5120 and 8192; models of other
// widths are left to test projections with (bench/projection.js). A CPU gets the same at a scale that it can finish.

import { type Operation, operationCost } from "../block/operations.js";
import type { CalibrationPlan } from "./hardware.js";

/** Everything that differs between a GPU and a CPU, small and large. */
interface Scale {
  /** Rows of matrix products: sequences of a step, tokens of a prompt. */
  readonly rows: readonly number[];
  /** (in, out) of output projections, of first projections, of MLPs (hidden, width), of heads (hidden, vocabulary). */
  readonly linear: readonly Pair[];
  readonly normLinear: readonly Pair[];
  readonly mlp: readonly Pair[];
  readonly head: readonly Pair[];
  /** Sequences of a step. */
  readonly batches: readonly number[];
  /** (heads, key heads, head dimension). */
  readonly attention: readonly Triple[];
  readonly contexts: readonly number[];
  /** (heads, groups, state) of Mamba-2 with heads of 64 channels. */
  readonly scans: readonly Triple[];
  /** Tokens per sequence of a prompt. */
  readonly times: readonly number[];
  /** No operation moves more elements or does more FLOPs than this. */
  readonly mostElements: number;
  readonly mostFlops: number;
}

type Pair = readonly [number, number];
type Triple = readonly [number, number, number];

const gpu: Scale = {
  rows: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 2048, 8192, 32_768],
  linear: [
    [1024, 1024],
    [4096, 1024],
    [4096, 4096],
    [8192, 4096],
    [16_384, 4096],
    [8192, 8192],
  ],
  normLinear: [
    [1024, 1536],
    [1024, 4384],
    [4096, 6144],
    [4096, 18_560],
    [8192, 10_240],
  ],
  mlp: [
    [1024, 4096],
    [4096, 16_384],
    [8192, 24_576],
  ],
  head: [
    [1024, 32_768],
    [4096, 131_072],
    [8192, 65_536],
  ],
  batches: [1, 2, 4, 8, 16, 64, 128, 256],
  attention: [
    [32, 8, 128],
    [32, 32, 128],
    [16, 2, 64],
  ],
  contexts: [512, 2048, 8192, 32_768, 131_072],
  scans: [
    [128, 8, 128],
    [32, 1, 128],
    [64, 8, 64],
  ],
  times: [256, 1024, 4096, 16_384, 65_536],
  mostElements: 8e9,
  mostFlops: 6e13,
};

const gpuQuick: Scale = {
  ...gpu,
  rows: [1, 8, 64, 512, 8192],
  linear: gpu.linear.filter((_, i) => i % 2 === 0),
  normLinear: gpu.normLinear.filter((_, i) => i % 2 === 0),
  head: gpu.head.slice(1, 2),
  batches: [1, 16, 128],
  attention: gpu.attention.slice(0, 1),
  contexts: [2048, 32_768],
  scans: gpu.scans.slice(0, 1),
  times: [1024, 16_384],
};

const cpu: Scale = {
  rows: [1, 2, 4, 8, 16, 64, 256, 1024],
  linear: [
    [128, 128],
    [256, 512],
    [512, 512],
    [1024, 256],
    [2048, 1024],
  ],
  normLinear: [
    [128, 400],
    [256, 1024],
    [512, 1536],
    [1024, 4384],
  ],
  mlp: [
    [128, 512],
    [512, 2048],
    [1024, 4096],
  ],
  head: [
    [128, 4096],
    [512, 16_384],
  ],
  batches: [1, 2, 4, 16, 64],
  attention: [
    [8, 2, 64],
    [4, 4, 32],
    [16, 4, 64],
  ],
  contexts: [64, 256, 1024, 4096],
  scans: [
    [16, 1, 128],
    [8, 1, 32],
    [32, 8, 64],
  ],
  times: [64, 256, 1024],
  mostElements: 3e8,
  mostFlops: 2e10,
};

const cpuQuick: Scale = {
  ...cpu,
  rows: [1, 8, 64, 512],
  linear: cpu.linear.slice(1, 4),
  normLinear: cpu.normLinear.slice(0, 3),
  mlp: cpu.mlp.slice(0, 2),
  batches: [1, 4, 16],
  attention: cpu.attention.slice(0, 1),
  contexts: [64, 512],
  scans: cpu.scans.slice(0, 1),
  times: [64, 512],
  mostElements: 5e7,
  mostFlops: 2e9,
};

/** The operations to measure on a device, each once, cheap kinds first. */
export function calibrationShapes(arithmetic: "bf16" | "fp32", plan: CalibrationPlan): readonly Operation[] {
  const scale = arithmetic === "bf16" ? (plan === "full" ? gpu : gpuQuick) : plan === "full" ? cpu : cpuQuick;
  const all = [...streaming(scale), ...recurrences(scale), ...attentions(scale), ...products(scale)];
  const seen = new Set<string>();
  return all.filter((operation) => {
    const key = JSON.stringify(operation);
    if (seen.has(key)) return false;
    seen.add(key);
    const { flops, traffic } = operationCost(operation);
    const elements = Object.values(traffic).reduce((sum, count) => sum + count, 0);
    return elements <= scale.mostElements && flops <= scale.mostFlops;
  });
}

function products({ rows, linear, normLinear, mlp, head, batches }: Scale): Operation[] {
  return [
    ...linear.flatMap(([from, to]) =>
      rows.map((count): Operation => ({ kind: "linear", rows: count, in: from, out: to })),
    ),
    ...normLinear.flatMap(([from, to]) =>
      rows.map(
        (count): Operation => ({ kind: "norm_linear", rows: count, in: from, out: to, logits: false }),
      ),
    ),
    ...mlp.flatMap(([hidden, width], i) =>
      rows.map(
        (count): Operation =>
          i === 1
            ? { kind: "mlp_up", rows: count, hidden, width, activation: "silu", gated: true }
            : { kind: "mlp_up", rows: count, hidden, width, activation: "relu2", gated: false },
      ),
    ),
    ...head.flatMap(([hidden, vocab]) =>
      batches.map(
        (count): Operation => ({ kind: "norm_linear", rows: count, in: hidden, out: vocab, logits: true }),
      ),
    ),
  ];
}

/** Every other one, the first included. */
const everyOther = (values: readonly number[]): readonly number[] => values.filter((_, i) => i % 2 === 0);

function attentions({ attention, batches, contexts, times }: Scale): Operation[] {
  const few = everyOther(batches);
  return attention.flatMap(([heads, kvHeads, headDim]) => {
    const shape = { heads, kvHeads, headDim };
    return [
      ...few.flatMap((batch): Operation[] => [
        ...contexts.map((context): Operation => ({ kind: "attention_decode", batch, context, ...shape })),
        { kind: "cache_append", batch, time: 1, ...shape },
      ]),
      ...times.flatMap((time): Operation[] => [
        { kind: "attention_prefill", batch: 1, time, ...shape },
        { kind: "attention_prefill", batch: 8, time, ...shape },
        { kind: "cache_append", batch: 1, time, ...shape },
      ]),
    ];
  });
}

const headDim = 64;
const taps = 4;

function recurrences({ scans, batches, times }: Scale): Operation[] {
  return scans.flatMap(([heads, groups, state]) => {
    const shape = { heads, headDim, groups, state };
    const channels = heads * headDim + 2 * groups * state;
    return [
      ...batches.flatMap((batch): Operation[] => [
        { kind: "ssd_update", batch, ...shape },
        { kind: "conv_step", batch, channels, width: taps },
        { kind: "gated_rms_norm", rows: batch, cols: heads * headDim, groups },
      ]),
      ...times.flatMap((time): Operation[] => [
        { kind: "ssd_prefill", batch: 1, time, ...shape },
        { kind: "ssd_prefill", batch: 8, time, ...shape },
        { kind: "conv_prefill", batch: 1, time, channels, width: taps },
        { kind: "conv_prefill", batch: 8, time, channels, width: taps },
        { kind: "gated_rms_norm", rows: time, cols: heads * headDim, groups },
      ]),
    ];
  });
}

function streaming({ batches, times, head }: Scale): Operation[] {
  return head.flatMap(([cols, vocab]) => [
    ...everyOther(batches).flatMap((rows): Operation[] => [
      { kind: "argmax", rows, vocab },
      { kind: "embedding", rows, cols, vocab },
      { kind: "rms_norm", rows, cols },
    ]),
    ...everyOther(times).flatMap((rows): Operation[] => [
      { kind: "embedding", rows, cols, vocab },
      { kind: "rms_norm", rows, cols },
    ]),
  ]);
}
