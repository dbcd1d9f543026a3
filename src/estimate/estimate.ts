// Plan -> Cost: everything a plan costs, in plain numbers.

import type { Workload } from "../block/block.js";
import type { Plan } from "../plan/plan_types.js";
import type { Cost } from "./cost.js";
import { countFlops } from "./flops.js";
import { layerGroups } from "./layer_groups.js";
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

/** KV cache bytes that one token of one sequence adds, 16-bit. */
export function kvBytesPerToken(plan: Plan): number {
  return sumOverLayers(plan, (group) => group.block.kvElementsPerToken(group.options)) * cacheBytes;
}

/** Recurrent state bytes of one sequence, whatever its length: SSM state and convolution inputs, 16-bit. */
export function stateBytesPerSequence(plan: Plan): number {
  return sumOverLayers(plan, (group) => group.block.stateElementsPerSequence(group.options)) * cacheBytes;
}

function sumOverLayers(
  plan: Plan,
  elements: (group: ReturnType<typeof layerGroups>[number]) => number,
): number {
  return layerGroups(plan).reduce((sum, group) => sum + group.count * elements(group), 0);
}

/** Parameters, FLOPs, training memory and inference state of a plan. */
export function estimate(plan: Plan, options: EstimateOptions = defaultEstimateOptions): Cost {
  return {
    params: countParameters(plan),
    flops: countFlops(plan, options),
    memory: {
      training: trainingMemory(plan, options, options.precision),
      kvBytesPerToken: kvBytesPerToken(plan),
      stateBytesPerSequence: stateBytesPerSequence(plan),
    },
  };
}
