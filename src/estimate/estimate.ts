// Plan -> Cost: everything a plan costs, in plain numbers.

import type { Workload } from "../block/block.js";
import type { Plan } from "../plan/plan_types.js";
import type { Cost } from "./cost.js";
import { countFlops } from "./flops.js";
import { type LayerGroup, sumOverLayers } from "./layer_groups.js";
import { countParameters } from "./parameters.js";
import { type TrainingPrecision, trainingMemory } from "./training_memory.js";

/** What a step processes, and in which precision it would train. */
export interface EstimateOptions extends Workload {
  readonly precision: TrainingPrecision;
  /** Sequences per forward pass; all of `batch` by default. */
  readonly microBatch?: number;
}

/** Workload of `layermix plan` unless its flags say otherwise. */
export const defaultEstimateOptions: EstimateOptions = { sequence: 4096, batch: 1, precision: "bf16" };

const cacheBytes = 2; // KV cache and recurrent state are counted in 16 bits per element

/** A context longer than any sliding window. */
const longContext = 2 ** 31;

/** KV cache elements of a layer at a context. */
function cachedElements({ block, options }: LayerGroup, context: number): number {
  return block.kvElementsPerToken(options) * (block.cachedTokens?.(options, context) ?? context);
}

/** KV cache bytes of one sequence of `context` tokens, 16-bit. */
export function kvBytes(plan: Plan, context: number): number {
  return sumOverLayers(plan, (group) => cachedElements(group, context)) * cacheBytes;
}

/** KV cache bytes that one more token takes where no window is full yet, and where all are. */
export function kvBytesPerToken(plan: Plan): number {
  return kvBytes(plan, longContext + 1) - kvBytes(plan, longContext);
}

/** KV cache bytes of layers with a sliding window, when it is full, 16-bit. */
export function windowBytesPerSequence(plan: Plan): number {
  const growing = kvBytesPerToken(plan);
  return kvBytes(plan, longContext) - growing * longContext;
}

/** Recurrent state bytes of one sequence, whatever its length: SSM state and convolution inputs, 16-bit. */
export function stateBytesPerSequence(plan: Plan): number {
  return sumOverLayers(plan, (group) => group.block.stateElementsPerSequence(group.options)) * cacheBytes;
}

/** Parameters, FLOPs, training memory and inference state of a plan. */
export function estimate(plan: Plan, options: EstimateOptions = defaultEstimateOptions): Cost {
  return {
    params: countParameters(plan),
    flops: countFlops(plan, options),
    memory: {
      training: trainingMemory(plan, options, options.precision),
      kvBytesPerToken: kvBytesPerToken(plan),
      windowBytesPerSequence: windowBytesPerSequence(plan),
      stateBytesPerSequence: stateBytesPerSequence(plan),
    },
  };
}
