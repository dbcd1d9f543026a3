// Bootstrap over seeds. Few seeds have few resamples: up to five, all n^n of them are taken, so that the result holds no
// chance at all; beyond, 2000 are drawn by a counter-based generator with a fixed key. The same seeds are drawn for
// every candidate, because equal seeds saw equal data. Intervals are BCa (Efron, "Better bootstrap confidence intervals",
// JASA 82, 1987) where the statistic allows, percentile otherwise.

import { RowRandom, streams } from "../task/row_random.js";
import { normalProbability, normalQuantile } from "./normal.js";
import type { Interval } from "./rank_types.js";
import { mean } from "./statistics.js";

/** 5^5 = 3125 resamples at most are enumerated. */
const enumerated = 5;
const drawn = 2000;

/** Every resample of `count` items as a list of indices: all of them, or `drawn` at random, always the same. */
export function resamples(count: number): readonly (readonly number[])[] {
  if (count <= enumerated) {
    return Array.from({ length: count ** count }, (_, code) =>
      Array.from({ length: count }, (_, place) => Math.floor(code / count ** place) % count),
    );
  }
  const random = new RowRandom(0, streams.statistics);
  return Array.from({ length: drawn }, (_, row) => {
    random.start(0, row);
    return Array.from({ length: count }, () => random.below(count));
  });
}

/** The share of sorted values below `value`, values equal to it counted half. */
function shareBelow(sorted: readonly number[], value: number): number {
  // The same numbers added in another order differ in their last bits, and are still equal.
  const rounding = 1e-12 * Math.abs(value);
  const below = sorted.filter((other) => other < value - rounding).length;
  const upTo = sorted.filter((other) => other <= value + rounding).length;
  return (below + upTo) / (2 * sorted.length);
}

/** Quantile of sorted values by linear interpolation (Hyndman and Fan's type 7). */
export function quantile(sorted: readonly number[], share: number): number {
  const place = Math.min(1, Math.max(0, share)) * (sorted.length - 1);
  const low = Math.floor(place);
  const high = Math.min(low + 1, sorted.length - 1);
  return sorted[low]! + (place - low) * (sorted[high]! - sorted[low]!);
}

/** The middle `confidence` of the values; values that are not numbers do not count, null when there are none. */
export function percentileInterval(values: readonly number[], confidence: number): Interval | null {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  if (sorted.length === 0) return null;
  return [quantile(sorted, (1 - confidence) / 2), quantile(sorted, (1 + confidence) / 2)];
}

/**
 * Bias-corrected and accelerated interval of the mean over seeds; null for fewer than three values. With so few values it
 * is narrower than the truth (a resample cannot spread wider than what it resamples): Student's interval is the one that
 * ties are judged beside. This one shows skew, which Student's cannot.
 */
export function bootstrapMeanInterval(values: readonly number[], confidence: number): Interval | null {
  if (values.length < 3) return null;
  const center = mean(values);
  const means = resamples(values.length)
    .map((indices) => indices.reduce((sum, index) => sum + values[index]!, 0) / values.length)
    .sort((a, b) => a - b);
  const left = values.map((_, out) => mean(values.filter((_, i) => i !== out)));
  const middle = mean(left);
  const cubes = left.reduce((sum, value) => sum + (middle - value) ** 3, 0);
  const squares = left.reduce((sum, value) => sum + (middle - value) ** 2, 0);
  if (squares === 0) return [center, center];
  const acceleration = cubes / (6 * squares ** 1.5);
  const bias = normalQuantile(shareBelow(means, center));
  const corrected = (share: number) => {
    const z = bias + normalQuantile(share);
    return normalProbability(bias + z / (1 - acceleration * z));
  };
  return [quantile(means, corrected((1 - confidence) / 2)), quantile(means, corrected((1 + confidence) / 2))];
}
