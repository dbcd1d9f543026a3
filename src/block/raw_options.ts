// Reading schema-checked block options: a number where one was given, the default where none was. Shared by
// the kinds.

export type RawOptions = Readonly<Record<string, unknown>>;

/** The number under `key`, or `fallback` when the key is absent. */
export function numberOr(raw: RawOptions, key: string, fallback: number): number {
  const value = raw[key];
  return typeof value === "number" ? value : fallback;
}

/** True where the study file gives the option itself. */
export function given(raw: RawOptions, key: string): boolean {
  return raw[key] !== undefined;
}

/** Largest divisor of `count` that is at most `limit` (at least 1). */
export function largestDivisor(count: number, limit: number): number {
  for (let divisor = Math.min(count, limit); divisor > 1; divisor -= 1) {
    if (count % divisor === 0) return divisor;
  }
  return 1;
}

/** The multiple of `step` nearest to `value`, never below one step. */
export function nearestMultiple(value: number, step: number): number {
  return Math.max(step, Math.round(value / step) * step);
}

/**
 * Heads after the width is scaled: the head dimension is kept while at least four heads remain (or as many as
 * there were), and halved, down to 8, where the narrower model could not have them.
 */
export function scaledHeads(
  heads: number,
  headDim: number,
  scale: number,
): { heads: number; headDim: number } {
  const fewest = Math.min(heads, 4);
  let dim = headDim;
  while (dim % 2 === 0 && dim > 8 && (heads * headDim * scale) / dim < fewest) dim /= 2;
  return { heads: (heads * headDim * scale) / dim, headDim: dim };
}

/** A positive whole number, the only thing most options may be. */
export function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value > 0;
}

/** Why `count` things cannot be divided among `ranks` devices; undefined where they can. */
export function indivisible(what: string, count: number, ranks: number): string | undefined {
  return count % ranks === 0 ? undefined : `${count} ${what} cannot be divided among ${ranks} devices`;
}
