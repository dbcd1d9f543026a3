// Bytes that one decoded token moves through memory: the cost that decides how fast a model generates, since decoding is
// bound by bandwidth. Weights are read once for all sequences of a batch, a sequence's cache and state by itself alone, and
// the state is written back:
//   active parameters x 2 / batch + KV bytes of the context + 2 x (4 x recurrent elements + 2 x convolution inputs)
// with weights, cache and convolution inputs in 16 bits and recurrent state in fp32, as `project` has them unless told
// otherwise. Of an embedding that is not the head as well, a token reads one row, which is not counted.

import type { Plan } from "../plan/plan_types.js";
import { kvBytes } from "./estimate.js";
import { sumOverLayers } from "./layer_groups.js";
import { countParameters } from "./parameters.js";

const halfBytes = 2;
const stateBytes = 4;

/** @param context tokens already in the sequence. @param batch sequences decoded at the same time. */
export function decodeBytesPerToken(plan: Plan, context: number, batch: number): number {
  const { active, embedding } = countParameters(plan);
  const read = active - (plan.tieEmbeddings ? 0 : embedding);
  const state = sumOverLayers(plan, ({ block, options }) => {
    const recurrent = block.recurrentElementsPerSequence(options);
    return recurrent * stateBytes + (block.stateElementsPerSequence(options) - recurrent) * halfBytes;
  });
  return (read * halfBytes) / batch + kvBytes(plan, context) + 2 * state;
}
