// Exact parameter counts: the elements of every tensor, as Hugging Face's NemotronH and Megatron hold them
// (no padding of the vocabulary). total = embedding + layers + final norm + head; the head is the embedding
// when tied.

import type { Block, BlockContext, ParameterTensor } from "../block/block.js";
import type { Plan } from "../plan/plan_types.js";
import type { ParameterCount } from "./cost.js";
import {
  finalNormElements,
  type LayerGroup,
  layerGroups,
  layerTensors,
  sharedTensors,
} from "./layer_groups.js";

interface Parameters {
  readonly total: number;
  /** Without the experts that a token does not visit. */
  readonly active: number;
}

const none: Parameters = { total: 0, active: 0 };
const known = new WeakMap<object, { readonly of: string; readonly counted: Parameters }>();

function count(tensors: readonly ParameterTensor[]): Parameters {
  return tensors.reduce(({ total, active }, { shape, visited }) => {
    const elements = shape.reduce((a, b) => a * b, 1);
    return {
      total: total + elements,
      active: active + (visited === undefined ? elements : (elements / shape[0]!) * visited),
    };
  }, none);
}

/** What one layer holds for itself. Remembered by the options object (see plan/resolve_blocks.ts). */
function layerCount(plan: Plan, group: LayerGroup): Parameters {
  const key = group.options as object;
  const of = `${plan.hidden} ${plan.layerNorm === true}`;
  const remembered = known.get(key);
  if (remembered !== undefined && remembered.of === of) return remembered.counted;
  const counted = count(layerTensors(plan, group));
  known.set(key, { of, counted });
  return counted;
}

/** Parameters of one layer with RMSNorm, its pre-norm included; what layers share is not. */
export function layerParameters(block: Block, options: unknown, context: BlockContext): number {
  return count(block.parameters(options, context)).total;
}

/** Exact parameters of a plan, by kind. */
export function countParameters(plan: Plan): ParameterCount {
  const byKind: Record<string, number> = Object.fromEntries(
    Object.keys(plan.counts).map((kind) => [kind, 0]),
  );
  let unvisited = 0;
  for (const group of layerGroups(plan)) {
    const { kind, count: layers } = group;
    const own = layerCount(plan, group);
    const shared = count(sharedTensors(plan, group));
    byKind[kind] = (byKind[kind] ?? 0) + layers * own.total + shared.total;
    unvisited += layers * (own.total - own.active) + shared.total - shared.active;
  }
  const embedding = plan.vocab * plan.hidden;
  const head = (plan.tieEmbeddings ? 0 : embedding) + (plan.headBias === true ? plan.vocab : 0);
  byKind.other = finalNormElements(plan) + head + (plan.metaTokens ?? 0) * plan.hidden;
  const nonEmbedding = Object.values(byKind).reduce((sum, elements) => sum + elements, 0);
  const total = embedding + nonEmbedding;
  return { total, active: total - unvisited, embedding, nonEmbedding, byKind };
}
