// Random numbers without a state: each is a hash of the seed and of what it is for. A decision then needs no generator
// that would have to be saved, and what one part of a search draws never moves what another draws.

import { createHash } from "node:crypto";

/** A number in [0, 1) with 48 random bits. @param seed a safe integer >= 0. */
export function hashUniform(seed: number, purpose: string): number {
  const digest = createHash("sha256").update(`layermix ${seed} ${purpose}`).digest();
  return digest.readUIntBE(0, 6) / 2 ** 48;
}

/** An index below `count`, all equally likely. */
export function hashIndex(seed: number, purpose: string, count: number): number {
  return Math.floor(hashUniform(seed, purpose) * count);
}
