// How many optimizer steps a trainer is given at once. On a GPU a small proxy takes a millisecond for a step, and the way from
// JavaScript to the device and back a tenth of that: so many steps are queued at a time. Few enough, still, that a signal, a
// checkpoint and the progress line wait no longer than a moment.

const longestSeconds = 0.05;
const mostSteps = 64;

/** A call that has been made. */
export interface TimedCall {
  readonly steps: number;
  readonly seconds: number;
}

/**
 * Steps of the next call: as many as fit into a moment, or into `withinSeconds` where that is less, and at most twice as many as in the
 * last one; at least 1.
 */
export function stepsPerCall(last: TimedCall | undefined, withinSeconds = longestSeconds): number {
  if (last === undefined) return 1;
  const fitting = Math.floor((Math.min(longestSeconds, withinSeconds) * last.steps) / last.seconds);
  return Math.max(1, Math.min(fitting, 2 * last.steps, mostSteps));
}
