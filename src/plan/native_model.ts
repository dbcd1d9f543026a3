// A plan as the native library takes it: lmx_model_config of kernels/include/layermix.h, one entry per layer.

import type { NativeLayer } from "../block/block.js";
import type { Plan } from "./plan_types.js";

export interface NativeModel {
  readonly hidden: number;
  readonly vocab: number;
  readonly tieEmbeddings: boolean;
  readonly normEps: number;
  readonly layers: readonly NativeLayer[];
}

/** What the native library is told about the model of `plan`. */
export function toNativeModel(plan: Plan): NativeModel {
  const context = { hidden: plan.hidden, layers: plan.layers.length };
  return {
    hidden: plan.hidden,
    vocab: plan.vocab,
    tieEmbeddings: plan.tieEmbeddings,
    normEps: plan.normEps,
    layers: plan.layers.map(({ block, options }) => block.toNative(options, context)),
  };
}
