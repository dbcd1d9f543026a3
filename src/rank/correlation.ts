// How well one order of candidates predicts another: the measures that architecture search reports (NASLib's
// evaluator has the same set). Values are "higher is better" on both sides; ties are kept as ties.

import { mean } from "./statistics.js";

/** Ranks from 1, equal values share the mean of their places. */
export function averageRanks(values: readonly number[]): readonly number[] {
  return values.map((value) => {
    const below = values.filter((other) => other < value).length;
    const equal = values.filter((other) => other === value).length;
    return below + (equal + 1) / 2;
  });
}

/** Spearman's rho: Pearson's correlation of the ranks; null when one side is all ties, or for fewer than two. */
export function spearman(x: readonly number[], y: readonly number[]): number | null {
  return pearson(averageRanks(x), averageRanks(y));
}

function pearson(x: readonly number[], y: readonly number[]): number | null {
  const [centerX, centerY] = [mean(x), mean(y)];
  let [xy, xx, yy] = [0, 0, 0];
  for (const [i, value] of x.entries()) {
    const [dx, dy] = [value - centerX, y[i]! - centerY];
    xy += dx * dy;
    xx += dx * dx;
    yy += dy * dy;
  }
  return xx === 0 || yy === 0 || x.length < 2 ? null : xy / Math.sqrt(xx * yy);
}

/**
 * Kendall's tau-b (Kendall 1945): (concordant - discordant) / sqrt(pairs untied in x * pairs untied in y); null when one
 * side is all ties.
 */
export function kendallTau(x: readonly number[], y: readonly number[]): number | null {
  let [balance, untiedX, untiedY] = [0, 0, 0];
  for (let i = 0; i < x.length; i++) {
    for (let j = i + 1; j < x.length; j++) {
      const signX = Math.sign(x[i]! - x[j]!);
      const signY = Math.sign(y[i]! - y[j]!);
      balance += signX * signY;
      untiedX += signX * signX;
      untiedY += signY * signY;
    }
  }
  return untiedX === 0 || untiedY === 0 ? null : balance / Math.sqrt(untiedX * untiedY);
}

/** Indices by value, highest first; equal values keep their order. */
export function orderDescending(values: readonly number[]): readonly number[] {
  return values.map((_, index) => index).sort((a, b) => values[b]! - values[a]!);
}

/** What is lost by training only the `k` that the prediction puts first: best of all minus best of those, in units of `truth`. */
export function regretAt(k: number, predicted: readonly number[], truth: readonly number[]): number {
  const chosen = orderDescending(predicted).slice(0, k);
  return Math.max(...truth) - Math.max(...chosen.map((index) => truth[index]!));
}

/** The share of the true first `k` that is among the predicted first `k`. */
export function topOverlap(k: number, predicted: readonly number[], truth: readonly number[]): number {
  const size = Math.min(k, truth.length);
  const best = new Set(orderDescending(truth).slice(0, size));
  return (
    orderDescending(predicted)
      .slice(0, size)
      .filter((index) => best.has(index)).length / size
  );
}
