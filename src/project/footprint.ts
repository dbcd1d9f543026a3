// What a served model keeps in the memory of one device: weights, and per sequence the KV cache of its context and its
// recurrent state.

import type { ParameterTensor } from "../block/block.js";
import { finalNormElements, layerTensors, sharedTensors } from "../estimate/layer_groups.js";
import { type ElementTypes, elementBytes } from "./element_types.js";
import type { Hardware } from "./hardware.js";
import type { DeviceModel } from "./model_operations.js";

export interface Footprint {
  readonly weightBytes: number;
  /** Bytes that one more token of a short context adds to one sequence. */
  readonly kvBytesPerToken: number;
  /** Recurrent state and convolution windows of one sequence. */
  readonly stateBytesPerSequence: number;
  /** KV cache of one sequence at a context; windows bound what a layer keeps. */
  kvBytes(context: number): number;
}

/**
 * Part of device memory that weights, caches and states may fill; the rest is for activations, the runtime and
 * fragmentation (vLLM's gpu_memory_utilization has the same default).
 */
export const defaultMemoryShare = 0.9;

/** A matrix, or a stack of them; the weights of a convolution (channels, 1, taps) are none. */
function isMatrix({ shape, decayed }: ParameterTensor): boolean {
  return decayed && shape.length >= 2 && shape.at(-2)! > 1;
}

/** Bytes on one device. Matrices of layers have the weight type; other parameters that of activations. */
export function footprint(
  model: DeviceModel,
  types: ElementTypes,
  arithmetic: Hardware["arithmetic"],
): Footprint {
  const { plan, groups, vocab } = model;
  const bytes = (which: Parameters<typeof elementBytes>[0]) => elementBytes(which, types, arithmetic);
  let weights = 0;
  const bias = plan.headBias === true ? vocab : 0;
  let parameters =
    finalNormElements(plan) +
    (plan.metaTokens ?? 0) * plan.hidden +
    vocab * plan.hidden * (plan.tieEmbeddings ? 1 : 2) +
    bias;
  let state = 0;
  let window = 0;
  const hold = (tensors: readonly ParameterTensor[], times: number) => {
    for (const tensor of tensors) {
      const elements = times * tensor.shape.reduce((product, length) => product * length, 1);
      if (isMatrix(tensor)) weights += elements;
      else parameters += elements;
    }
  };
  for (const group of groups) {
    const { block, options, count } = group;
    hold(layerTensors(plan, group), count);
    hold(sharedTensors(plan, group), 1);
    const recurrent = block.recurrentElementsPerSequence(options);
    state += count * recurrent;
    window += count * (block.stateElementsPerSequence(options) - recurrent);
  }
  const kvBytes = (tokens: number): number => {
    let elements = 0;
    for (const { block, options, count } of groups) {
      const cached = block.cachedTokens?.(options, tokens) ?? tokens;
      elements += count * cached * block.kvElementsPerToken(options);
    }
    return elements * bytes("kv");
  };
  return {
    weightBytes: weights * bytes("weights") + parameters * bytes("parameters"),
    kvBytesPerToken: kvBytes(1),
    stateBytesPerSequence: state * bytes("state") + window * bytes("window"),
    kvBytes,
  };
}

/** The largest batch whose weights, caches and states fit into `available` bytes at a context; 0 if none does. */
export function largestBatch(print: Footprint, context: number, available: number): number {
  const perSequence = print.kvBytes(context) + print.stateBytesPerSequence;
  const free = available - print.weightBytes;
  if (free < 0) return 0;
  return perSequence === 0 ? Number.MAX_SAFE_INTEGER : Math.floor(free / perSequence);
}
