// Where one model overtakes another: the smallest context from which the ratio of their times stays above one.

/** The largest context looked at: 16M tokens. */
const longest = 2 ** 24;

/**
 * @param ratio time of the baseline over that of the model, by context
 * @returns 1 where the model is faster from the first token on, null where it is not faster at the longest context
 */
export function crossoverContext(ratio: (context: number) => number): number | null {
  if (ratio(longest) <= 1) return null;
  let faster = longest;
  let slower = 0;
  for (let context = longest / 2; context >= 1; context /= 2) {
    if (ratio(context) <= 1) {
      slower = context;
      break;
    }
    faster = context;
  }
  while (faster - slower > 1) {
    const middle = Math.floor((faster + slower) / 2);
    if (middle >= 1 && ratio(middle) > 1) faster = middle;
    else slower = middle;
  }
  return faster;
}
