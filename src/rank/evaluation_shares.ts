// Shares of a run at which held-out data were evaluated, common to runs that were evaluated at slightly different ones: tasks with
// steps of another size, or another number of steps, round `evaluate_every` differently.

/** This far apart still counts as the same share. */
const tolerance = 0.03;

/**
 * Shares at which every run was evaluated, as the least often evaluated one has them, ascending; the last is 1.
 * @param lists shares by run, ascending; each run was evaluated at its end.
 */
export function commonShares(lists: readonly (readonly number[])[]): readonly number[] {
  if (lists.length === 0) return [1];
  const fewest = lists.reduce((a, b) => (b.length < a.length ? b : a));
  const before = fewest.filter(
    (share) => share < 1 && lists.every((list) => Math.abs(nearest(list, share) - share) <= tolerance),
  );
  return [...before.map((share) => Math.round(share * 1e4) / 1e4), 1];
}

/** Index of the evaluation that stands for `share`: the nearest one, the last alone for 1; -1 where none is near enough. */
export function evaluationFor(shares: readonly number[], share: number): number {
  if (shares.length === 0) return -1;
  const closest = share === 1 ? shares.at(-1)! : nearest(shares, share);
  const near = share === 1 ? closest === 1 : Math.abs(closest - share) <= tolerance + 1e-4;
  return near ? shares.indexOf(closest) : -1;
}

function nearest(list: readonly number[], share: number): number {
  return list.reduce((a, b) => (Math.abs(b - share) < Math.abs(a - share) ? b : a));
}
