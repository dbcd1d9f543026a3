// Training batches, made while the device works on those before them.
import type { Batch, Task } from "../task/task.js";

export class BatchesAhead {
  readonly #task: Pick<Task, "trainBatch">;
  readonly #rows: number;
  readonly #made = new Map<number, Batch>();

  /** Batches of `rows` sequences. */
  constructor(task: Pick<Task, "trainBatch">, rows: number) {
    this.#task = task;
    this.#rows = rows;
  }

  /** Makes the batches of steps [from, to), as far as there are none yet. */
  make(from: number, to: number): void {
    for (let step = from; step < to; step++)
      if (!this.#made.has(step)) this.#made.set(step, this.#task.trainBatch(step, this.#rows));
  }

  /** The batches of steps [from, to), each to be had once. */
  take(from: number, to: number): readonly Batch[] {
    this.make(from, to);
    return Array.from({ length: to - from }, (_, i) => {
      const batch = this.#made.get(from + i)!;
      this.#made.delete(from + i);
      return batch;
    });
  }
}
