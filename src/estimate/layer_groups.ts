// A plan's layers gathered by what they cost: layers of one kind with the same resolved options count once,
// times how many. Everything estimate/ adds up goes through these few groups, so that a sweep of many
// candidates stays cheap.

import type { Block, BlockContext, ParameterTensor } from "../block/block.js";
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

/** A number of every layer, added up. */
export function sumOverLayers(plan: Plan, of: (group: LayerGroup) => number): number {
  return layerGroups(plan).reduce((sum, group) => sum + group.count * of(group), 0);
}

/** What the blocks of a plan need to know about it. */
export function blockContext(plan: Plan): BlockContext {
  return { hidden: plan.hidden, layers: plan.layers.length };
}

/** Every tensor of one layer of the group, its pre-norm included, as the plan's kind of norm has it. */
export function layerTensors(
  plan: Plan,
  { block, options }: Pick<LayerGroup, "block" | "options">,
): readonly ParameterTensor[] {
  return withNormBiases(plan, block.parameters(options, blockContext(plan)));
}

/** What the layers of a group hold together. */
export function sharedTensors(plan: Plan, { block, options, count }: LayerGroup): readonly ParameterTensor[] {
  return withNormBiases(plan, block.sharedParameters?.(options, blockContext(plan), count) ?? []);
}

/** Channels of the final norm's parameters. */
export function finalNormElements({ hidden, layerNorm }: Plan): number {
  return layerNorm === true ? 2 * hidden : hidden;
}

/** Blocks list the weights of the norms around them; a LayerNorm has as many biases. Norms
 * inside a mixer are its own. */
function withNormBiases(plan: Plan, tensors: readonly ParameterTensor[]): readonly ParameterTensor[] {
  if (plan.layerNorm !== true) return tensors;
  return tensors.flatMap((tensor) =>
    /^(mixer\.shared\.\d+\.)?(pre_ff_)?norm\.weight$/.test(tensor.name)
      ? [tensor, { ...tensor, name: tensor.name.replace(/weight$/, "bias") }]
      : [tensor],
  );
}
