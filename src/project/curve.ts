// How long an operation takes, as a function of its shape:
//
//   seconds = (fixed + ((compute / c)^4 + (memory / m)^4)^(1/4)) * exp(correction)
//
// compute and memory are the two sides of the roofline; c and m the fractions of peak and bandwidth that the kind of
// operation reaches, and `fixed` what a call costs however small. The three are fitted to measurements; the correction
// is what the measured neighbours deviate from the fit, averaged by inverse distance in octaves. Far from every
// measurement the correction fades. Utilisation is the roofline over the seconds: it depends on the shape.

/** A measured shape: its coordinates, its roofline on the device measured, and the time it took. */
export interface CurvePoint {
  readonly coordinates: readonly number[];
  readonly computeSeconds: number;
  readonly memorySeconds: number;
  readonly seconds: number;
}

export interface CurveFit {
  readonly fixedSeconds: number;
  readonly computeFraction: number;
  readonly memoryFraction: number;
}

export interface Curve extends CurveFit {
  /** Logarithm of measured over fitted, at the measured places. */
  readonly corrections: readonly { readonly coordinates: readonly number[]; readonly value: number }[];
  /**
   * Relative error that nine of ten measurements stay within when they are predicted from the others (leave one out).
   */
  readonly error: number;
}

const neighbours = 4;
/** Squared octaves at which the fit itself counts as a neighbour without a deviation. */
const fadeDistance = 9;
/** Measurements closer than this to a place are as good as there (squared octaves). */
const nearDistance = 0.01;
/** No measurement is better than this, whatever leave-one-out says. */
const smallestError = 0.02;
/** Pull of the fit towards where it started, against the squared log error of a point. */
const stiffness = 1e-3;

/** Seconds by the fit alone. */
export function fittedSeconds(
  fit: CurveFit,
  { computeSeconds, memorySeconds }: Pick<CurvePoint, "computeSeconds" | "memorySeconds">,
): number {
  const compute = computeSeconds / fit.computeFraction;
  const memory = memorySeconds / fit.memoryFraction;
  const larger = Math.max(compute, memory);
  if (larger === 0) return fit.fixedSeconds;
  const squared = (Math.min(compute, memory) / larger) ** 2;
  return fit.fixedSeconds + larger * Math.sqrt(Math.sqrt(1 + squared * squared));
}

function squaredDistance(a: readonly number[], b: readonly number[]): number {
  let sum = 0;
  for (let i = 0; i < a.length; i += 1) sum += (a[i]! - b[i]!) ** 2;
  return sum;
}

function correctionAt(corrections: Curve["corrections"], coordinates: readonly number[]): number {
  const nearest = corrections
    .map(({ coordinates: place, value }) => ({ value, distance: squaredDistance(place, coordinates) }))
    .sort((a, b) => a.distance - b.distance)
    .slice(0, neighbours);
  let weights = 1 / fadeDistance;
  let sum = 0;
  for (const { value, distance } of nearest) {
    const weight = 1 / (distance + nearDistance);
    weights += weight;
    sum += weight * value;
  }
  return sum / weights;
}

/** Seconds of an operation with this roofline at these coordinates. */
export function curveSeconds(curve: Curve, place: Omit<CurvePoint, "seconds">): number {
  return fittedSeconds(curve, place) * Math.exp(correctionAt(curve.corrections, place.coordinates));
}

/**
 * The curve through measurements. `start` is where the search begins, and what remains of a parameter that the
 * measurements say nothing about (the compute side of an operation that is always bound by memory).
 */
export function fitCurve(points: readonly CurvePoint[], start: CurveFit): Curve {
  const fit = searchFit(points, start, start, 1, 1e-3);
  const corrections = correctionsOf(points, fit);
  const errors = points.map((left, i) => {
    const others = points.filter((_, j) => j !== i);
    const fitted = searchFit(others, fit, start, 0.125, 0.01);
    const seconds = curveSeconds({ ...fitted, corrections: correctionsOf(others, fitted), error: 0 }, left);
    return Math.abs(Math.log(seconds / left.seconds));
  });
  return { ...fit, corrections, error: Math.max(smallestError, Math.expm1(quantile(errors, 0.9))) };
}

function correctionsOf(points: readonly CurvePoint[], fit: CurveFit): Curve["corrections"] {
  return points.map((point) => ({
    coordinates: point.coordinates,
    value: Math.log(point.seconds / fittedSeconds(fit, point)),
  }));
}

type Parameters = readonly [number, number, number];
const toFit = ([fixed, compute, memory]: Parameters): CurveFit => ({
  fixedSeconds: Math.exp(fixed),
  computeFraction: Math.exp(compute),
  memoryFraction: Math.exp(memory),
});

/** Pattern search over the logarithms of the three parameters, from `from`; steps halve from the first to the last. */
function searchFit(
  points: readonly CurvePoint[],
  from: CurveFit,
  start: CurveFit,
  firstStep: number,
  lastStep: number,
): CurveFit {
  const logs = (fit: CurveFit): Parameters => [
    Math.log(fit.fixedSeconds),
    Math.log(fit.computeFraction),
    Math.log(fit.memoryFraction),
  ];
  const prior = logs(start);
  const loss = (parameters: Parameters): number => {
    const fit = toFit(parameters);
    let sum = stiffness * squaredDistance(parameters, prior);
    for (const point of points) sum += Math.log(fittedSeconds(fit, point) / point.seconds) ** 2;
    return sum;
  };
  let best = logs(from);
  let bestLoss = loss(best);
  for (let step = firstStep; step > lastStep; ) {
    let improved = false;
    for (let i = 0; i < 3; i += 1) {
      for (const direction of [-step, step]) {
        const next = best.map((value, j) => (j === i ? value + direction : value)) as unknown as Parameters;
        const nextLoss = loss(next);
        if (nextLoss < bestLoss) {
          best = next;
          bestLoss = nextLoss;
          improved = true;
        }
      }
    }
    if (!improved) step /= 2;
  }
  return toFit(best);
}

/** The value that `share` of the values do not exceed, by linear interpolation; 0 of none. */
export function quantile(values: readonly number[], share: number): number {
  if (values.length === 0) return 0;
  const sorted = [...values].sort((a, b) => a - b);
  const place = share * (sorted.length - 1);
  const below = Math.floor(place);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below]! + (place - below) * (sorted[above]! - sorted[below]!);
}
