// Two FLOP counts of one training step. `exact` is a property of the mathematics (docs/flops.md): every
// multiply and add of the projections, the convolution, causal attention and the SSD recurrence, forward and
// backward. `megatron` is what Megatron-LM main reports for the same model (num_floating_point_operations),
// to the last bit.

import type { Workload } from "../block/block.js";
import type { Plan } from "../plan/plan_types.js";
import type { FlopCount } from "./cost.js";
import { blockContext, layerGroups } from "./layer_groups.js";

/** Forward and backward FLOPs of `work`, exact. */
export function exactFlops(plan: Plan, work: Workload): { forward: number; backward: number } {
  const context = blockContext(plan);
  const head = 2 * work.batch * work.sequence * plan.hidden * plan.vocab;
  let forward = head;
  let backward = 2 * head;
  for (const { block, options, count } of layerGroups(plan)) {
    const layer = block.flops(options, context, work);
    forward += count * layer.forward;
    backward += count * layer.backward;
  }
  return { forward, backward };
}

/**
 * Megatron's training FLOPs of `work`: 3 * (layers by kind + logits). Its padded_vocab_size is the plan's
 * vocab. Null where the plan has a kind of layer that Megatron has not.
 */
export function megatronTrainFlops(plan: Plan, work: Workload): number | null {
  const context = blockContext(plan);
  const groups = layerGroups(plan).map((group) => ({ ...group, rule: group.block.megatron }));
  let forward = 0;
  for (const { rule, options, count } of groups.sort((a, b) => (a.rule?.order ?? 0) - (b.rule?.order ?? 0))) {
    if (rule === undefined) return null;
    const layer = rule.forwardFlops(options, context, work);
    forward += typeof layer === "bigint" ? Number(BigInt(count) * layer) : count * layer;
  }
  const tokens = BigInt(work.batch) * BigInt(work.sequence);
  return (forward + Number(2n * tokens * BigInt(plan.hidden) * BigInt(plan.vocab))) * 3;
}

/** Both counts for `batch` sequences of `sequence` tokens. */
export function countFlops(plan: Plan, work: Workload): FlopCount {
  const { forward, backward } = exactFlops(plan, work);
  const train = forward + backward;
  return {
    sequence: work.sequence,
    batch: work.batch,
    forward,
    train,
    megatronTrain: megatronTrainFlops(plan, work),
    trainPerToken: train / (work.batch * work.sequence),
  };
}
