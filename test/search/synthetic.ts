// Learning curves whose answer is known: candidate i ends at `final[i]`; before that its rank is blurred by noise that
// shrinks as the run goes on. Plain numbers, no training.
import { hashUniform } from "../../src/plan/hash_random.js";

/** Shares at which the curves are known: hundredths. */
export const points = Array.from({ length: 100 }, (_, i) => (i + 1) / 100);

/** `count` curves whose final values are 1 .. count in a random order, as [candidate][point]. */
export function syntheticCurves(count: number, seed: number, noise: number): number[][] {
  const places = [...Array(count).keys()].sort(
    (a, b) => hashUniform(seed, `place ${a}`) - hashUniform(seed, `place ${b}`),
  );
  return places.map((final, candidate) =>
    points.map((share, i) => {
      const blur = (hashUniform(seed, `noise ${candidate} ${i}`) - 0.5) * 2 * noise * (1 - share);
      return (final + 1) * share ** 0.1 + blur;
    }),
  );
}

/** Candidates by their final value, best first. */
export const truth = (curves: readonly (readonly number[])[]): number[] =>
  [...curves.keys()].sort((a, b) => curves[b]!.at(-1)! - curves[a]!.at(-1)!);
