// A plan's layers gathered by what they cost: layers of one kind with the same resolved options count once,
// times how many. Everything estimate/ adds up goes through these few groups, so that a sweep of many
// candidates stays cheap.

import type { Block, BlockContext } from "../block/block.js";
import type { Plan } from "../plan/plan_types.js";

export interface LayerGroup {
  /** The name of the kind. */
  readonly kind: string;
  readonly block: Block;
  readonly options: unknown;
  readonly count: number;
}

/** The groups of a plan, in the order in which their first layers appear. */
export function layerGroups(plan: Plan): readonly LayerGroup[] {
  const groups: { kind: string; block: Block; options: unknown; count: number }[] = [];
  for (const { kind, block, options } of plan.layers) {
    const group = groups.find((known) => known.options === options && known.kind === kind);
    if (group === undefined) groups.push({ kind, block, options, count: 1 });
    else group.count += 1;
  }
  return groups;
}

/** What the blocks of a plan need to know about it. */
export function blockContext(plan: Plan): BlockContext {
  return { hidden: plan.hidden, layers: plan.layers.length };
}
