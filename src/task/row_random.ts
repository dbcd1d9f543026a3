// The random numbers of one row of one batch. Philox counter = (block, row, step, stream), key = seed: the numbers of a
// row depend on nothing that was drawn elsewhere. The object is reused from row to row to spare allocations.

import { philox4x32 } from "./philox.js";

/**
 * Training rows are keyed by the trial's seed, those of a finite training set (`set`) too; held-out rows and what
 * belongs to the task itself (`task`: a mapping to memorise) by a fixed key, the same for every trial; statistics
 * resample.
 */
export const streams = { train: 1, evaluation: 2, statistics: 3, set: 4, task: 5 } as const;
export type Stream = (typeof streams)[keyof typeof streams];

/** Uniform draws for one (stream, step, row) at a time; call `start` before drawing. */
export class RowRandom {
  private readonly words = new Uint32Array(4);
  private readonly keyLow: number;
  private readonly keyHigh: number;
  private readonly stream: Stream;
  private step = 0;
  private row = 0;
  private block = 0;
  private next = 4;

  /** @param seed a safe integer >= 0. */
  constructor(seed: number, stream: Stream) {
    this.keyLow = (seed % 0x1_0000_0000) | 0;
    this.keyHigh = Math.floor(seed / 0x1_0000_0000);
    this.stream = stream;
  }

  /** Moves to the first number of a row. */
  start(step: number, row: number): void {
    this.step = step;
    this.row = row;
    this.block = 0;
    this.next = 4;
  }

  /** A uniform 32-bit integer. */
  word(): number {
    if (this.next === 4) {
      philox4x32(this.words, this.block++, this.row, this.step, this.stream, this.keyLow, this.keyHigh);
      this.next = 0;
    }
    return this.words[this.next++]!;
  }

  /** A uniform integer in [0, count), count <= 2^53: exact, by rejecting the remainder's words. */
  below(count: number): number {
    if (count > 0x1_0000_0000) return this.belowLarge(count);
    const limit = 0x1_0000_0000 - (0x1_0000_0000 % count);
    let word = this.word();
    while (word >= limit) word = this.word();
    return word % count;
  }

  /** As below(), from 53 bits: large corpora have more places than a word has values. */
  private belowLarge(count: number): number {
    const limit = 2 ** 53 - (2 ** 53 % count);
    for (;;) {
      const value = (this.word() >>> 11) * 0x1_0000_0000 + this.word();
      if (value < limit) return value % count;
    }
  }

  /** A uniform number in (0, 1), 32 bits fine, never 0 or 1. */
  fraction(): number {
    return (this.word() + 0.5) / 0x1_0000_0000;
  }
}
