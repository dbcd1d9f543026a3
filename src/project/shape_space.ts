// Where an operation lies among the measured ones: which curve it belongs to, and its shape as coordinates in octaves
// (log2), so that distance means how many doublings apart two shapes are. Only what changes how well a device is used
// is a coordinate; what only makes the same work longer (`grows`) may go beyond the largest measured shape.

import type { Operation } from "../block/operations.js";

/** Curves that calibration measures. */
export const curveKeys = [
  "linear",
  "norm_linear",
  "head",
  "mlp_up",
  "rms_norm",
  "gated_rms_norm",
  "attention_prefill",
  "attention_decode",
  "cache_append",
  "ssd_prefill",
  "ssd_update",
  "conv_prefill",
  "conv_step",
  "embedding",
  "argmax",
] as const;
export type CurveKey = (typeof curveKeys)[number];

export interface ShapePoint {
  readonly curve: CurveKey;
  readonly coordinates: readonly number[];
  /** Coordinates that may exceed what was measured: there, time is in proportion. */
  readonly grows: readonly boolean[];
  /** The operation has no measurement of its own: it lends the curve of the one most like it. */
  readonly borrowed: boolean;
}

/** Octaves beyond which many rows or tokens are used equally well; larger ones count as this. */
const saturated = 2 ** 17;

function at(
  curve: CurveKey,
  growing: readonly number[],
  fixed: readonly number[] = [],
  borrowed = false,
): ShapePoint {
  const octaves = (value: number) => Math.log2(Math.max(value, 1e-9));
  return {
    curve,
    coordinates: [...growing.map((value) => octaves(Math.min(value, saturated))), ...fixed.map(octaves)],
    grows: [...growing.map(() => true), ...fixed.map(() => false)],
    borrowed,
  };
}

/** The curve and coordinates of an operation. */
export function shapePoint(o: Operation): ShapePoint {
  switch (o.kind) {
    case "linear":
      return at("linear", [o.rows, o.in, o.out]);
    case "norm_linear":
      return at(o.logits ? "head" : "norm_linear", [o.rows, o.in, o.out]);
    case "mlp_up":
      return at("mlp_up", [o.rows, o.hidden, o.width * (o.gated ? 2 : 1)]);
    case "rms_norm":
      return at("rms_norm", [o.rows, o.cols]);
    case "gated_rms_norm":
      return at("gated_rms_norm", [o.rows, o.cols]);
    case "attention_prefill":
      return at("attention_prefill", [o.time, o.batch * o.heads], [o.headDim]);
    case "attention_decode":
      return at("attention_decode", [o.context, o.batch * o.kvHeads], [o.headDim, o.heads / o.kvHeads]);
    case "cache_append":
      return at("cache_append", [o.batch * o.time, (o.heads + 2 * o.kvHeads) * o.headDim]);
    case "ssd_prefill":
      return at("ssd_prefill", [o.time, o.batch * o.heads], [o.headDim, o.state]);
    case "ssd_update":
      return at("ssd_update", [o.batch * o.heads], [o.headDim * o.state]);
    case "conv_prefill":
      return at("conv_prefill", [o.batch * o.time, o.channels]);
    case "conv_step":
      return at("conv_step", [o.batch, o.channels]);
    case "embedding":
      return at("embedding", [o.rows, o.cols]);
    case "argmax":
      return at("argmax", [o.rows, o.vocab]);
    case "expert_linear":
      return at("linear", [o.rows / o.experts, o.in, o.out * o.experts], [], true);
    case "elementwise":
      return at("rms_norm", [o.rows, (o.reads + o.writes) / 2], [], true);
    // Lent by the Mamba-2 scan with heads of 64 channels and 128 states.
    case "scan_prefill":
      return at("ssd_prefill", [o.time, (o.batch * o.state) / 8192], [64, 128], true);
    case "state_update":
      return at("ssd_update", [(o.batch * o.state) / 8192], [8192], true);
  }
}
