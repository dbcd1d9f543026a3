// Points drawn from a sweep with ranges: shares evenly spread over the simplex, listed values evenly over their lists.
// `sobol` takes scrambled Sobol points, `random` independent ones; either way point i depends on the seed and i alone, so
// a study that asks for more points keeps those it had.

import type { Spec, SweepAxis } from "../spec/spec.js";
import { pointName, type SweepPoint } from "./axes.js";
import { hashUniform } from "./hash_random.js";
import { type ShareRange, sharesWithin } from "./simplex.js";
import { sobolPoints } from "./sobol.js";

/** Shares are drawn to a hundredth of a percent: finer than a layer, and short to read. */
const shareSteps = 10_000;

/** Without end, except that some draws give no point: their shares would leave a range. */
export function* drawPoints(
  spec: Spec,
  how: "sobol" | "random",
  seed: number,
): Generator<SweepPoint | undefined> {
  const { over, fill } = spec.sweep!;
  const ranged = over.filter((axis): axis is RangedAxis => axis.range !== undefined);
  const listed = over.filter(({ range }) => range === undefined);
  const fixed = fixedShares(spec, fill);
  for (const point of cubePoints(how, over.length, seed)) {
    const chosen = listed.map(({ path, values }, i) => {
      const value = values[Math.floor(point[ranged.length + i]! * values.length)];
      return [path, value] as const;
    });
    const taken = chosen
      .filter(([path]) => path.startsWith("mix."))
      .reduce((sum, [, value]) => sum + Number(value), 0);
    const shares = sharesWithin(
      point.slice(0, ranged.length),
      ranged.map(({ range }) => range),
      1 - fixed - taken,
    );
    if (shares === undefined) {
      yield undefined;
      continue;
    }
    const values = Object.fromEntries([
      ...ranged.map(({ path }, i) => [path, Math.floor(shares[i]! * shareSteps) / shareSteps]),
      ...chosen,
    ]);
    yield { name: pointName(over, values), values };
  }
}

type RangedAxis = SweepAxis & { readonly range: ShareRange };

function* cubePoints(how: "sobol" | "random", dimensions: number, seed: number): Generator<number[]> {
  if (how === "sobol") yield* sobolPoints(dimensions, seed);
  for (let index = 0; ; index++) {
    yield Array.from({ length: dimensions }, (_, d) => hashUniform(seed, `point ${index} ${d}`));
  }
}

/** Shares of the model that no axis replaces and that do not give way. */
function fixedShares({ model, sweep }: Spec, fill: string | undefined): number {
  if (model.layout.kind !== "mix") return 0;
  const swept = new Set(sweep!.over.map(({ path }) => path));
  return Object.entries(model.layout.mix)
    .filter(([kind]) => kind !== fill && !swept.has(`mix.${kind}`))
    .reduce((sum, [, share]) => sum + share, 0);
}
