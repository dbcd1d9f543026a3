// Nearest names for misspelt ones. Distance: Damerau-Levenshtein in its optimal string alignment form (insert, delete,
// replace, swap of neighbours, each 1), on lower-cased text with "-" and "_" taken as equal.

function normalise(name: string): string {
  return name.toLowerCase().replaceAll("-", "_");
}

/** Optimal string alignment distance; `limit` + 1 is returned as soon as the distance must exceed `limit`. */
export function editDistance(a: string, b: string, limit = Number.POSITIVE_INFINITY): number {
  if (Math.abs(a.length - b.length) > limit) return limit + 1;
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    let rowMinimum = i;
    for (let j = 1; j <= b.length; j++) {
      const replaceCost = a[i - 1] === b[j - 1] ? 0 : 1;
      let cost = Math.min(previous[j]! + 1, row[j - 1]! + 1, previous[j - 1]! + replaceCost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, beforePrevious[j - 2]! + 1);
      }
      row.push(cost);
      rowMinimum = Math.min(rowMinimum, cost);
    }
    if (rowMinimum > limit) return limit + 1;
    beforePrevious = previous;
    previous = row;
  }
  return Math.min(previous[b.length]!, limit + 1);
}

function commonPrefix(a: string, b: string): number {
  let length = 0;
  while (length < a.length && a[length] === b[length]) length++;
  return length;
}

/**
 * The name closest to `wanted`, or undefined if none is close: at most a third of the letters (at least one, never all) may
 * differ, or `wanted` is a beginning of exactly one name ("attn" is not, "atten" is). Among equally distant names the
 * one with the longer common beginning wins: "relu" is nearer to "relu2" than to "gelu"; then the one whose next letter
 * or digit is nearer: "model-9b" is nearer to "model-8b" than to "model-4b".
 */
export function nearestName(wanted: string, names: readonly string[]): string | undefined {
  const target = normalise(wanted);
  if (target.length === 0 || target.length > 64) return undefined;
  let best: string | undefined;
  let bestDistance = Math.min(Math.max(1, Math.floor(target.length / 3)), target.length - 1);
  let bestPrefix = -1;
  let bestStep = Number.POSITIVE_INFINITY;
  for (const name of names) {
    const distance = editDistance(target, normalise(name), bestDistance);
    const prefix = commonPrefix(target, normalise(name));
    const letter = target.codePointAt(prefix);
    const step = letter === undefined ? 0 : Math.abs(letter - (normalise(name).codePointAt(prefix) ?? 0));
    const nearer =
      distance < bestDistance ||
      (distance === bestDistance &&
        (prefix > bestPrefix || (prefix === bestPrefix && best !== undefined && step < bestStep)));
    if (nearer) {
      best = name;
      bestDistance = distance;
      bestPrefix = prefix;
      bestStep = step;
    }
  }
  if (best !== undefined) return best;
  const completions = target.length < 3 ? [] : names.filter((name) => normalise(name).startsWith(target));
  return completions.length === 1 ? completions[0] : undefined;
}

/** "a key with a similar name exists: attention", or undefined if nothing is near. */
export function similarName(what: string, wanted: string, names: readonly string[]): string | undefined {
  const name = nearestName(wanted, names);
  if (name === undefined) return undefined;
  const article = /^[aeiou]/.test(what) ? "an" : "a";
  return `${article} ${what} with a similar name exists: ${name}`;
}
