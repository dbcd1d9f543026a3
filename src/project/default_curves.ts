// Curves of devices that nobody has calibrated: fractions of peak and bandwidth per kind of operation, and how far off
// they may be. They come from public measurements on Hopper GPUs, named beside each, and are wide on purpose:
// `layermix calibrate` replaces them.

import type { Curve, CurveFit } from "./curve.js";
import type { CurveKey } from "./shape_space.js";

interface DefaultCurve extends CurveFit {
  readonly error: number;
}

/** A kernel inside a CUDA graph: a few microseconds from the end of one to results of the next. */
const launchSeconds = 3e-6;

// H200, driver 580, CUDA 13.0, bf16: matrix products of 65,536 rows reach 604 to 739 of 989 TFLOP/s (median 0.66), 8192
// rows of 256 x 1024 301; device copies 4.22 of 4.8 TB/s (0.88). Matrices read for few rows: 0.9 of a copy.
const product: DefaultCurve = {
  fixedSeconds: launchSeconds,
  computeFraction: 0.66,
  memoryFraction: 0.79,
  error: 0.3,
};
// cuDNN's RMSNorm on H200: 3.5 to 3.8 of 4.8 TB/s (cudnn-frontend, benchmark/norms/results/h200).
const streaming: DefaultCurve = {
  fixedSeconds: launchSeconds,
  computeFraction: 0.5,
  memoryFraction: 0.75,
  error: 0.3,
};

export const defaultCurves: Readonly<Record<CurveKey, DefaultCurve>> = {
  linear: product,
  norm_linear: product,
  head: product,
  mlp_up: product,
  rms_norm: streaming,
  gated_rms_norm: streaming,
  // cuDNN 9.19 forward, causal: heads of 128 579, heads of 64 405 of 989 TFLOP/s on one H200.
  attention_prefill: { fixedSeconds: 5e-6, computeFraction: 0.5, memoryFraction: 0.75, error: 0.4 },
  // Reads the cache once, in parts that a second kernel joins.
  attention_decode: { fixedSeconds: 6e-6, computeFraction: 0.3, memoryFraction: 0.7, error: 0.4 },
  cache_append: streaming,
  // mamba_ssm 2.3.2 on one H200: 16 x 4096 tokens, 24 heads of 64, 128 states in 1.13 ms; FLOPs counted as the
  // recurrence (docs/flops.md), of which the chunked form does about twice as many.
  ssd_prefill: { fixedSeconds: 2e-5, computeFraction: 0.06, memoryFraction: 0.5, error: 0.5 },
  ssd_update: { fixedSeconds: launchSeconds, computeFraction: 0.5, memoryFraction: 0.7, error: 0.4 },
  conv_prefill: streaming,
  conv_step: streaming,
  embedding: { ...streaming, memoryFraction: 0.4, error: 0.5 },
  argmax: { ...streaming, memoryFraction: 0.5, error: 0.5 },
};

/** A default curve, which has no measurements to correct it. */
export function defaultCurve(key: CurveKey): Curve {
  return { ...defaultCurves[key], corrections: [] };
}
