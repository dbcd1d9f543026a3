// The least time an operation can take on a device: max(FLOPs / peak, bytes / bandwidth). What is slower than that is
// utilisation (curve.ts).

import { type Operation, operationCost, type TrafficClass } from "../block/operations.js";
import { computeType, type ElementTypes, elementBytes, typesOf } from "./element_types.js";
import type { Hardware } from "./hardware.js";

export interface Roofline {
  /** FLOPs over the peak rate of the type it computes in. */
  readonly computeSeconds: number;
  /** Bytes over the memory bandwidth. */
  readonly memorySeconds: number;
  readonly bytes: number;
  readonly flops: number;
}

/** The roofline of one call of `operation`. */
export function roofline(operation: Operation, types: ElementTypes, hardware: Hardware): Roofline {
  const { flops, traffic } = operationCost(operation);
  const own = typesOf(operation, types, hardware.arithmetic);
  let bytes = 0;
  for (const [which, elements] of Object.entries(traffic)) {
    bytes += elements * elementBytes(which as TrafficClass, own, hardware.arithmetic);
  }
  const peak = hardware.peak[computeType(operation, types, hardware)] ?? hardware.peak[hardware.arithmetic];
  const rate = (peak ?? Object.values(hardware.peak)[0]!).value;
  return {
    computeSeconds: flops / rate,
    memorySeconds: bytes / hardware.bandwidth.value,
    bytes,
    flops,
  };
}

/** max(FLOPs / peak, bytes / bandwidth). */
export function idealSeconds({ computeSeconds, memorySeconds }: Roofline): number {
  return Math.max(computeSeconds, memorySeconds);
}
