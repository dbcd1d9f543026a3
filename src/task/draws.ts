// Draws without replacement for the synthetic tasks, as pure functions of the row's random numbers.

import type { RowRandom } from "./row_random.js";

/**
 * Draws distinct integers of [0, range) uniformly (partial Fisher-Yates). The pool is put back in order afterwards, so
 * that a draw never depends on the draws before it.
 */
export class DistinctDraw {
  private readonly pool: Int32Array;
  private readonly swapped: Int32Array;

  /** @param most the largest count a draw may ask for. */
  constructor(range: number, most: number) {
    this.pool = Int32Array.from({ length: range }, (_, i) => i);
    this.swapped = new Int32Array(most);
  }

  /** Writes `count` distinct integers of [0, range) to out[0..count); range may be smaller than the pool's. */
  draw(random: RowRandom, count: number, out: Int32Array, range = this.pool.length): void {
    const { pool, swapped } = this;
    for (let i = 0; i < count; i++) {
      const j = i + random.below(range - i);
      const picked = pool[j]!;
      pool[j] = pool[i]!;
      pool[i] = picked;
      swapped[i] = j;
      out[i] = picked;
    }
    for (let i = count - 1; i >= 0; i--) {
      const j = swapped[i]!;
      const picked = pool[i]!;
      pool[i] = pool[j]!;
      pool[j] = picked;
    }
  }
}

/** Place of a double's low 32 bits among its two words on this machine. */
const lowWord = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1 ? 0 : 1;
/** Low bits of the mantissa that carry an index; 32 finer ones stay, as many as a fraction has. */
const indexMask = 0xfffff;

/**
 * Draws distinct indices with given weights, in the order that successive weighted draws would give them
 * (Efraimidis and Spirakis 2006: ascending -log(u) / weight). The index rides in the low bits of its key, so that keys are compared and
 * moved as plain numbers; only the `count` lowest are kept in order, for few indices of many are drawn.
 */
export class WeightedDraw {
  private readonly weights: Float64Array;
  /** The lowest keys so far, ascending; the key at hand is put in at the end. */
  private readonly keys: Float64Array;
  private readonly words: Uint32Array;

  /** @param weights above 0, at most 2^20 of them. */
  constructor(weights: Float64Array) {
    this.weights = weights;
    this.keys = new Float64Array(weights.length + 1);
    this.words = new Uint32Array(this.keys.buffer);
  }

  /** Writes `count` distinct indices to out[0..count). */
  draw(random: RowRandom, count: number, out: Int32Array): void {
    const { weights, keys, words } = this;
    let kept = 0;
    for (let i = 0; i < weights.length; i++) {
      keys[kept] = -Math.log(random.fraction()) / weights[i]!;
      const word = 2 * kept + lowWord;
      words[word] = (words[word]! & ~indexMask) | i;
      const key = keys[kept]!;
      if (kept === count && key > keys[count - 1]!) continue;
      let place = kept;
      for (; place > 0 && keys[place - 1]! > key; place--) keys[place] = keys[place - 1]!;
      keys[place] = key;
      if (kept < count) kept++;
    }
    for (let i = 0; i < count; i++) out[i] = words[2 * i + lowWord]! & indexMask;
  }
}
