// Exact parameter counts: the elements of every tensor, as Hugging Face's NemotronH and Megatron hold them
// (no padding of the vocabulary). total = embedding + layers + final norm + head; the head is the embedding
// when tied.

import type { Block, BlockContext } from "../block/block.js";
import { blocks } from "../block/registry.js";
import type { Plan } from "../plan/plan_types.js";
import type { ParameterCount } from "./cost.js";
import { blockContext, layerGroups } from "./layer_groups.js";

const known = new WeakMap<object, { readonly hidden: number; readonly count: number }>();

/**
 * Parameters of one layer, its pre-norm included. Remembered by the options object (see
 * plan/resolve_blocks.ts).
 */
export function layerParameters(block: Block, options: unknown, context: BlockContext): number {
  const key = options as object;
  const remembered = known.get(key);
  if (remembered !== undefined && remembered.hidden === context.hidden) return remembered.count;
  let count = 0;
  for (const { shape } of block.parameters(options, context)) count += shape.reduce((a, b) => a * b, 1);
  known.set(key, { hidden: context.hidden, count });
  return count;
}

/** Exact parameters of a plan, by kind. */
export function countParameters(plan: Plan): ParameterCount {
  const context = blockContext(plan);
  const byKind: Record<string, number> = Object.fromEntries(blocks.map((block) => [block.kind, 0]));
  for (const { block, options, count } of layerGroups(plan)) {
    byKind[block.kind] = (byKind[block.kind] ?? 0) + count * layerParameters(block, options, context);
  }
  const embedding = plan.vocab * plan.hidden;
  byKind.other = plan.hidden + (plan.tieEmbeddings ? 0 : embedding);
  const nonEmbedding = Object.values(byKind).reduce((sum, count) => sum + count, 0);
  const total = embedding + nonEmbedding;
  return { total, active: total, embedding, nonEmbedding, byKind };
}
