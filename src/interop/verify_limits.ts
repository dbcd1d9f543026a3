// What counts as equal to a recorded run. In fp32 and fp64 fixed distances; in bf16 twice the distance of a plain bf16
// implementation that the library runs beside it (device "reference"): the error of eight-bit mantissas grows with
// depth and width, and no fixed number is right for every checkpoint.

/** Distances of one run from the recording. */
export interface Distances {
  /** Largest difference of a logit, and the root mean square of them all. */
  readonly logitsMaxAbs: number;
  readonly logitsRms: number;
  /** Null when the recording has no loss. */
  readonly lossAbs: number | null;
  /** ‖got − recorded‖ / ‖recorded‖ of each gradient tensor (Frobenius). */
  readonly gradients: Readonly<Record<string, number>>;
}

export interface Limits {
  readonly logits: number;
  readonly loss: number;
  /** By parameter. */
  readonly gradients: Readonly<Record<string, number>>;
}

/** For runs in fp32 and fp64, against a recording in fp32. */
export const exactTolerances = { logits: 2e-5, loss: 2e-5, gradient: 1e-4 } as const;

/**
 * A gradient whose norm is below this share of the largest one's is divided by that share instead of its own norm: there,
 * the recorded fp32 gradient, or the bf16 one, is rounding noise itself.
 */
export function gradientFloor(precision: "fp32" | "fp64" | "bf16"): number {
  return precision === "bf16" ? 1e-3 : 1e-6;
}

export function exactLimits(names: Iterable<string>): Limits {
  const { logits, loss, gradient } = exactTolerances;
  return { logits, loss, gradients: Object.fromEntries([...names].map((name) => [name, gradient])) };
}

const allowance = 2;

/**
 * Twice a plain bf16 run's distances. Chance makes one of its many numbers small: a loss is allowed what a logit is off on
 * average, a gradient what the median gradient is off.
 */
export function bf16Limits(plain: Distances): Limits {
  const errors = Object.values(plain.gradients).sort((a, b) => a - b);
  const median = errors[Math.floor(errors.length / 2)] ?? 0;
  return {
    logits: allowance * plain.logitsMaxAbs,
    loss: allowance * Math.max(plain.lossAbs ?? 0, plain.logitsRms),
    gradients: Object.fromEntries(
      Object.entries(plain.gradients).map(([name, error]) => [name, allowance * Math.max(error, median)]),
    ),
  };
}

/** Whether every distance is within its limit; NaN never is. */
export function within(got: Distances, limits: Limits): boolean {
  return (
    got.logitsMaxAbs <= limits.logits &&
    (got.lossAbs === null || got.lossAbs <= limits.loss) &&
    Object.entries(got.gradients).every(([name, error]) => error <= (limits.gradients[name] ?? 0))
  );
}
