// Measured values in words: "63.12 ± 1.24", "98.4% ± 0.6", "2.512 ± 0.012". Digits by kind of measure, not by value, so
// that a column lines up.

import type { Estimate } from "../rank/rank_types.js";
import type { MetricName } from "../task/task.js";

export type MeasureKind = MetricName | "score";

/** "±" and half the interval follow when there is one; "-" when nothing is known. */
export function formatEstimate(kind: MeasureKind, { mean, interval }: Estimate): string {
  if (mean === null) return "-";
  const value = formatMeasure(kind, mean);
  return interval === null ? value : `${value} ± ${digits(kind, (interval[1] - interval[0]) / 2)}`;
}

/** 0.984 accuracy -> "98.4%", 2.5123 bits per byte -> "2.512", score 63.117 -> "63.12". */
export function formatMeasure(kind: MeasureKind, value: number): string {
  return kind === "accuracy" ? `${digits(kind, value)}%` : digits(kind, value);
}

function digits(kind: MeasureKind, value: number): string {
  switch (kind) {
    case "accuracy":
      return (value * 100).toFixed(1);
    case "score":
      return value.toFixed(2);
    case "bitsPerByte":
    case "loss":
      return value.toFixed(3);
  }
}
