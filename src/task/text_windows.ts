// Where the rows of a text task lie in its corpus. Two ways: training windows that start anywhere in the training part
// of a segment, drawn at random (text_split.ts); or Megatron's own order over the documents of one of its datasets, with
// the last documents held out.

import type { MegatronDataset } from "../corpus/megatron_index.js";
import { megatronOrder } from "../corpus/megatron_sampling.js";
import { RowRandom, streams } from "./row_random.js";
import { splitText, tiles, tooSmall } from "./text_split.js";

/** Receives `length` tokens from `start` of the corpus on, to stand at `at` of the row. */
export type PutWindow = (start: number, length: number, at: number) => void;

export interface TextWindows {
  readonly trainTokens: number;
  readonly heldOutTokens: number;
  readonly heldOutWindows: number;
  /** The sequence + 1 tokens of a training row: one window, or several where a sample spans documents. */
  train(step: number, row: number, rows: number, put: PutWindow): void;
  /** The n-th held-out window: its tokens and one more, the last target. */
  heldOut(n: number, put: PutWindow): void;
}

/** Windows anywhere. Throws LMX7005. */
export function randomWindows(
  count: number,
  heldOutShare: number,
  context: { readonly sequence: number; readonly seed: number },
  unit: string,
): TextWindows {
  const { sequence, seed } = context;
  const split = splitText(count, heldOutShare, sequence, unit);
  const random = new RowRandom(seed, streams.train);
  return {
    trainTokens: split.trainTokens,
    heldOutTokens: split.heldOutTokens,
    heldOutWindows: split.windowCount,
    train: (step, row, _, put) => {
      random.start(step, row);
      put(split.trainStart(random.below(split.trainStarts)), sequence + 1, 0);
    },
    heldOut: (n, put) => {
      const { start, length } = split.window(n);
      put(start, length + 1, 0);
    },
  };
}

/**
 * Megatron's order for `epochs` epochs of the training documents (then again from the start), and windows that tile the
 * held-out documents. Throws LMX7005.
 */
export function megatronWindows(
  data: MegatronDataset,
  heldOutShare: number,
  epochs: number,
  { sequence, seed }: { readonly sequence: number; readonly seed: number },
): TextWindows {
  const { lengths, starts } = data;
  const trainDocuments = Math.round(lengths.length * (1 - heldOutShare));
  const heldFrom = starts[trainDocuments]!;
  const heldOutWindows = tiles(data.count - heldFrom, sequence);
  if (heldOutWindows === 0 || heldFrom <= sequence)
    throw tooSmall(data.count, heldOutShare, sequence, "tokens");
  const sizes = lengths.subarray(0, trainDocuments);
  const { documentIndex, sampleIndex, shuffleIndex } = megatronOrder({ sizes, sequence, seed, epochs });
  return {
    trainTokens: heldFrom,
    heldOutTokens: data.count - heldFrom,
    heldOutWindows,
    train: (step, row, rows, put) => {
      const sample = shuffleIndex[(step * rows + row) % shuffleIndex.length]!;
      let document = sampleIndex[2 * sample]!;
      let offset = sampleIndex[2 * sample + 1]!;
      for (let at = 0; at <= sequence; document++, offset = 0) {
        const number = documentIndex[document]!;
        const length = Math.min(sequence + 1 - at, sizes[number]! - offset);
        if (length > 0) put(starts[number]! + offset, length, at);
        at += Math.max(0, length);
      }
    },
    heldOut: (n, put) => {
      const start = heldFrom + n * sequence;
      put(start, Math.min(sequence, data.count - 1 - start) + 1, 0);
    },
  };
}
