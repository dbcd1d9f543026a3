// How well a cheap order of candidates predicts the expensive one: rank correlations, regret and top-k overlap with
// bootstrap intervals over seeds, the pairs that the expensive runs tell apart and how many of them come out the same way,
// and two rulers beside it: orders that cost nothing (parameters, FLOPs), and how well the expensive runs agree with
// themselves when their seeds are split in half - nothing can be predicted better than it can be measured.

import { percentileInterval, resamples } from "./bootstrap.js";
import { kendallTau, regretAt, spearman, topOverlap } from "./correlation.js";
import type { Interval } from "./rank_types.js";
import { mean } from "./statistics.js";

/** Values of one candidate by seed, "higher is better"; the same seeds in the same order for every candidate. */
export type SeedTable = readonly (readonly number[])[];

/** A number and where it would lie with other seeds; null where it is not defined (one side all ties). */
export interface WithInterval {
  readonly value: number | null;
  readonly interval: Interval | null;
}

export interface Agreement {
  readonly spearman: WithInterval;
  /** tau-b. */
  readonly kendall: WithInterval;
  /** Best of all minus best of the predicted first k, in units of the measure. */
  readonly regret: { readonly 1: WithInterval; readonly 3: WithInterval };
  /** Share of the true first k among the predicted first k. */
  readonly overlap: { readonly 1: WithInterval; readonly 3: WithInterval };
  /** Pairs that are told apart in truth, and how many of them the prediction puts the same way. */
  readonly pairs: { readonly same: number; readonly total: number };
}

type Measures = Record<
  "spearman" | "kendall" | "regret1" | "regret3" | "overlap1" | "overlap3",
  number | null
>;

function measuresOf(predicted: readonly number[], truth: readonly number[]): Measures {
  return {
    spearman: spearman(predicted, truth),
    kendall: kendallTau(predicted, truth),
    regret1: regretAt(1, predicted, truth),
    regret3: regretAt(3, predicted, truth),
    overlap1: topOverlap(1, predicted, truth),
    overlap3: topOverlap(3, predicted, truth),
  };
}

export interface AgreementOptions {
  readonly confidence: number;
  /** Both tables come from the same runs: seeds are resampled together. */
  readonly sameRuns: boolean;
  /** Pairs of candidates (indices, better first) that are told apart in truth. */
  readonly apart: readonly (readonly [number, number])[];
}

/** Candidates in the same order in both tables. */
export function agreement(predicted: SeedTable, truth: SeedTable, options: AgreementOptions): Agreement {
  const [center, target] = [predicted.map(mean), truth.map(mean)];
  const value = measuresOf(center, target);
  const samples = thinned(resampledPairs(predicted, truth, options.sameRuns), predicted.length).map(
    ([a, b]) => measuresOf(a, b),
  );
  const withInterval = (name: keyof Measures): WithInterval => ({
    value: value[name],
    interval: percentileInterval(
      samples.flatMap((sample) => (sample[name] === null ? [] : [sample[name]])),
      options.confidence,
    ),
  });
  return {
    spearman: withInterval("spearman"),
    kendall: withInterval("kendall"),
    regret: { 1: withInterval("regret1"), 3: withInterval("regret3") },
    overlap: { 1: withInterval("overlap1"), 3: withInterval("overlap3") },
    pairs: {
      same: options.apart.filter(([better, worse]) => center[better]! > center[worse]!).length,
      total: options.apart.length,
    },
  };
}

type Means = readonly number[];

/** Every n-th resample where there are many candidates: correlations take time with the square of their number. */
function thinned<T>(samples: readonly T[], candidates: number): readonly T[] {
  const kept = Math.max(200, Math.floor(500_000 / candidates ** 2));
  const stride = Math.ceil(samples.length / kept);
  return samples.filter((_, i) => i % stride === 0);
}

/** Means over resampled seeds of both tables; nothing to resample with one seed each. */
function resampledPairs(
  predicted: SeedTable,
  truth: SeedTable,
  sameRuns: boolean,
): readonly (readonly [Means, Means])[] {
  const [countA, countB] = [predicted[0]?.length ?? 0, truth[0]?.length ?? 0];
  if (Math.max(countA, countB) < 2) return [];
  const meansOver = (table: SeedTable, indices: readonly number[]) =>
    table.map((values) => mean(indices.map((index) => values[index]!)));
  if (sameRuns) {
    return resamples(countA).map(
      (indices) => [meansOver(predicted, indices), meansOver(truth, indices)] as const,
    );
  }
  const first = resamples(countA);
  const second = resamples(countB);
  // A stride without a common factor walks over the pairs of resamples evenly.
  const count = Math.min(2000, first.length * second.length);
  return Array.from({ length: count }, (_, i) => {
    const pair = (i * 7919) % (first.length * second.length);
    return [
      meansOver(predicted, first[pair % first.length]!),
      meansOver(truth, second[Math.floor(pair / first.length)]!),
    ] as const;
  });
}

/** Mean tau between the order of one half of the seeds and that of the other, over all ways to halve; null for one seed. */
export function noiseCeiling(truth: SeedTable): number | null {
  const count = truth[0]?.length ?? 0;
  const half = Math.floor(count / 2);
  if (half === 0) return null;
  const taus = subsets(count, half).flatMap((chosen) => {
    const rest = Array.from({ length: count }, (_, i) => i).filter((i) => !chosen.includes(i));
    const over = (indices: readonly number[]) => truth.map((values) => mean(indices.map((i) => values[i]!)));
    const tau = kendallTau(over(chosen), over(rest));
    return tau === null ? [] : [tau];
  });
  return taus.length === 0 ? null : mean(taus);
}

function subsets(count: number, size: number): readonly (readonly number[])[] {
  if (size === 0) return [[]];
  return Array.from({ length: count - size + 1 }, (_, first) =>
    subsets(count - first - 1, size - 1).map((rest) => [first, ...rest.map((i) => first + 1 + i)]),
  ).flat();
}

/** What choosing at random gives: tau 0, and the regret of a uniform choice of k of the candidates. */
export function randomRegret(k: number, truth: readonly number[]): number {
  const sorted = [...truth].sort((a, b) => b - a);
  const count = sorted.length;
  // P(the best of a random k is the i-th) = C(count - 1 - i, k - 1) / C(count, k)
  const chosen = Math.min(k, count);
  const choose = (n: number, r: number) => {
    let product = 1;
    for (let i = 0; i < r; i++) product *= (n - i) / (i + 1);
    return r > n ? 0 : product;
  };
  const expected = sorted.reduce((sum, value, i) => sum + value * choose(count - 1 - i, chosen - 1), 0);
  return sorted[0]! - expected / choose(count, chosen);
}
