// From the unit cube to shares: a map of d numbers to d shares that are at least 0 and total at most 1, which keeps
// volumes, so evenly spread points stay evenly spread. Stick breaking: share i takes the part 1 - (1 - u)^(1 / (d - i))
// of what the shares before it have left (the inverse of the marginal of a uniform Dirichlet).

/** Bounds of one share, fractions. */
export interface ShareRange {
  readonly from: number;
  readonly to: number;
}

/** `point` in [0, 1)^d -> d shares, uniform on the simplex when the point is uniform in the cube. */
export function toSimplex(point: readonly number[]): number[] {
  let left = 1;
  return point.map((u, i) => {
    const part = 1 - (1 - u) ** (1 / (point.length - i));
    const share = left * part;
    left -= share;
    return share;
  });
}

/**
 * The shares of a point within their ranges, or undefined when one falls above its upper bound. Lower bounds are given
 * first; what they leave of `room` is divided.
 * @param room what all shares together may total, a fraction.
 */
export function sharesWithin(
  point: readonly number[],
  ranges: readonly ShareRange[],
  room: number,
): number[] | undefined {
  const spare = room - ranges.reduce((sum, { from }) => sum + from, 0);
  if (spare < 0) return undefined;
  const shares = toSimplex(point).map((part, i) => ranges[i]!.from + spare * part);
  return shares.every((share, i) => share <= ranges[i]!.to + 1e-12) ? shares : undefined;
}
