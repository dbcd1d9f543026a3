// Pareto fronts: non-dominated sorting and crowding distance (Deb et al., NSGA-II, 2002, section III), and the knee of a
// front. Points are vectors of objectives, all of them better when higher.

type Point = readonly number[];

/** Whether `a` is at least as good as `b` in everything and better in something. */
export function dominates(a: Point, b: Point): boolean {
  return a.every((value, i) => value >= b[i]!) && a.some((value, i) => value > b[i]!);
}

/** Indices by front: the first front is dominated by nobody, the second only by the first, and so on. */
export function nondominatedFronts(points: readonly Point[]): readonly (readonly number[])[] {
  const above = points.map((point) => points.filter((other) => dominates(other, point)).length);
  const fronts: number[][] = [];
  const left = new Set(points.keys());
  while (left.size > 0) {
    const front = [...left].filter((index) => above[index] === 0);
    for (const index of front) left.delete(index);
    for (const index of left) {
      above[index] =
        above[index]! - front.filter((other) => dominates(points[other]!, points[index]!)).length;
    }
    fronts.push(front);
  }
  return fronts;
}

/** How alone each point of a front is: the normalised perimeter to its neighbours; infinite at the ends. */
export function crowdingDistances(front: readonly Point[]): readonly number[] {
  const distances = new Array<number>(front.length).fill(0);
  for (let objective = 0; objective < (front[0]?.length ?? 0); objective++) {
    const order = [...front.keys()].sort((a, b) => front[a]![objective]! - front[b]![objective]!);
    const at = (place: number): number => front[order[place]!]![objective]!;
    const range = at(order.length - 1) - at(0);
    distances[order[0]!] = Number.POSITIVE_INFINITY;
    distances[order.at(-1)!] = Number.POSITIVE_INFINITY;
    if (range === 0) continue;
    for (let place = 1; place < order.length - 1; place++) {
      distances[order[place]!]! += (at(place + 1) - at(place - 1)) / range;
    }
  }
  return distances;
}

/**
 * The knee of a front, as an index into it: with every objective scaled to [0, 1] over the front, the point farthest
 * beyond the plane through the points that are best in one objective each (Das 1999): leaving it, a little more of one
 * objective costs a lot of another. Undefined where no point lies beyond that plane: there is no knee.
 */
export function kneeOf(front: readonly Point[]): number | undefined {
  const objectives = front[0]?.length ?? 0;
  if (front.length < 3 || objectives < 2) return undefined;
  const ranges = Array.from({ length: objectives }, (_, i) => {
    const values = front.map((point) => point[i]!);
    return { low: Math.min(...values), high: Math.max(...values) };
  });
  const scaled = front.map((point) =>
    point.map((value, i) => {
      const { low, high } = ranges[i]!;
      return high === low ? 0 : (value - low) / (high - low);
    }),
  );
  const sums = scaled.map((point) => point.reduce((sum, value) => sum + value, 0));
  // The plane through the ends is the sum of its own ends: 1 for two objectives, and about that for more.
  const ends = ranges.map((_, i) => sums[scaled.findIndex((point) => point[i] === 1)] ?? 0);
  const plane = Math.max(...ends);
  const best = sums.indexOf(Math.max(...sums));
  return sums[best]! > plane + 1e-12 ? best : undefined;
}
