// The part every task shares: laying rows into batches, splitting the held-out rows into batches, and adding up what the
// model made of them. A task brings one function that writes a row.

import type { Batch, EvaluatedBatch, Metrics } from "./task.js";

/** Writes one row: `sequence` tokens and targets from `offset` on. Targets arrive filled with -1, tokens with 0. */
export type WriteRow = (tokens: Int32Array, targets: Int32Array, offset: number, row: number) => void;

/** Allocates a batch and writes its rows, `row` counting from `firstRow`. */
export function fillBatch(rows: number, sequence: number, firstRow: number, write: WriteRow): Batch {
  const tokens = new Int32Array(rows * sequence);
  const targets = new Int32Array(rows * sequence).fill(-1);
  for (let row = 0; row < rows; row++) write(tokens, targets, row * sequence, firstRow + row);
  return { rows, tokens, targets };
}

/** Batch `index` of `total` held-out rows, `rows` at a time; the last one takes what is left. */
export function evaluationSlice(total: number, index: number, rows: number): { first: number; rows: number } {
  const first = index * rows;
  if (index < 0 || first >= total) {
    throw new RangeError(`held-out batch ${index} of ${rows} rows is past the ${total} rows there are`);
  }
  return { first, rows: Math.min(rows, total - first) };
}

/** Whole rows in a budget of tokens, at least one. */
export function rowsFor(tokens: number, sequence: number): number {
  return Math.max(1, Math.floor(tokens / sequence));
}

/** Sums over every counted position; the caller divides. Nats are added in double precision, in order. */
export function countAnswers(evaluated: Iterable<EvaluatedBatch>): {
  readonly asked: number;
  readonly correct: number;
  readonly nats: number;
} {
  let asked = 0;
  let correct = 0;
  let nats = 0;
  for (const { batch, loss, correct: right } of evaluated) {
    const { targets } = batch;
    for (let i = 0; i < targets.length; i++) {
      if (targets[i]! < 0) continue;
      asked += 1;
      correct += right[i]!;
      nats += loss[i]!;
    }
  }
  return { asked, correct, nats };
}

/** Mean loss and share of right answers over every counted position. */
export function answerAccuracy(evaluated: Iterable<EvaluatedBatch>): Metrics {
  const { asked, correct, nats } = countAnswers(evaluated);
  return { loss: nats / asked, accuracy: correct / asked };
}
