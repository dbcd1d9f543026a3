// A plan as the native library takes it: lmx_model_config of kernels/include/layermix.h, one entry per layer.

import type { NativeLayer } from "../block/block.js";
import { exitCodes, LayermixError } from "../diag/diagnostic.js";
import type { Plan } from "./plan_types.js";

export interface NativeModel {
  readonly hidden: number;
  readonly vocab: number;
  readonly tieEmbeddings: boolean;
  readonly normEps: number;
  readonly layers: readonly NativeLayer[];
}

/** What of a model can be planned but not run here, in words: "moe layers", "attention with a sliding window". */
export function nativeGaps(plan: Plan): readonly string[] {
  const gaps = new Set<string>();
  for (const { kind, block, options } of plan.layers) {
    const gap = block.nativeGap?.(options);
    if (block.toNative === undefined) gaps.add(`${kind} layers`);
    else if (gap !== undefined) gaps.add(`${kind} with ${gap}`);
  }
  if (Object.values(plan.scaling ?? {}).some((value) => value !== undefined)) gaps.add("multipliers");
  if ((plan.metaTokens ?? 0) > 0) gaps.add("meta tokens");
  if (plan.headBias === true) gaps.add("a bias of the head");
  if (plan.layerNorm === true) gaps.add("LayerNorm (norm.kind: layernorm)");
  return [...gaps];
}

/**
 * What the native library is told about the model of `plan`.
 * @throws LayermixError LMX2017 for a model that can only be planned
 */
export function toNativeModel(plan: Plan): NativeModel {
  const gaps = nativeGaps(plan);
  if (gaps.length > 0) {
    const diagnostic = {
      code: "LMX2017" as const,
      severity: "error" as const,
      message: `Expected a model that the native library runs, got ${gaps.join(", ")} in ${plan.name}`,
      help: [
        "plan and project take it as it is; short runs need layers of mamba2, attention and mlp",
        "proxy.model can give the short runs another mix, pattern or norm",
      ],
      path: "model",
    };
    throw new LayermixError(diagnostic, exitCodes.infeasible);
  }
  const context = { hidden: plan.hidden, layers: plan.layers.length };
  return {
    hidden: plan.hidden,
    vocab: plan.vocab,
    tieEmbeddings: plan.tieEmbeddings,
    normEps: plan.normEps,
    layers: plan.layers.map(({ block, options }) => block.toNative!(options, context)),
  };
}
