// Learning curves beyond their end, with an uncertainty that has been checked: three families are fitted to the mean over
// seeds, each is asked to predict the end of the curve from its first two thirds, and the one that errs least predicts. The
// interval covers resampled seeds, the families that did nearly as well, and the error of that back-test, scaled by how
// much farther the forecast reaches. Where a curve cannot carry a forecast, the answer is the reason.
// Families, t in units of the last point:  E + A t^-a  (Hestness et al., arXiv 1712.00409),  E + A exp(-a t),  E + A log t.

import { percentileInterval, resamples } from "./bootstrap.js";
import type { Interval } from "./rank_types.js";
import { mean } from "./statistics.js";

export interface CurvePoint {
  /** Tokens, or any measure of effort. */
  readonly at: number;
  readonly value: number;
}

export type Forecast =
  | {
      readonly kind: "forecast";
      readonly family: FamilyName;
      readonly value: number;
      readonly interval: Interval;
    }
  | { readonly kind: "none"; readonly reason: string };

type FamilyName = "power" | "exponential" | "logarithm";

/** The basis function of each family, and the range its exponent is looked for in; none where it has no exponent. */
const families: Readonly<
  Record<
    FamilyName,
    { readonly basis: (t: number, a: number) => number; readonly range?: readonly [number, number] }
  >
> = {
  power: { basis: (t, a) => t ** -a, range: [0.02, 4] },
  exponential: { basis: (t, a) => Math.exp(-a * t), range: [0.2, 20] },
  logarithm: { basis: (t) => Math.log(t) },
};
const familyNames = Object.keys(families) as FamilyName[];

const fewestPoints = 6;
const farthest = 4;

/**
 * The value of a curve at `target`, from its points in ascending order of `at`.
 * @param curves one per seed, all at the same places.
 * @param bounds what the value cannot leave: [0, 1] for an accuracy, [0, Infinity] for a loss.
 */
export function extrapolate(
  curves: readonly (readonly CurvePoint[])[],
  target: number,
  confidence: number,
  bounds: Interval = [0, Number.POSITIVE_INFINITY],
): Forecast {
  const curve = meanCurve(curves);
  const choice = chooseFamily(curve, target);
  if (choice.kind === "none") return choice;
  const last = curve.at(-1)!.at;
  const spread = percentileInterval(forecastsOverSeeds(curves, choice.nearlyAsGood, target), confidence)!;
  const reach = Math.log(target / last) / Math.log(last / earlyPart(curve).at(-1)!.at);
  const slack = choice.error * Math.max(0, reach);
  const value = predict(choice.family, curve, target);
  const clamp = (number: number) => Math.min(bounds[1], Math.max(bounds[0], number));
  const interval = [
    clamp(Math.min(value, spread[0]) - slack),
    clamp(Math.max(value, spread[1]) + slack),
  ] as const;
  return { kind: "forecast", family: choice.family, value: clamp(value), interval };
}

/** The forecast for the mean over seeds alone, without an interval; undefined where the curve cannot carry one. */
export function extrapolateMean(
  curves: readonly (readonly CurvePoint[])[],
  target: number,
): number | undefined {
  const curve = meanCurve(curves);
  const choice = chooseFamily(curve, target);
  return choice.kind === "none" ? undefined : predict(choice.family, curve, target);
}

interface FamilyChoice {
  readonly kind: "family";
  readonly family: FamilyName;
  /** Of the back-test: how far the end, predicted from the early part, is off. */
  readonly error: number;
  readonly nearlyAsGood: readonly FamilyName[];
}

const earlyPart = (curve: readonly CurvePoint[]) =>
  curve.slice(0, Math.max(4, Math.ceil((2 / 3) * curve.length)));

function chooseFamily(
  curve: readonly CurvePoint[],
  target: number,
): FamilyChoice | { readonly kind: "none"; readonly reason: string } {
  if (curve.length < fewestPoints) {
    return none(`${curve.length} points on the curve; ${fewestPoints} are needed`);
  }
  const end = curve.at(-1)!;
  if (target > farthest * end.at) return none(`more than ${farthest} times beyond the last point`);
  const early = earlyPart(curve);
  const values = curve.map(({ value }) => value);
  const range = Math.max(...values) - Math.min(...values);
  if (range === 0) return none("the curve does not move");
  const errors = familyNames.map((name) => Math.abs(predict(name, early, end.at) - end.value));
  const error = Math.min(...errors);
  // Worse than saying "it stays where it was": no family describes this curve.
  if (error > Math.abs(end.value - early.at(-1)!.value) && error > 0.05 * range) {
    return none(
      `no curve family predicts the end from the first two thirds (off by ${error.toPrecision(2)})`,
    );
  }
  return {
    kind: "family",
    family: familyNames[errors.indexOf(error)]!,
    error,
    nearlyAsGood: familyNames.filter((_, i) => errors[i]! <= 2 * error + 1e-3 * range),
  };
}

function none(reason: string) {
  return { kind: "none", reason } as const;
}

function meanCurve(curves: readonly (readonly CurvePoint[])[]): readonly CurvePoint[] {
  return curves[0]!.map(({ at }, i) => ({ at, value: mean(curves.map((curve) => curve[i]!.value)) }));
}

/** What the families say for resampled seeds: at most a few hundred fits. */
function forecastsOverSeeds(
  curves: readonly (readonly CurvePoint[])[],
  names: readonly FamilyName[],
  target: number,
): readonly number[] {
  const all = resamples(curves.length);
  const stride = Math.max(1, Math.floor(all.length / 60));
  return all
    .filter((_, i) => i % stride === 0)
    .flatMap((indices) => {
      const curve = meanCurve(indices.map((index) => curves[index]!));
      return names.map((name) => predict(name, curve, target));
    });
}

/** The family's value at `target` after a least-squares fit. */
function predict(name: FamilyName, points: readonly CurvePoint[], target: number): number {
  const unit = points.at(-1)!.at;
  const { basis, range } = families[name];
  const fitAt = (exponent: number) => linearFit(points, (at) => basis(at / unit, exponent));
  const exponent = range === undefined ? 0 : minimum(range, (value) => fitAt(value).residual);
  const { offset, slope } = fitAt(exponent);
  return offset + slope * basis(target / unit, exponent);
}

/** Given the exponent, a family is linear in its other two parameters: closed form (variable projection). */
function linearFit(points: readonly CurvePoint[], basis: (at: number) => number) {
  const x = points.map(({ at }) => basis(at));
  const centerX = mean(x);
  const centerY = mean(points.map(({ value }) => value));
  let [xy, xx] = [0, 0];
  for (const [i, { value }] of points.entries()) {
    xy += (x[i]! - centerX) * (value - centerY);
    xx += (x[i]! - centerX) ** 2;
  }
  const slope = xx === 0 ? 0 : xy / xx;
  const offset = centerY - slope * centerX;
  const residual = points.reduce((sum, { value }, i) => sum + (value - offset - slope * x[i]!) ** 2, 0);
  return { offset, slope, residual };
}

/** Where a function of one positive number is least: a geometric grid, then golden section around its best point. */
function minimum([low, high]: readonly [number, number], of: (value: number) => number): number {
  const steps = 24;
  const grid = Array.from({ length: steps + 1 }, (_, i) => low * (high / low) ** (i / steps));
  const values = grid.map(of);
  const best = values.indexOf(Math.min(...values));
  let [from, to] = [grid[Math.max(0, best - 1)]!, grid[Math.min(steps, best + 1)]!];
  const golden = (Math.sqrt(5) - 1) / 2;
  for (let i = 0; i < 40; i++) {
    const [a, b] = [to - golden * (to - from), from + golden * (to - from)];
    if (of(a) < of(b)) to = b;
    else from = a;
  }
  return (from + to) / 2;
}
