// Types of what a served model keeps and moves, and bytes per element. A study says nothing about them: they are chosen
// when projecting.

import type { Operation, TrafficClass } from "../block/operations.js";
import type { Hardware, PeakType } from "./hardware.js";

export const weightTypes = ["bf16", "fp8", "int8", "int4", "fp4", "fp32"] as const;
export type WeightType = (typeof weightTypes)[number];
export const cacheTypes = ["bf16", "fp8", "fp32"] as const;
export type CacheType = (typeof cacheTypes)[number];
export const stateTypes = ["fp32", "bf16"] as const;
export type StateType = (typeof stateTypes)[number];

export interface ElementTypes {
  /** Matrices of the layers. Embedding and head stay in the type of activations, as quantisation tools leave them. */
  readonly weights: WeightType;
  /** KV cache. */
  readonly cache: CacheType;
  /** Recurrent state; what convolutions look back at is in the type of activations. */
  readonly state: StateType;
}

// int4: one 16-bit scale per 128 weights (GPTQ, AWQ); fp4: one 8-bit scale per 16 (NVFP4). The scales of fp8 and int8,
// one per output channel or less, are not counted.
const weightBytes: Readonly<Record<WeightType, number>> = {
  ...{ fp32: 4, bf16: 2, fp8: 1, int8: 1 },
  int4: 0.5 + 2 / 128,
  fp4: 0.5 + 1 / 16,
};
const cacheBytes: Readonly<Record<CacheType, number>> = { fp32: 4, bf16: 2, fp8: 1 };
const stateBytes: Readonly<Record<StateType, number>> = { fp32: 4, bf16: 2 };

/** Types unless said otherwise: those of the device; fp32 state, which serving engines default to. */
export function defaultTypes({ arithmetic }: Pick<Hardware, "arithmetic">): ElementTypes {
  return { weights: arithmetic, cache: arithmetic, state: "fp32" };
}

/** Bytes of one element of a class. */
export function elementBytes(
  which: TrafficClass,
  types: ElementTypes,
  arithmetic: Hardware["arithmetic"],
): number {
  switch (which) {
    case "weights":
      return weightBytes[types.weights];
    case "kv":
      return cacheBytes[types.cache];
    case "state":
      return stateBytes[types.state];
    case "statistics":
      return 4;
    case "parameters":
    case "window":
    case "activations":
      return arithmetic === "fp32" ? 4 : 2;
  }
}

/** The types of an operation: the head's matrix is not quantised. */
export function typesOf(
  operation: Operation,
  types: ElementTypes,
  arithmetic: Hardware["arithmetic"],
): ElementTypes {
  const head = operation.kind === "norm_linear" && operation.logits;
  return head ? { ...types, weights: arithmetic } : types;
}

/**
 * In which type an operation computes: matrix products in that of their weights where the device has it (weight-only
 * quantisation otherwise: int4 always), attention and scans in that of activations, the rest in fp32.
 */
export function computeType(operation: Operation, types: ElementTypes, hardware: Hardware): PeakType {
  switch (operation.kind) {
    case "linear":
    case "norm_linear":
    case "mlp_up":
    case "expert_linear": {
      const { weights } = typesOf(operation, types, hardware.arithmetic);
      return weights !== "int4" && hardware.peak[weights] !== undefined ? weights : hardware.arithmetic;
    }
    case "attention_prefill":
    case "attention_decode":
    case "ssd_prefill":
    case "scan_prefill":
      return hardware.arithmetic;
    default:
      return "fp32";
  }
}
