// A plan on one device: the operations of a pass through the whole model, each with how often it is done. With tensor
// parallelism, those of one of the devices, and the all-reduces between them.

import { type InferencePass, passTokens } from "../block/block.js";
import type { Operation } from "../block/operations.js";
import { exitCodes, LayermixError } from "../diag/diagnostic.js";
import { blockContext, type LayerGroup, layerGroups } from "../estimate/layer_groups.js";
import type { Plan } from "../plan/plan_types.js";

/** The layers of a plan as one device holds them. */
export interface DeviceModel {
  readonly plan: Plan;
  readonly ranks: number;
  /** Layers with the options of the device's slice. */
  readonly groups: readonly LayerGroup[];
  /** Rows of the embedding and of the head on the device; the last device pads. */
  readonly vocab: number;
}

/**
 * The slice of `plan` that each of `ranks` devices holds.
 * @throws LayermixError LMX2401 where a layer cannot be divided
 */
export function deviceModel(plan: Plan, ranks: number): DeviceModel {
  const groups = layerGroups(plan);
  if (ranks === 1) return { plan, ranks, groups, vocab: plan.vocab };
  const sliced = groups.map((group) => ({ group, slice: group.block.shard(group.options, ranks) }));
  const problems = sliced.flatMap(({ slice }) => (typeof slice === "string" ? [slice] : []));
  if (problems.length > 0) {
    throw new LayermixError(
      problems.map((problem) => ({
        code: "LMX2401",
        severity: "error",
        message: `${plan.name}: ${problem}`,
        help: ["use a number of devices that divides heads, groups and widths"],
      })),
      exitCodes.infeasible,
    );
  }
  return {
    plan,
    ranks,
    groups: sliced.map(({ group, slice }) => ({ ...group, options: slice })),
    vocab: Math.ceil(plan.vocab / ranks),
  };
}

/** An operation of a pass and how often the pass does it. */
export interface CountedOperation {
  readonly operation: Operation;
  readonly times: number;
}

export interface PassOperations {
  readonly operations: readonly CountedOperation[];
  /** Elements of activations that are summed over devices, once per entry; none on a single device. */
  readonly reductions: readonly { readonly elements: number; readonly times: number }[];
}

/** Every operation of one pass, from the embedding to the choice of the next token of each sequence. */
export function passOperations(model: DeviceModel, pass: InferencePass): PassOperations {
  const { plan, groups, vocab, ranks } = model;
  const context = blockContext(plan);
  const rows = passTokens(pass);
  const operations: CountedOperation[] = [
    { operation: { kind: "embedding", rows, cols: plan.hidden, vocab }, times: 1 },
  ];
  const reductions: { elements: number; times: number }[] = [{ elements: rows * plan.hidden, times: 1 }];
  for (const { block, options, count } of groups) {
    for (const { operation, partial, times = 1 } of block.inference(options, context, pass)) {
      operations.push({ operation, times: times * count });
      if (partial) reductions.push({ elements: rows * plan.hidden, times: times * count });
    }
  }
  // Logits are wanted for the last token of each sequence alone.
  operations.push(
    {
      operation: { kind: "norm_linear", rows: pass.batch, in: plan.hidden, out: vocab, logits: true },
      times: 1,
    },
    { operation: { kind: "argmax", rows: pass.batch, vocab }, times: 1 },
  );
  return { operations, reductions: ranks === 1 ? [] : reductions };
}
