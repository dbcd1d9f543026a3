// Mean with a t interval, paired t-test, Holm's correction.

import type { Interval } from "./rank_types.js";
import { twoSidedP, twoSidedQuantile } from "./student_t.js";

/** Arithmetic mean; NaN for none. */
export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Sample variance (n - 1), two passes. */
export function variance(values: readonly number[]): number {
  const center = mean(values);
  return values.reduce((sum, value) => sum + (value - center) ** 2, 0) / (values.length - 1);
}

/** Student's interval for the mean; null for fewer than two values. */
export function meanInterval(values: readonly number[], confidence: number): Interval | null {
  if (values.length < 2) return null;
  const center = mean(values);
  const half = twoSidedQuantile(confidence, values.length - 1) * Math.sqrt(variance(values) / values.length);
  return [center - half, center + half];
}

/** Two-sided p of the paired t-test on per-seed differences; 1 for fewer than two, or when all are zero. */
export function pairedP(differences: readonly number[]): number {
  if (differences.length < 2) return 1;
  const center = mean(differences);
  if (center === 0) return 1;
  const error = Math.sqrt(variance(differences) / differences.length);
  return twoSidedP(center / error, differences.length - 1);
}

/**
 * Holm's step-down adjustment (Holm 1979): p_(i) * (m - i), made non-decreasing, at most 1, in the order given.
 * Comparing them with alpha keeps the chance of any false claim in the family below alpha.
 */
export function holm(pValues: readonly number[]): readonly number[] {
  const order = pValues.map((_, index) => index).sort((a, b) => pValues[a]! - pValues[b]!);
  const adjusted = new Array<number>(pValues.length);
  let running = 0;
  order.forEach((index, i) => {
    running = Math.max(running, Math.min(1, pValues[index]! * (pValues.length - i)));
    adjusted[index] = running;
  });
  return adjusted;
}
