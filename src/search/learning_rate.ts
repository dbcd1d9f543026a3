// A learning rate of its own for every candidate and task: rates are compared in pilot runs, and the ranking uses other
// runs with the rate that won. Pilot runs have seeds of their own, so the luck of the run that won is not counted again
// in the score: choosing the best of several rates on the runs that are ranked would favour whoever was luckiest.

/** Pilot seeds begin so far above the study's first seed; a study has at most 1000 of its own. */
export const pilotSeedOffset = 1_000_000;

/** Held-out losses of the pilot runs of one rate; "failed" for a run that diverged or failed, undefined while it is open. */
export interface RatePilots {
  readonly learningRate: number;
  readonly losses: readonly (number | "failed" | undefined)[];
}

/** Mean loss; undefined while a run is open, null when one failed. */
export function pilotLoss({ losses }: RatePilots): number | null | undefined {
  if (losses.includes(undefined)) return undefined;
  if (losses.includes("failed")) return null;
  return (losses as readonly number[]).reduce((sum, loss) => sum + loss, 0) / losses.length;
}

/**
 * The rate with the lowest mean held-out loss; of equals the lower one, and the lowest when every rate failed. Undefined
 * while a pilot run is open.
 * @param pilots by ascending rate.
 */
export function chooseLearningRate(pilots: readonly RatePilots[]): number | undefined {
  const losses = pilots.map(pilotLoss);
  if (losses.includes(undefined)) return undefined;
  let best = 0;
  losses.forEach((loss, i) => {
    const leader = losses[best];
    if (typeof loss === "number" && (typeof leader !== "number" || loss < leader)) best = i;
  });
  return pilots[best]!.learningRate;
}
