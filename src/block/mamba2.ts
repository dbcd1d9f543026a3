// Mamba-2 (state space duality): in_proj -> causal conv + SiLU -> SSD scan -> gated grouped RMSNorm ->
// out_proj. d = heads * head_dim inner channels, c = d + 2 * groups * state channels through the convolution.
// Parameters are those of NemotronH's and Megatron's mixer: no bias on the projections, a bias on the
// convolution; published hybrids differ in these and in the gated norm, which are options. Source: arXiv 2405.21060, sections 5 to 7; FLOPs as defined in docs/flops.md.

import type {
  Block,
  BlockContext,
  BlockIssue,
  InferencePass,
  LayerFlops,
  LayerOperation,
  ParameterTensor,
  TrainingBuffers,
  Workload,
} from "./block.js";
import { passTokens } from "./block.js";
import { convolutionWorkspace, normWorkspace, scanWorkspace } from "./cpu_workspace.js";
import { gpuConvolutionWorkspace, gpuGatedNormWorkspace, gpuScanWorkspace } from "./gpu_workspace.js";
import { convOption, countOption, expandOption, flagOption, type KindSchema } from "./option_schema.js";
import {
  given,
  indivisible,
  isCount,
  largestDivisor,
  numberOr,
  type RawOptions,
  scaledHeads,
} from "./raw_options.js";
import { convolution, convolutionFlops, matrix, outward, preNorm, vector } from "./tensors.js";

export interface Mamba2Options {
  readonly heads: number;
  readonly headDim: number;
  /** Groups of heads that share B and C; each also has its own mean square in the gated norm. */
  readonly groups: number;
  /** State dimension N of every channel. */
  readonly state: number;
  /** Taps of the causal convolution. */
  readonly conv: number;
  /** Tokens per chunk of the scan: changes speed and memory, never the function. */
  readonly chunk: number;
  /** Lower clamp of the discretisation step: 0 as Megatron, 0.001 as Hugging Face's NemotronH in prefill. */
  readonly dtMin: number;
  /** A gated norm in front of the output projection; a gate alone without it. */
  readonly gatedNorm: boolean;
  /** Biases of the projections in and out. */
  readonly bias: boolean;
  readonly outputBias: boolean;
  readonly convBias: boolean;
}

const megatronGroups = 8;
const megatronHeadDim = 64;

/**
 * Head dimension when none is given: Megatron's 64, or the largest power of two below it that divides the
 * inner width.
 */
function defaultHeadDim(raw: RawOptions, hidden: number): number {
  if (given(raw, "heads")) return megatronHeadDim;
  const width = numberOr(raw, "expand", 2) * hidden;
  let dim = megatronHeadDim;
  while (dim > 1 && width % dim !== 0) dim /= 2;
  return dim;
}

/** Inner width d. */
const inner = (o: Mamba2Options): number => o.heads * o.headDim;
/** Channels c through the convolution: x, B and C. */
const channels = (o: Mamba2Options): number => inner(o) + 2 * o.groups * o.state;

/**
 * Chunk length when none is given: the state dimension rounded up to a power of two, within [64, 256]. Work
 * inside a chunk grows with the chunk, the number of saved states shrinks with it; the two are level where
 * chunk = state.
 */
export function defaultChunk(state: number): number {
  let chunk = 64;
  while (chunk < state && chunk < 256) chunk *= 2;
  return chunk;
}

function resolve(raw: RawOptions, context: BlockContext): Mamba2Options {
  const headDim = numberOr(raw, "head_dim", defaultHeadDim(raw, context.hidden));
  const heads = numberOr(raw, "heads", (numberOr(raw, "expand", 2) * context.hidden) / headDim);
  const state = numberOr(raw, "state", 128);
  const defaultGroups = isCount(heads) ? largestDivisor(heads, megatronGroups) : megatronGroups;
  return {
    heads,
    headDim,
    groups: numberOr(raw, "groups", defaultGroups),
    state,
    conv: numberOr(raw, "conv", 4),
    chunk: numberOr(raw, "chunk", defaultChunk(state)),
    dtMin: numberOr(raw, "dt_min", 0),
    gatedNorm: raw.gated_norm !== false,
    bias: raw.bias === true,
    outputBias: (raw.output_bias ?? raw.bias) === true,
    convBias: raw.conv_bias !== false,
  };
}

function check(o: Mamba2Options, context: BlockContext): readonly BlockIssue[] {
  const issues: BlockIssue[] = [];
  if (!isCount(o.heads)) {
    issues.push({
      option: "head_dim",
      message: `Expected expand * hidden to be a multiple of head_dim, got ${o.heads * o.headDim} channels and heads of ${o.headDim}`,
      help: [
        `set head_dim to a divisor of ${o.heads * o.headDim}, or give heads instead of expand`,
        `hidden is ${context.hidden}`,
      ],
    });
  } else if (o.heads % o.groups !== 0) {
    issues.push({
      option: "groups",
      message: `Expected groups to divide the ${o.heads} heads, got ${o.groups}`,
      help: [`set groups to ${largestDivisor(o.heads, o.groups)}, or change heads, expand or head_dim`],
    });
  }
  return issues;
}

function notes(raw: RawOptions, o: Mamba2Options): readonly string[] {
  const adapted: string[] = [];
  if (!given(raw, "head_dim") && o.headDim !== megatronHeadDim) {
    adapted.push(
      `head_dim is ${o.headDim} instead of the default ${megatronHeadDim}, to divide ${inner(o)} channels`,
    );
  }
  if (!given(raw, "groups") && o.groups !== megatronGroups) {
    adapted.push(
      `groups is ${o.groups} instead of the default ${megatronGroups}, to divide the ${o.heads} heads`,
    );
  }
  return adapted.map((text) => `mamba2: ${text}`);
}

function parameters(o: Mamba2Options, context: BlockContext): readonly ParameterTensor[] {
  const { hidden } = context;
  const d = inner(o);
  const rows = d + channels(o) + o.heads;
  return [
    preNorm(context),
    matrix("mixer.in_proj.weight", rows, hidden),
    ...vector("mixer.in_proj.bias", rows, o.bias),
    ...convolution(channels(o), o.conv, o.convBias),
    ...vector("mixer.dt_bias", o.heads),
    ...vector("mixer.A_log", o.heads),
    ...vector("mixer.D", o.heads),
    ...vector("mixer.norm.weight", d, o.gatedNorm),
    matrix("mixer.out_proj.weight", hidden, d),
    ...vector("mixer.out_proj.bias", hidden, o.outputBias),
  ];
}

// Projections 2 in out per token; the convolution 2 per channel and tap inside the sequence; the scan as the
// recurrence h <- a h + (dt x) B', y = h C + D x, whose FLOPs per token docs/flops.md derives: 5 d N + 3 d
// forward, 11 d N + 7 d backward.
function flops(o: Mamba2Options, { hidden }: BlockContext, work: Workload): LayerFlops {
  const tokens = work.batch * work.sequence;
  const d = inner(o);
  const c = channels(o);
  const projections = tokens * (2 * hidden * (d + c + o.heads) + 2 * d * hidden);
  const products = projections + convolutionFlops(work, c, o.conv);
  return {
    forward: products + tokens * (5 * d * o.state + 3 * d),
    backward: 2 * products + tokens * (11 * d * o.state + 7 * d),
  };
}

// mamba_layer_flops of Megatron's training.py (main): the inner width is taken as 2 * hidden whatever it is.
function megatronForwardFlops(o: Mamba2Options, context: BlockContext, work: Workload): bigint {
  const tokens = BigInt(work.batch) * BigInt(work.sequence);
  const hidden = BigInt(context.hidden);
  const d = 2n * hidden;
  const state = BigInt(o.state);
  const inProj = 2n * tokens * hidden * (2n * d + 2n * BigInt(o.groups) * state + BigInt(o.heads));
  return inProj + 7n * tokens * d * state + 2n * tokens * d * hidden;
}

// In order: in_proj, convolution, scan and gated norm outputs; 1/rms per group; the state at the start of every
// chunk.
function trainingBuffers(o: Mamba2Options, _: BlockContext, { batch, sequence }: Workload): TrainingBuffers {
  const rows = batch * sequence;
  const d = inner(o);
  const c = channels(o);
  const chunks = Math.ceil(sequence / o.chunk);
  const projected = Math.ceil((d + c + o.heads) / 64) * 64; // rows of in_proj's output, with room to start on 128 bytes
  return {
    savedActivations: [rows * projected, rows * c, rows * d, rows * d],
    savedStatistics: [rows * o.groups],
    chunkStates: { elements: batch * d * o.state, chunk: o.chunk },
    transient: [rows * c, rows * d, rows * projected],
    workspace: Math.max(
      normWorkspace(rows, d),
      convolutionWorkspace(batch, sequence, c, o.conv),
      scanWorkspace(batch, chunks, o.heads, o.headDim, o.state),
    ),
    gpuWorkspace: Math.max(
      gpuGatedNormWorkspace(rows, d, o.groups),
      gpuConvolutionWorkspace(batch, sequence, c, o.conv),
      gpuScanWorkspace(batch, sequence, o),
    ),
  };
}

function rescale(raw: RawOptions, from: BlockContext, to: BlockContext): Record<string, unknown> {
  const old = resolve(raw, from);
  const scale = to.hidden / from.hidden;
  const scaled = scaledHeads(old.heads, old.headDim, scale);
  const groups = Math.max(1, Math.round(old.groups * scale));
  const heads = groups * Math.max(1, Math.round(scaled.heads / groups));
  const { expand: _expand, heads: _heads, ...kept } = raw;
  const result: Record<string, unknown> = { ...kept, head_dim: scaled.headDim, groups };
  const expand = numberOr(raw, "expand", 2);
  if (!given(raw, "heads") && heads * scaled.headDim === expand * to.hidden) return { ...result, expand };
  return { ...result, heads };
}

// Groups go with their heads, so that the gated norm of a device needs none of the other devices' channels.
function shard(o: Mamba2Options, ranks: number): Mamba2Options | string {
  return (
    indivisible("heads of mamba2", o.heads, ranks) ??
    indivisible("groups of mamba2", o.groups, ranks) ?? {
      ...o,
      heads: o.heads / ranks,
      groups: o.groups / ranks,
    }
  );
}

function inference(
  o: Mamba2Options,
  { hidden }: BlockContext,
  pass: InferencePass,
): readonly LayerOperation[] {
  const rows = passTokens(pass);
  const d = inner(o);
  const c = channels(o);
  const { batch } = pass;
  const scan = { batch, heads: o.heads, headDim: o.headDim, groups: o.groups, state: o.state };
  const mixer: readonly LayerOperation[] =
    pass.phase === "prefill"
      ? [
          { operation: { kind: "conv_prefill", batch, time: pass.time, channels: c, width: o.conv } },
          { operation: { kind: "ssd_prefill", ...scan, time: pass.time } },
        ]
      : [
          { operation: { kind: "conv_step", batch, channels: c, width: o.conv } },
          { operation: { kind: "ssd_update", ...scan } },
        ];
  return [
    { operation: { kind: "norm_linear", rows, in: hidden, out: d + c + o.heads, logits: false } },
    ...mixer,
    // Without the norm there is still a gate to read.
    o.gatedNorm
      ? { operation: { kind: "gated_rms_norm", rows, cols: d, groups: o.groups } }
      : { operation: { kind: "elementwise", rows, reads: 2 * d, writes: d } },
    outward(rows, d, hidden),
  ];
}

const schema: KindSchema = {
  title: "Mamba-2 options",
  description: "Mamba-2 layers (arXiv 2405.21060).",
  properties: {
    state: countOption("State", "State dimension N of every channel.", { maximum: 4096, default: 128 }),
    head_dim: countOption("Head dimension", "Channels per head.", { maximum: 4096, default: 64 }),
    groups: countOption(
      "Groups",
      "Groups of heads that share B and C. Default: 8, or the largest divisor of the heads below it.",
      { example: 8 },
    ),
    expand: expandOption,
    heads: countOption("Heads", "Inner width = heads x head_dim. Not together with expand.", {
      example: 128,
    }),
    conv: convOption,
    chunk: countOption(
      "Chunk",
      "Tokens per chunk of the scan: changes speed and memory, never the result. Default: the state dimension, rounded up to a power of two within 64 to 256.",
      { maximum: 4096, example: 128 },
    ),
    dt_min: {
      title: "Smallest time step",
      description:
        "Lower clamp of the discretisation step: 0 as in Megatron, 0.001 as in Hugging Face's NemotronH.",
      type: "number",
      minimum: 0,
      maximum: 1,
      default: 0,
      examples: [0.001],
    },
    gated_norm: flagOption(
      "Gated norm",
      "true: a grouped RMSNorm behind the gate; false: the gate alone, as in Falcon-H1.",
      true,
    ),
    bias: flagOption("Bias", "true: the projections have a bias."),
    output_bias: {
      title: "Bias of the output",
      description: "Whether the output projection has a bias. Default: as bias.",
      type: "boolean",
      examples: [false],
    },
    conv_bias: flagOption("Convolution bias", "true: the convolution has a bias.", true),
  },
  examples: [{ state: 128, head_dim: 64, groups: 8, expand: 2, conv: 4 }],
};

/** The Mamba-2 layer kind. */
export const mamba2: Block<Mamba2Options> = {
  kind: "mamba2",
  symbol: "M",
  title: "Mamba-2",
  source: "arXiv 2405.21060, sections 5-7",
  role: "recurrent",
  schema,
  resolve,
  check,
  notes,
  parameters,
  flops,
  megatron: { order: 3, forwardFlops: megatronForwardFlops },
  trainingBuffers,
  kvElementsPerToken: () => 0,
  // The SSM state and the conv - 1 inputs the next token's convolution looks back at.
  stateElementsPerSequence: (o) => inner(o) * o.state + channels(o) * (o.conv - 1),
  recurrentElementsPerSequence: (o) => inner(o) * o.state,
  shard,
  inference,
  widthOptions: ["expand", "heads", "head_dim", "groups"],
  rescale,
  toNative: (o) => ({
    kind: "mamba2",
    heads: o.heads,
    headDim: o.headDim,
    groups: o.groups,
    state: o.state,
    conv: o.conv,
    chunk: o.chunk,
    dtMin: o.dtMin,
  }),
  nativeGap: (o) =>
    o.gatedNorm
      ? o.bias || o.outputBias || !o.convBias
        ? "biases other than that of the convolution"
        : undefined
      : "a gate without a norm",
};
