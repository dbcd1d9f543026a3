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

/**
 * @param context with `trainRows` above 0, training rows are drawn from that many fixed ones, so that a model may see a row
 *   again; 0 or absent = every row is new.
 * @param heldOut writes the held-out rows where they differ from training rows (`row` counts from 0).
 */
export function rowTask(
  meaning: RowTaskMeaning,
  context: TaskContext & { readonly evaluationTokens: number; readonly trainRows?: number },
  train: WriteRandomRow,
  heldOut: WriteRandomRow = train,
): Task {
  const { sequence, seed, evaluationTokens, trainRows = 0 } = context;
  const evaluationRows = rowsFor(evaluationTokens, sequence);
  const trainRandom = new RowRandom(seed, streams.train);
  const setRandom = new RowRandom(seed, streams.set);
  const heldOutRandom = new RowRandom(0, streams.evaluation);
  return {
    ...meaning,
    sequence,
    describe: () => meaning.describe(evaluationRows),
    trainBatch: (step, rows) =>
      fillBatch(rows, sequence, 0, (tokens, targets, offset, row) => {
        trainRandom.start(step, row);
        if (trainRows === 0) return train(trainRandom, tokens, targets, offset, row);
        setRandom.start(0, trainRandom.below(trainRows));
        train(setRandom, tokens, targets, offset, row);
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
