// A seeded sample without replacement: every item gets a key that is a hash of (seed, index), and the smallest keys
// win. Counter-based, so item i's key does not depend on how many others there are: a sample of 20 contains the sample
// of 10, and a study that grows keeps what it has already run.

import { createHash } from "node:crypto";

/**
 * `wanted` different indices below `count` (all of them when there are fewer), ascending.
 * @param seed any safe integer >= 0.
 */
export function pickWithoutReplacement(count: number, wanted: number, seed: number): number[] {
  const keys = Array.from({ length: count }, (_, index) => ({ index, key: keyOf(seed, index) }));
  keys.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : a.index - b.index));
  return keys
    .slice(0, wanted)
    .map(({ index }) => index)
    .sort((a, b) => a - b);
}

/** 64 bits of SHA-256 over seed and index, as hex: comparable as text. */
function keyOf(seed: number, index: number): string {
  return createHash("sha256").update(`layermix random ${seed} ${index}`).digest("hex").slice(0, 16);
}
