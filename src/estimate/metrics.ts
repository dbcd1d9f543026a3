// The numbers that sweeps constrain (`where`) and match (`match`), by the names study files use.

import { infeasible } from "../plan/plan_error.js";
import type { Plan } from "../plan/plan_types.js";
import {
  defaultEstimateOptions,
  type EstimateOptions,
  kvBytesPerToken,
  stateBytesPerSequence,
} from "./estimate.js";
import { exactFlops, megatronTrainFlops } from "./flops.js";
import { countParameters } from "./parameters.js";
import { trainingMemory } from "./training_memory.js";

type Metric = (plan: Plan, options: EstimateOptions) => number;

function trainFlops(plan: Plan, options: EstimateOptions): number {
  const { forward, backward } = exactFlops(plan, options);
  return forward + backward;
}

function megatronFlops(plan: Plan, options: EstimateOptions): number {
  const flops = megatronTrainFlops(plan, options);
  if (flops !== null) return flops;
  throw infeasible(
    "LMX2018",
    `Expected layers that Megatron counts for megatron_flops, got others in ${plan.name}`,
    ["use flops, the exact count, which knows every layer kind"],
    "sweep.where",
  );
}

/** Every metric: counts, FLOPs of one training step, bytes. */
export const metrics: Readonly<Record<string, Metric>> = {
  params: (plan) => countParameters(plan).total,
  active_params: (plan) => countParameters(plan).active,
  flops: trainFlops,
  flops_per_token: (plan, options) => trainFlops(plan, options) / (options.batch * options.sequence),
  megatron_flops: megatronFlops,
  training_memory: (plan, options) => trainingMemory(plan, options, options.precision).total,
  kv_bytes_per_token: kvBytesPerToken,
  state_bytes: stateBytesPerSequence,
  layers: (plan) => plan.layers.length,
  hidden: (plan) => plan.hidden,
};

/**
 * The value of a metric for a plan, at the workload of `options`.
 * @throws LayermixError LMX2016 for a name that is none
 */
export function metricOf(
  plan: Plan,
  name: string,
  options: EstimateOptions = defaultEstimateOptions,
): number {
  const metric = Object.hasOwn(metrics, name) ? metrics[name] : undefined;
  if (metric !== undefined) return metric(plan, options);
  throw infeasible("LMX2016", `Expected a metric, got ${name}`, [
    `metrics are ${Object.keys(metrics).join(", ")}`,
  ]);
}
