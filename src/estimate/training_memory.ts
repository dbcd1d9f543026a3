// Bytes a native trainer allocates, in closed form: the rule of kernels/model/MEMORY.md (and, for the scratch of
// operations, WORKSPACE.md in kernels/cpu and kernels/cuda), buffer by buffer, each padded to 256 bytes. fp32
// and fp64 are what the CPU trainer does, bf16 what a GPU's does: bf16 activations and matrices beside fp32 masters,
// gradients and AdamW moments. A test compares it with the native planner and with a real trainer, byte for
// byte.

import type { ParameterTensor, Workload } from "../block/block.js";
import { normWorkspace } from "../block/cpu_workspace.js";
import {
  gpuEmbeddingWorkspace,
  gpuNormWorkspace,
  gpuProductWorkspace,
  gpuScanChunk,
} from "../block/gpu_workspace.js";
import type { Plan } from "../plan/plan_types.js";
import type { TrainingMemory } from "./cost.js";
import { blockContext, finalNormElements, layerGroups, layerTensors, sharedTensors } from "./layer_groups.js";

export type TrainingPrecision = "fp32" | "fp64" | "bf16";

/** Bytes per element of activations, working weights, and everything precision-critical. */
const elementBytes: Readonly<Record<TrainingPrecision, { act: number; weight: number; stat: number }>> = {
  fp32: { act: 4, weight: 4, stat: 4 },
  fp64: { act: 8, weight: 8, stat: 8 },
  bf16: { act: 2, weight: 2, stat: 4 },
};
const tokenBytes = 4; // token ids and targets are i32

/** Every buffer starts on a 256-byte boundary. */
function buffer(elements: number, bytesPerElement: number): number {
  return Math.ceil((elements * bytesPerElement) / 256) * 256;
}

/** Elements a block of parameters takes in the flat array: multiples of 16. */
function blockElements(elements: number): number {
  return Math.ceil(elements / 16) * 16;
}

/** The same of a matrix: room for a multiple of 8 rows. */
function matrixElements(elements: number, columns: number): number {
  return blockElements(Math.ceil(elements / columns / 8) * 8 * columns);
}

const elementCount = ({ shape }: ParameterTensor): number => shape.reduce((a, b) => a * b, 1);

/**
 * Flat parameter array: all elements, and those of matrices (which have working copies where weights are
 * narrower).
 */
function parameterElements(plan: Plan): { all: number; matrices: number } {
  let matrices = matrixElements(plan.vocab * plan.hidden, plan.hidden) * (plan.tieEmbeddings ? 1 : 2);
  let others = blockElements(finalNormElements(plan));
  const store = (tensors: readonly ParameterTensor[], times: number) => {
    const stored = new Map<string, { elements: number; columns: number; matrix: boolean }>();
    for (const tensor of tensors) {
      const name = tensor.fused !== undefined && tensor.shape.length === 2 ? tensor.fused : tensor.name;
      const elements = (stored.get(name)?.elements ?? 0) + elementCount(tensor);
      const isMatrix = tensor.decayed && (tensor.shape.length === 2 || tensor.visited !== undefined);
      stored.set(name, { elements, columns: tensor.shape.at(-1)!, matrix: isMatrix });
    }
    for (const { elements, columns, matrix } of stored.values()) {
      if (matrix) matrices += times * matrixElements(elements, columns);
      else others += times * blockElements(elements);
    }
  };
  if (plan.headBias === true) others += blockElements(plan.vocab);
  others += blockElements((plan.metaTokens ?? 0) * plan.hidden);
  for (const group of layerGroups(plan)) {
    store(layerTensors(plan, group), group.count);
    store(sharedTensors(plan, group), 1);
  }
  return { all: matrices + others, matrices };
}

/** Rows of logits, `act` bytes each, that are in memory at a time: at most 512 MiB, in bf16 1 GiB, in multiples of 64 rows. */
export function headChunkRows(rows: number, vocab: number, act: number): number {
  const most = act === elementBytes.bf16.act ? 2 ** 30 : 2 ** 29;
  return Math.min(rows, Math.max(64, Math.floor(most / act / vocab / 64) * 64));
}

function activationBytes(plan: Plan, step: Workload, micro: Workload, precision: TrainingPrecision): number {
  const { act, stat } = elementBytes[precision];
  const context = blockContext(plan);
  const rows = micro.batch * micro.sequence;
  const depth = plan.layers.length;
  const stream = buffer(rows * plan.hidden, act);
  let bytes = 2 * buffer(step.batch * step.sequence, tokenBytes);
  bytes += buffer(rows, stat) + buffer(rows, 1); // loss and hit of every row
  bytes += (depth + 1) * stream + 2 * stream; // residual stream; its gradient and a normed input's
  const perRow = plan.layerNorm === true ? 2 : 1; // 1/rms, or the mean and 1/deviation
  bytes += (depth + 1) * (stream + perRow * buffer(rows, stat)); // output and statistics of the norms
  let transient = buffer(headChunkRows(rows, plan.vocab, act) * plan.vocab, act);
  const gpu = precision === "bf16";
  let workspace = gpu ? gpuModelWorkspace(plan, rows) : 4 * normWorkspace(rows, plan.hidden);
  for (const { block, options, count } of layerGroups(plan)) {
    const needs = block.trainingBuffers(options, context, micro);
    for (const elements of needs.savedActivations) bytes += count * buffer(elements, act);
    for (const elements of needs.savedStatistics) bytes += count * buffer(elements, stat);
    const backward = needs.transient.reduce((sum, elements) => sum + buffer(elements, act), 0);
    transient = Math.max(transient, backward);
    workspace = Math.max(workspace, gpu ? (needs.gpuWorkspace ?? 0) : 4 * needs.workspace);
    if (needs.chunkStates !== undefined) {
      const chunks = Math.ceil(micro.sequence / (gpu ? gpuScanChunk : needs.chunkStates.chunk));
      bytes += count * buffer(chunks * needs.chunkStates.elements, act);
    }
  }
  // The fp64 path is the oracle: plain loops without scratch.
  return bytes + transient + (precision === "fp64" ? 0 : buffer(workspace, 1));
}

/** Scratch on a GPU of what is in every model: products, the norms around the layers, the embedding's gradient. */
function gpuModelWorkspace({ hidden, vocab }: Plan, rows: number): number {
  return Math.max(gpuProductWorkspace, gpuNormWorkspace(hidden), gpuEmbeddingWorkspace(rows, hidden, vocab));
}

/**
 * Training memory of one step of `batch` sequences of `sequence` tokens, `microBatch` (default: all) at a
 * time.
 * @returns bytes by category (activations include the scratch of operations); total is their sum
 */
export function trainingMemory(
  plan: Plan,
  work: Workload & { readonly microBatch?: number },
  precision: TrainingPrecision,
): TrainingMemory {
  const { weight, stat } = elementBytes[precision];
  const { all, matrices } = parameterElements(plan);
  const weights = buffer(all, stat) + (weight === stat ? 0 : buffer(matrices, weight));
  const gradients = buffer(all, stat);
  const optimizer = 2 * buffer(all, stat) + 256 + 6_144; // two AdamW moments, scalars of a step and of 64 that are done
  const micro = { batch: work.microBatch ?? work.batch, sequence: work.sequence };
  const activations = activationBytes(plan, work, micro, precision);
  return { weights, gradients, optimizer, activations, total: weights + gradients + optimizer + activations };
}
