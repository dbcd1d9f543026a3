// Next-byte prediction on the user's own text: vocab 256, no tokenizer. The files are joined in order, one newline
// between two, and cut into equal segments of about 64 KiB (at least 32 sequences); the last `held_out` share of every
// segment is never trained on. Training windows lie inside the training part of one segment: they neither touch nor
// cross held-out text. Held-out windows tile the held-out blocks; each byte after a block's first is predicted once.
// Loss is in nats per byte; bits per byte = loss / ln 2, comparable across models and tokenizers.

import { evaluationTokens } from "./options.js";
import { RowRandom, streams } from "./row_random.js";
import { countAnswers, evaluationSlice, fillBatch, rowsFor } from "./rows.js";
import type { PrimaryMetric, Task, TaskContext, TaskKind, TaskOptions } from "./task.js";
import { type Corpus, readCorpus } from "./text_files.js";
import { splitText } from "./text_split.js";

const primary: PrimaryMetric = { name: "bitsPerByte", direction: "lower", title: "bits/byte" };

/** The task over bytes already in memory. @throws LayermixError LMX7005 when nothing can be trained or held out. */
export function textTask(
  corpus: Corpus,
  options: TaskOptions,
  context: Pick<TaskContext, "sequence" | "seed">,
): Task {
  const { sequence } = context;
  const { bytes } = corpus;
  const heldOutShare = options.held_out as number;
  const { windows, trainStarts, trainStart, trainBytes, heldOutBytes } = splitText(
    bytes.length,
    heldOutShare,
    sequence,
  );
  const train = new RowRandom(context.seed, streams.train);
  const evaluationRows = Math.min(windows.length, rowsFor(options.evaluation_tokens as number, sequence));
  const write = (tokens: Int32Array, targets: Int32Array, offset: number, start: number, length: number) => {
    for (let i = 0; i < length; i++) {
      tokens[offset + i] = bytes[start + i]!;
      targets[offset + i] = bytes[start + i + 1]!;
    }
  };
  return {
    name: "text",
    vocab: 256,
    sequence,
    primary,
    identity: {
      task: "text",
      version: 1,
      files: corpus.files.map((file) => file.sha256),
      tokenizer: options.tokenizer,
      held_out: heldOutShare,
      evaluation_tokens: options.evaluation_tokens,
    },
    describe: () => [
      ...corpus.files.map((file) => `text: ${file.name} (${file.bytes.toLocaleString("en-US")} bytes)`),
      ...corpus.duplicates.map((name) => `text: ${name} skipped, same content as a file above`),
      `text: ${trainBytes.toLocaleString("en-US")} bytes to train on, ${heldOutBytes.toLocaleString("en-US")} held out, ` +
        `${evaluationRows} held-out rows measured`,
    ],
    trainBatch: (step, rows) =>
      fillBatch(rows, sequence, 0, (tokens, targets, offset, row) => {
        train.start(step, row);
        write(tokens, targets, offset, trainStart(train.below(trainStarts)), sequence);
      }),
    evaluationRows,
    evaluationBatches: (rows) => Math.ceil(evaluationRows / rows),
    evaluationBatch: (index, rows) => {
      const slice = evaluationSlice(evaluationRows, index, rows);
      return fillBatch(slice.rows, sequence, slice.first, (tokens, targets, offset, row) => {
        // Rows measured are spread evenly over all held-out windows.
        const window = windows[Math.floor((row * windows.length) / evaluationRows)]!;
        write(tokens, targets, offset, window.start, window.length);
      });
    },
    measure: (evaluated) => {
      const { asked, nats } = countAnswers(evaluated);
      const loss = nats / asked;
      return { loss, bitsPerByte: loss / Math.LN2 };
    },
  };
}

export const text: TaskKind = {
  name: "text",
  title: "next-byte prediction on your own files",
  measures:
    "How well the model predicts natural text, in bits per byte. Differences between layer mixes are small here, often " +
    "within the noise of a few seeds; read it together with a recall task.",
  source: [
    "bytes as tokens (vocab 256); bits per byte = cross-entropy / ln 2",
    "the last share of every segment of about 64 KiB is held out; windows never cross into it",
  ],
  options: [
    {
      name: "files",
      kind: "files",
      description: "File names or globs (*, ?, **), relative to the study file's folder or absolute.",
    },
    {
      name: "tokenizer",
      kind: "choice",
      default: "bytes",
      choices: ["bytes"],
      description: "How text becomes tokens: bytes. Other tokenizers come later.",
    },
    {
      name: "held_out",
      kind: "share",
      default: 0.1,
      minimum: 0.01,
      maximum: 0.5,
      description: "Share of every segment that is kept for measuring.",
    },
    evaluationTokens,
  ],
  primary,
  vocab: () => 256,
  check: () => [],
  create: async (options, context) =>
    textTask(await readCorpus(options.files as readonly string[], context.folder), options, context),
};
