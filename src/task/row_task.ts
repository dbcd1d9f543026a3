// A task whose rows are made from random numbers alone: training rows from the seed and the step, held-out rows from a stream
// of their own that no seed moves. A task brings the function that writes a row, and what its rows mean.

import { RowRandom, streams } from "./row_random.js";
import { evaluationSlice, fillBatch, rowsFor } from "./rows.js";
import type { Task, TaskContext } from "./task.js";

/** Writes one row from its random numbers: `sequence` tokens and targets from `offset` on, as in rows.ts. */
export type WriteRandomRow = (
  random: RowRandom,
  tokens: Int32Array,
  targets: Int32Array,
  offset: number,
  row: number,
) => void;

/** What a task says about itself; the batches are made here. */
export type RowTaskMeaning = Pick<Task, "name" | "vocab" | "primary" | "identity" | "measure"> & {
  readonly describe: (evaluationRows: number) => readonly string[];
};

/** @param heldOut writes the held-out rows where they differ from training rows (`row` counts from 0). */
export function rowTask(
  meaning: RowTaskMeaning,
  context: TaskContext & { readonly evaluationTokens: number },
  train: WriteRandomRow,
  heldOut: WriteRandomRow = train,
): Task {
  const { sequence, seed, evaluationTokens } = context;
  const evaluationRows = rowsFor(evaluationTokens, sequence);
  const trainRandom = new RowRandom(seed, streams.train);
  const heldOutRandom = new RowRandom(0, streams.evaluation);
  return {
    ...meaning,
    sequence,
    describe: () => meaning.describe(evaluationRows),
    trainBatch: (step, rows) =>
      fillBatch(rows, sequence, 0, (tokens, targets, offset, row) => {
        trainRandom.start(step, row);
        train(trainRandom, tokens, targets, offset, row);
      }),
    evaluationRows,
    evaluationBatches: (rows) => Math.ceil(evaluationRows / rows),
    evaluationBatch: (index, rows) => {
      const slice = evaluationSlice(evaluationRows, index, rows);
      return fillBatch(slice.rows, sequence, slice.first, (tokens, targets, offset, row) => {
        heldOutRandom.start(0, row);
        heldOut(heldOutRandom, tokens, targets, offset, row);
      });
    },
  };
}
