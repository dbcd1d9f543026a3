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

/**
 * Draws distinct indices with given weights, in the order that successive weighted draws would give them
 * (Efraimidis and Spirakis 2006: the smallest of -log(u) / weight).
 */
export class WeightedDraw {
  private readonly weights: Float64Array;
  private readonly keys: Float64Array;
  private readonly order: Int32Array;

  constructor(weights: Float64Array) {
    this.weights = weights;
    this.keys = new Float64Array(weights.length);
    this.order = new Int32Array(weights.length);
  }

  /** Writes `count` distinct indices to out[0..count). */
  draw(random: RowRandom, count: number, out: Int32Array): void {
    const { weights, keys, order } = this;
    for (let i = 0; i < keys.length; i++) {
      keys[i] = -Math.log(random.fraction()) / weights[i]!;
      order[i] = i;
    }
    order.sort((a, b) => keys[a]! - keys[b]!);
    for (let i = 0; i < count; i++) out[i] = order[i]!;
  }
}
