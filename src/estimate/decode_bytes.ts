// Bytes that one decoded token moves through memory: the cost that decides how fast a model generates, since decoding is
// bound by bandwidth. Weights are read once for all sequences of a batch, a sequence's cache and state by itself alone:
//   active parameters x 2 / batch + KV bytes of the context + state bytes     (16-bit weights, cache and state)

import type { Plan } from "../plan/plan_types.js";
import { kvBytes, stateBytesPerSequence } from "./estimate.js";
import { countParameters } from "./parameters.js";

const weightBytes = 2;

/** @param context tokens already in the sequence. @param batch sequences decoded at the same time. */
export function decodeBytesPerToken(plan: Plan, context: number, batch: number): number {
  const weights = (countParameters(plan).active * weightBytes) / batch;
  return weights + kvBytes(plan, context) + stateBytesPerSequence(plan);
}
